package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/deploy"
	"slipway/store"
	"slipway/store/storetest"
)

// person is somebody signed in, in a browser without JavaScript.
type person struct {
	http.Client
	base string
}

func signedIn(t *testing.T, base string) *person {
	t.Helper()
	jar, _ := cookiejar.New(nil)
	p := &person{base: base, Client: http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if _, err := p.post("/signin", url.Values{"email": {"ada@example.com"}, "password": {strings.TrimSpace(password)}}); err != nil {
		t.Fatal(err)
	}
	return p
}

// post sends a form and returns where it leads to.
func (p *person) post(path string, form url.Values) (string, error) {
	return leadsTo(p.PostForm(p.base+path, form))
}

func leadsTo(resp *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusSeeOther {
		err = errors.Join(err, fmt.Errorf("answer %d to %s:\n%s", resp.StatusCode, resp.Request.URL, b))
	}
	return resp.Header.Get("Location"), err
}

var baseField = regexp.MustCompile(`name="base" value="([^"]*)"`)

// deploy adds a file to a Deployment: it uploads it and confirms that once it
// is staged. When it returns, the deploy is acknowledged.
func (p *person) deploy(of slipway.DeploymentID, name, text string) error {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("files", name)
	if err == nil {
		_, err = io.WriteString(part, text)
	}
	if err := errors.Join(err, form.WriteField("merge", "add"), form.Close()); err != nil {
		return err
	}
	page, err := leadsTo(p.Post(p.base+"/deployments/"+string(of)+"/deploys", form.FormDataContentType(), &body))
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		text, err := p.get(page)
		if err != nil {
			return err
		}
		if m := baseField.FindStringSubmatch(text); m != nil {
			_, err := p.post(page+"/confirm", url.Values{"base": {m[1]}})
			return err
		}
	}
	return fmt.Errorf("%s is not staged", page)
}

func (p *person) get(path string) (string, error) {
	resp, err := p.Get(p.base + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// drill is a portal under load.
type drill struct {
	dir         string
	deployments []slipway.Deployment

	mu    sync.Mutex
	files map[slipway.DeploymentID]map[string]string // what was ever uploaded: each deploy brings one file
	acked map[slipway.DeploymentID][]string          // names of files whose deploy was acknowledged
}

// newDrill makes a data folder with three Deployments.
func newDrill(t *testing.T) *drill {
	t.Helper()
	d := &drill{dir: filepath.Join(t.TempDir(), "data"), files: map[slipway.DeploymentID]map[string]string{}, acked: map[slipway.DeploymentID][]string{}}
	if _, err := call(t, password, "init", "--data", d.dir, "--email", "ada@example.com", "--workspace", "W", "--deployment", "one", "--password-stdin"); err != nil {
		t.Fatal(err)
	}
	st := storetest.OpenAt(t, filepath.Join(d.dir, "slipway.db"))
	storetest.Update(t, st, func(tx *store.Tx) error {
		all, err := tx.AllDeployments()
		if err != nil {
			return err
		}
		for _, name := range []string{"two", "three"} {
			if _, err := storetest.AddDeployment(tx, all[0].Workspace, name); err != nil {
				return err
			}
		}
		d.deployments, err = tx.AllDeployments()
		for _, of := range d.deployments {
			d.files[of.ID] = map[string]string{}
		}
		return err
	})
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	return d
}

// load deploys to one Deployment, one file after the other, until stop.
func (d *drill) load(t *testing.T, p *person, of slipway.DeploymentID, stop <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		name := fmt.Sprintf("f%03d.py", i)
		text := fmt.Sprintf("from airflow import DAG  # %s %d\n", of, i) + strings.Repeat(fmt.Sprintln(of, i), 2000)
		d.mu.Lock()
		d.files[of][name] = text
		d.mu.Unlock()
		if err := p.deploy(of, name, text); err != nil {
			t.Error(err)
			return
		}
		d.mu.Lock()
		d.acked[of] = append(d.acked[of], name)
		d.mu.Unlock()
	}
}

// acknowledged returns what was acknowledged by now, once that is enough.
func (d *drill) acknowledged(t *testing.T, enough int) map[slipway.DeploymentID][]string {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		d.mu.Lock()
		few := slices.ContainsFunc(d.deployments, func(of slipway.Deployment) bool { return len(d.acked[of.ID]) < enough })
		now := map[slipway.DeploymentID][]string{}
		for id, names := range d.acked {
			now[id] = slices.Clone(names)
		}
		d.mu.Unlock()
		if !few {
			return now
		}
		if t.Failed() {
			break
		}
	}
	t.Fatal("the load does not get on")
	return nil
}

