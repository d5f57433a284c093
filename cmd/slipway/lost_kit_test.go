package main

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/e2e/program"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway/internal/datadir"
	"slipway/internal/durable"
	"slipway/internal/image/dockertest"
)

// wreck is a data folder as a kill left it, with deploys of DAGs and of an image
// in it, of which each case makes a copy.
type wreck struct {
	program.Installation
	origin string // the folder as it was
	older  string // its database before the last deploys
	newer  string // its database as a newer Slipway would leave it
	last   string // the text of the DAG that was deployed last
}

func newWreck(t *testing.T) *wreck {
	t.Helper()
	w := &wreck{last: "from airflow import DAG  # 3\n"}
	dir := t.TempDir()
	w.Installation = *program.Install(t, "http", "--reserve", "0")
	w.deployDAG(t, "from airflow import DAG  # 1\n")
	w.deployImage(t, "1")
	w.Process.Terminate(t)
	w.older = filepath.Join(dir, "older.db")
	if err := program.CopyFile(w.database(), w.older); err != nil {
		t.Fatal(err)
	}
	w.Start(t, "http", []string{"--reserve", "0"})
	w.deployDAG(t, "from airflow import DAG  # 2\n")
	w.deployImage(t, "2")
	w.deployDAG(t, w.last)
	w.Process.Kill()
	w.origin, w.newer = filepath.Join(dir, "origin"), filepath.Join(dir, "newer.db")
	if err := os.Rename(w.Data, w.origin); err != nil {
		t.Fatal(err)
	}
	w.Data = w.origin
	execute(t, w.database(), `VACUUM INTO '`+w.newer+`'`)
	execute(t, w.newer, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`)
	return w
}

func (w *wreck) database() string { return filepath.Join(w.Data, datadir.Database) }

// execute runs a statement on a copy of the database at path, or on path itself
// if nothing is beside it.
func execute(t *testing.T, path, statement string) {
	t.Helper()
	if sizeOnDisk(path+"-wal") > 0 {
		copied := filepath.Join(t.TempDir(), "copied.db")
		for _, suffix := range []string{"", "-wal"} {
			if err := program.CopyFile(path+suffix, copied+suffix); err != nil {
				t.Fatal(err)
			}
		}
		path = copied
	}
	db, err := sql.Open("sqlite", path)
	if err == nil {
		_, err = db.ExecContext(t.Context(), statement)
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func sizeOnDisk(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func (w *wreck) deployDAG(t *testing.T, text string) {
	t.Helper()
	w.sends(t, url.Values{}, program.ArchiveOf(map[string]string{"dags/sales.py": text}))
}

func (w *wreck) deployImage(t *testing.T, tag string) {
	t.Helper()
	img := dockertest.Image(t, map[string][]byte{"/usr/local/airflow/app": []byte(tag)}, func(c *v1.Config) {
		c.Labels = map[string]string{"io.astronomer.docker.runtime.version": "3.1-4"}
	})
	name := w.Namespace + "/airflow:" + tag
	dockertest.Push(t, img, strings.TrimPrefix(w.Base, "http://")+"/"+name, remote.WithAuth(&authn.Basic{Username: "ci", Password: w.Token}))
	w.sends(t, url.Values{"type": {"IMAGE_ONLY"}, "image": {name}}, nil)
}

// sends makes a deploy by the API and waits until it runs.
func (w *wreck) sends(t *testing.T, query url.Values, body []byte) {
	t.Helper()
	query.Set("wait", "60s")
	at := w.Base + "/v1/organizations/" + w.OrganizationID + "/deployments/" + string(w.DeploymentID) + "/deploys/upload?" + query.Encode()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.Token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	_, err = text.ReadFrom(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(text.String(), "DEPLOYED") {
		t.Fatalf("answer %d, %v: %s", resp.StatusCode, err, text.String())
	}
}

// copied makes the folder that a case harms.
func (w *wreck) copied(t *testing.T) *wreck {
	t.Helper()
	c := *w
	c.Data = filepath.Join(t.TempDir(), "data")
	if out, err := exec.Command("cp", "-a", w.origin, c.Data).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
	t.Cleanup(func() { _ = durable.RemoveTree(c.Data) }) // read-only folders keep the test's own from going
	return &c
}

// restores puts the database back as the kill left it, with its -wal.
func (w *wreck) restores(t *testing.T) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.RemoveAll(w.database() + suffix); err != nil {
			t.Fatal(err)
		}
		err := program.CopyFile(filepath.Join(w.origin, datadir.Database)+suffix, w.database()+suffix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// refuses runs a command of the built binary, which has to end with a
// sentence, and checks that it leaves the folder as it was.
func (w *wreck) refuses(t *testing.T, says string, argv ...string) {
	t.Helper()
	before := w.listing(t)
	p := program.Launch(t, t.TempDir(), append([]string{program.Build(t, "slipway")}, argv...)...)
	if base := p.Ready(); base != "" {
		p.Kill()
		t.Errorf("%s: it starts:\n%s", argv[0], p.Tail())
	}
	<-p.Ended
	text := strings.ReplaceAll(p.Tail(), w.Data, "DATA")
	if got := strings.TrimSpace(text); got != "slipway: "+says {
		t.Errorf("%s says\n%s\nwant\nslipway: %s", argv[0], got, says)
	}
	wantSameFiles(t, before, w.listing(t))
}

// listing is every file of the folder with its sum, every link and every folder,
// but what comes with opening it: the lock, and the index of the -wal.
func (w *wreck) listing(t *testing.T) map[string]string {
	t.Helper()
	return listed(t, w.Data, "lock", datadir.Database+"-shm")
}

// runs starts the portal and checks that all is there that was deployed.
func (w *wreck) runs(t *testing.T) {
	t.Helper()
	w.Start(t, "http", []string{"--reserve", "0"})
	if strings.Contains(w.Process.Output.String(), "/setup/") {
		t.Errorf("it prints a set-up link:\n%s", w.Process.Tail())
	}
	program.Until(t, "the version that was deployed last is current", func() bool {
		b, err := os.ReadFile(filepath.Join(w.Data, "mounts", w.Namespace, "current", "dags", "sales.py"))
		return err == nil && string(b) == w.last
	})
	p := visitor(t, w.Base)
	for _, page := range []string{"", "/deploys", "/versions"} {
		r, err := p.Page(program.DeploymentURL(w.DeploymentID) + page)
		if err != nil || !strings.Contains(r.Body, "sales-prod") {
			t.Errorf("page %q: %v\n%s", page, err, r.Body)
		}
	}
	text, err := call(t, "", "fsck", "--data", w.Data)
	if err != nil || !strings.Contains(text, "0 damages, 0 leftovers") {
		t.Errorf("fsck: %v\n%s", err, text)
	}
	w.deployDAG(t, "from airflow import DAG  # afterwards\n")
	w.Process.Terminate(t)
}

// listed returns what lies below dir, but for some names: by path, the sum of a
// file, the target of a link, or that it is a folder.
func listed(t *testing.T, dir string, but ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(strings.TrimPrefix(path, dir), "/")
		if err != nil || slices.Contains(but, name) {
			return err
		}
		all[name] = d.Type().String()
		if d.Type()&fs.ModeSymlink != 0 {
			all[name], err = os.Readlink(path)
		}
		if d.Type().IsRegular() {
			var b []byte
			b, err = os.ReadFile(path)
			sum := sha256.Sum256(b)
			all[name] = hex.EncodeToString(sum[:])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func wantSameFiles(t *testing.T, before, after map[string]string) {
	t.Helper()
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the folder has changed (-before +after):\n%s", diff)
	}
}
