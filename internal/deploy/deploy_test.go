package deploy_test

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/agent"
	"slipway/internal/archive"
	"slipway/internal/bundle"
	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// app is an engine on real stores, in a folder that a second one may use later.
type app struct {
	dir     string
	bucket  string // in which bundles are; "" for the folder
	store   *store.Store
	bundles *bundle.Store
	engine  *deploy.Engine
	storetest.World
	stop   func()                 // ends Run and waits for it
	change []func(*deploy.Config) // what differs from other engines
}

// newApp returns an engine that does not run yet.
func newApp(t *testing.T, change ...func(*deploy.Config)) *app {
	t.Helper()
	a := &app{dir: t.TempDir(), store: storetest.Open(t)}
	a.World = storetest.Seed(t, a.store)
	a.change = change
	a.build(t, change...)
	return a
}

// build makes an engine on what lies in the folder.
func (a *app) build(t *testing.T, change ...func(*deploy.Config)) {
	t.Helper()
	var err error
	if a.bucket == "" {
		a.bundles, err = bundle.Open(a.dir)
	} else {
		a.bundles, err = bundle.OpenBucket(t.Context(), a.dir, a.bucket)
	}
	if err != nil {
		t.Fatal(err)
	}
	cfg := deploy.Config{Dir: a.dir, Limits: archive.DefaultLimits(), MountTimeout: 30 * time.Second, Agent: "test"}
	for _, c := range change {
		c(&cfg)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	if a.engine, err = deploy.New(a.store, a.bundles, cfg, log); err != nil {
		t.Fatal(err)
	}
}

// run runs the engine, with real agents, until the test ends or stop is called.
func (a *app) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	done := make(chan error, 1)
	go func() {
		done <- a.engine.Run(ctx, func(ctx context.Context, d slipway.Deployment, dir string, p *deploy.LocalPortal) error {
			return agent.New(agent.Config{Dir: dir, Component: slipway.EmbeddedComponent, Portal: p, Log: log}).Run(ctx)
		})
	}()
	stopped := false
	a.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(a.stop)
}

func running(t *testing.T, change ...func(*deploy.Config)) *app {
	t.Helper()
	a := newApp(t, change...)
	a.run(t)
	return a
}

// dag returns the text of a DAG file.
func dag(text string) string { return "from airflow import DAG  # " + text + "\n" }

// upload sends an archive and returns its deploy before it is staged.
func (a *app) upload(t *testing.T, by slipway.Actor, merge slipway.Merge, b []byte) slipway.Deploy {
	t.Helper()
	u, _, err := a.engine.BeginUpload(t.Context(), a.Sales.ID, by, deploy.NewUpload{Length: int64(len(b)), Name: "dags.tar.gz", Merge: merge})
	if err != nil {
		t.Fatal(err)
	}
	w, _, err := a.engine.Append(t.Context(), u.ID, by, 0, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// staged uploads files and waits until they are checked.
func (a *app) staged(t *testing.T, by slipway.Actor, merge slipway.Merge, files map[string]string) slipway.Deploy {
	t.Helper()
	w := a.upload(t, by, merge, storetest.Archive(t, files))
	return a.await(t, w.Number, slipway.Staged)
}

var allTicks = slipway.Ticks{RemoveDAGs: true, NoDAGs: true}

// confirm confirms a staged deploy against the version it is reviewed against.
func (a *app) confirm(t *testing.T, number int, by slipway.Actor) slipway.Deploy {
	t.Helper()
	r, err := a.engine.Review(t.Context(), a.Sales.ID, number, by)
	if err != nil {
		t.Fatal(err)
	}
	w, err := a.engine.Confirm(t.Context(), a.Sales.ID, number, by, r.Base, allTicks)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// deployed takes files all the way.
func (a *app) deployed(t *testing.T, merge slipway.Merge, files map[string]string) slipway.Deploy {
	t.Helper()
	w := a.staged(t, a.Eve, merge, files)
	a.confirm(t, w.Number, a.Eve)
	return a.await(t, w.Number, slipway.Deployed)
}

func (a *app) load(t *testing.T, number int) (w slipway.Deploy) {
	t.Helper()
	storetest.View(t, a.store, func(tx *store.Tx) (err error) {
		w, err = tx.Deploy(a.Sales.ID, number)
		return err
	})
	return w
}

// await waits until a deploy has a status, and fails if it ends in another.
func (a *app) await(t *testing.T, number int, want slipway.Status) (w slipway.Deploy) {
	t.Helper()
	a.eventually(t, "deploy is "+string(want), func() bool {
		w = a.load(t, number)
		if w.Status != want && w.Status.Ended() {
			t.Fatalf("deploy #%d is %s (%q), want %s", number, w.Status, w.Reason, want)
		}
		return w.Status == want
	})
	return w
}

func (a *app) eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	changed, stop := a.engine.WatchAll()
	defer stop()
	late := time.After(20 * time.Second)
	for !is() {
		select {
		case <-changed:
		case <-time.After(20 * time.Millisecond):
		case <-late:
			t.Fatalf("it did not come to pass that %s", what)
		}
	}
}

// mounted returns the files that Airflow sees, by path.
func (a *app) mounted(t *testing.T) map[string]string {
	t.Helper()
	root := filepath.Join(a.engine.MountDir(a.Sales), "current", "dags")
	files := map[string]string{}
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return files
	}
	err = filepath.WalkDir(real, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		path, _ := filepath.Rel(real, name)
		if d.Type()&fs.ModeSymlink != 0 {
			to, err := os.Readlink(name)
			files[filepath.ToSlash(path)] = "-> " + to
			return err
		}
		b, err := os.ReadFile(name)
		files[filepath.ToSlash(path)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func (a *app) wantMounted(t *testing.T, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, a.mounted(t)); diff != "" {
		t.Errorf("mounted otherwise (-want +got):\n%s", diff)
	}
}

// current returns what current points to.
func (a *app) current(t *testing.T) string {
	t.Helper()
	to, err := os.Readlink(filepath.Join(a.engine.MountDir(a.Sales), "current"))
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func (a *app) sales(t *testing.T) (d slipway.Deployment) {
	t.Helper()
	storetest.View(t, a.store, func(tx *store.Tx) (err error) {
		d, err = tx.LoadDeployment(a.Sales.ID)
		return err
	})
	return d
}

// names returns the names of the files in a folder of the data folder.
func (a *app) names(t *testing.T, path ...string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(append([]string{a.dir}, path...)...))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (a *app) packs(t *testing.T) []string     { return a.names(t, "packs", a.Sales.Namespace) }
func (a *app) manifests(t *testing.T) []string { return a.names(t, "bundles", a.Sales.Namespace) }
func (a *app) uploads(t *testing.T) []string   { return a.names(t, "uploads") }

// wantKind fails unless err is of a kind and its text has a part.
func wantKind(t *testing.T, err error, kind slipway.Kind, part string) {
	t.Helper()
	got, text := slipway.Explain(err)
	if err == nil || got != kind || !strings.Contains(text, part) {
		t.Fatalf("%v, want kind %v and %q", err, kind, part)
	}
}