func TestRestoreDrill(t *testing.T) {
	d := newDrill(t)
	file := filepath.Join(t.TempDir(), "slipway.backup")
	before := d.lost(t, file)
	fresh := filepath.Join(t.TempDir(), "elsewhere")
	if text, err := call(t, "", "restore", file, "--data", fresh); err != nil || !strings.Contains(text, "is restored.") {
		t.Fatalf("restore: %q, %v", text, err)
	}
	_, err := call(t, "", "restore", file, "--data", fresh)
	wantError(t, err, "is not empty")

	s := start(t, fresh)
	d.dir = fresh
	for _, of := range d.deployments {
		live := d.restored(t, of, before[of.ID])
		d.wantMounted(t, of, live)
		if err := signedIn(t, s.base).deploy(of.ID, "new.py", "from airflow import DAG"); err != nil {
			t.Fatal(err)
		}
		live["new.py"] = "from airflow import DAG"
		d.wantMounted(t, of, live)
	}
	if text, err := call(t, "", "fsck", "--data", fresh); err != nil || !strings.Contains(text, " 0 damages, 0 leftovers.") {
		t.Errorf("fsck beside serve: %v\n%s", err, text)
	}
	s.stop()
	s.wait(t)
	d.findsDamage(t)
}

// lost puts load on the portal, backs it up meanwhile, and loses the data
// folder. It returns what had been acknowledged before the backup began.
func (d *drill) lost(t *testing.T, file string) map[slipway.DeploymentID][]string {
	t.Helper()
	s := start(t, d.dir)
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for _, of := range d.deployments {
		p := signedIn(t, s.base)
		workers.Go(func() { d.load(t, p, of.ID, stop) })
	}
	before := d.acknowledged(t, 3)
	text, err := call(t, "", "backup", file, "--data", d.dir)
	if err != nil || !strings.Contains(text, "holds the records") {
		t.Fatalf("backup: %q, %v", text, err)
	}
	close(stop)
	workers.Wait()
	s.stop()
	s.wait(t)
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); err != nil || len(left) > 0 {
		t.Errorf("beside the backup lies %q, %v", left, err)
	}
	if err := removeAll(d.dir); err != nil {
		t.Fatal(err)
	}
	return before
}

// restored checks that every deploy that was acknowledged before the backup is
// there, waits until the queue is worked off, and returns the files that are
// live then: those of all deploys that went live.
func (d *drill) restored(t *testing.T, of slipway.Deployment, acked []string) map[string]string {
	t.Helper()
	st := storetest.OpenAt(t, filepath.Join(d.dir, "slipway.db"))
	live := map[string]string{}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		var all []slipway.Deploy
		storetest.View(t, st, func(tx *store.Tx) (err error) {
			all, err = tx.Deploys(of.ID, 0, 10_000)
			return err
		})
		if slices.ContainsFunc(all, func(w slipway.Deploy) bool { return w.Status.Active() }) {
			continue
		}
		for _, w := range all {
			if w.Status == slipway.Deployed {
				live[w.Upload] = d.files[of.ID][w.Upload]
			}
		}
		break
	}
	for _, name := range acked {
		if live[name] == "" {
			t.Errorf("%s: the deploy of %s was acknowledged before the backup, and is lost", of.Name, name)
		}
	}
	return live
}

// wantMounted waits until a Deployment's mount is files, byte for byte.
func (d *drill) wantMounted(t *testing.T, of slipway.Deployment, files map[string]string) {
	t.Helper()
	var got map[string]string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if got = tree(filepath.Join(d.dir, "mounts", of.Namespace, "current", "dags")); maps.Equal(got, files) {
			return
		}
	}
	t.Errorf("%s is mounted otherwise (-want +got):\n%s", of.Name, cmp.Diff(files, got))
}

// tree returns the files below dir, as far as they can be read.
func tree(dir string) map[string]string {
	files := map[string]string{}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return files
	}
	_ = filepath.WalkDir(real, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		path, _ := filepath.Rel(real, name)
		files[path] = string(b)
		return err
	})
	return files
}

// removeAll removes a data folder with its mounts, which are read-only.
func removeAll(dir string) error {
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		return os.Chmod(name, 0o700)
	})
	return errors.Join(err, os.RemoveAll(dir))
}

