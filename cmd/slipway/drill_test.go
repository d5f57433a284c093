package main

import (
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway/e2e/program"
	"slipway/internal/durable"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

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
func (d *drill) load(t *testing.T, p *program.Visitor, of slipway.DeploymentID, stop <-chan struct{}) {
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
		if err := deployFile(p, of, name, text); err != nil {
			t.Error(err)
			return
		}
		d.mu.Lock()
		d.acked[of] = append(d.acked[of], name)
		d.mu.Unlock()
	}
}

// visitor is Ada, signed in at a portal.
func visitor(t *testing.T, base string) *program.Visitor {
	t.Helper()
	return program.NewVisitor(t.Context(), base, program.SignInAda(t, base))
}

// deployFile uploads a file by the plain form, and confirms the deploy without
// ticks: after a return without an error, the deploy is acknowledged.
func deployFile(v *program.Visitor, of slipway.DeploymentID, name, text string) error {
	r, err := v.UploadByForm(of, slipway.AddFiles, name, []byte(text))
	if err == nil && r.Status != http.StatusSeeOther {
		err = fmt.Errorf("answer %d: %s", r.Status, r.Body)
	}
	if err != nil {
		return err
	}
	page := r.Location()
	form, ok, err := v.Consent(page, 20*time.Second)
	if err == nil && !ok {
		err = fmt.Errorf("%s is not staged", page)
	}
	if err != nil {
		return err
	}
	r, err = v.Form(page+"/confirm", form)
	if err == nil && r.Status != http.StatusSeeOther {
		err = fmt.Errorf("confirm: answer %d: %s", r.Status, r.Body)
	}
	return err
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
		if err := deployFile(visitor(t, s.base), of.ID, "new.py", "from airflow import DAG"); err != nil {
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
		p := visitor(t, s.base)
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
	if err := durable.RemoveTree(d.dir); err != nil {
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