// findsDamage harms the folder in three ways, one after the other, and has
// each found with the version that it affects.
func (d *drill) findsDamage(t *testing.T) {
	t.Helper()
	of := d.deployments[0]
	last := d.lastVersion(t, of)
	manifest := filepath.Join("bundles", of.Namespace, last.Dir()+".json.zst")
	packs, err := filepath.Glob(filepath.Join(d.dir, "packs", of.Namespace, "*.tar.zst"))
	if err != nil || len(packs) == 0 {
		t.Fatal(packs, err)
	}
	pack, _ := filepath.Rel(d.dir, packs[0])
	for _, tt := range []struct {
		path, says string
		harm       func(b []byte) []byte // nil removes the file
	}{
		{pack, "The pack is damaged: ", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
		{pack, "The pack is missing.", nil},
		{manifest, "The manifest is missing.", nil},
	} {
		path := filepath.Join(d.dir, tt.path)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if tt.harm == nil {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, tt.harm(bytes.Clone(whole)), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := call(t, "", "fsck", "--data", d.dir)
		wantError(t, err, "is damaged.")
		// Every deploy added to the one before, so the last version needs all packs.
		for _, part := range []string{tt.path + ": " + tt.says, "Deployment " + of.Name + ": affects the ", string(last), ": 1 damages, 0 leftovers."} {
			if !strings.Contains(text, part) {
				t.Errorf("fsck says\n%s\nwant %q", text, part)
			}
		}
		d.wantJSON(t, tt.path, last)
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (d *drill) wantJSON(t *testing.T, path string, affected slipway.Version) {
	t.Helper()
	text, err := call(t, "", "fsck", "--json", "--data", d.dir)
	wantError(t, err, "is damaged.")
	lines := json.NewDecoder(strings.NewReader(text))
	var got deploy.Damage
	var totals deploy.FsckTotals
	if err := errors.Join(lines.Decode(&got), lines.Decode(&totals)); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if got.Path != path || !slices.Contains(got.Versions, affected) || totals.Damages != 1 || totals.Deployments != 3 {
		t.Errorf("fsck --json says %s, want damage of %s", text, path)
	}
}

func (d *drill) lastVersion(t *testing.T, of slipway.Deployment) (v slipway.Version) {
	t.Helper()
	st := storetest.OpenAt(t, filepath.Join(d.dir, "slipway.db"))
	storetest.View(t, st, func(tx *store.Tx) error {
		now, err := tx.LoadDeployment(of.ID)
		v = now.Version
		return err
	})
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestBackupAndRestoreRefuse(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "b")
	_, err := call(t, "", "backup", file, "--data", dir)
	wantError(t, err, "There is no database")
	_, err = call(t, "", "fsck", "--data", dir)
	wantError(t, err, "There is no database")

	if err := os.WriteFile(file, []byte("no backup"), 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(t.TempDir(), "fresh")
	_, err = call(t, "", "restore", file, "--data", fresh)
	wantError(t, err, "This file is no backup of Slipway.")
	if _, err := os.Stat(fresh); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is there though nothing was restored: %v", err)
	}
	s := start(t, dir)
	_, err = call(t, "", "restore", file, "--data", dir)
	wantError(t, err, "is in use by another slipway")
	s.stop()
	s.wait(t)
	_, err = call(t, "", "restore", file, "--data", dir)
	wantError(t, err, "is not empty")
}

// What a restore left that was killed does not stand in the way of another.
func TestRestoreAfterOneThatWasKilled(t *testing.T) {
	dir := t.TempDir()
	if _, err := call(t, password, "user", "add", "ada@example.com", "--data", dir, "--password-stdin"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "b")
	if _, err := call(t, "", "backup", file, "--data", dir); err != nil {
		t.Fatal(err)
	}
	fresh := t.TempDir() // which is there and empty
	for _, name := range []string{".restore/packs", "bundles/some-space"} {
		if err := os.MkdirAll(filepath.Join(fresh, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := call(t, "", "restore", file, "--data", fresh); err != nil {
		t.Fatal(err)
	}
	text, err := call(t, "", "user", "list", "--data", fresh)
	if err != nil || !strings.Contains(text, "ada@example.com") {
		t.Errorf("accounts %q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(fresh, "bundles", "some-space")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the rest of the other restore is still there: %v", err)
	}
}
