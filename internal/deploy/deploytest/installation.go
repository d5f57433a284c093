package deploytest

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
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

// Installation is an engine with its stores and data folder. After Stop, a second
// engine may use the same folder.
type Installation struct {
	storetest.World
	Dir     string // the data folder
	Bucket  string // holds packs and manifests; "" for the data folder
	Store   *store.Store
	Bundles *bundle.Store
	Engine  *deploy.Engine
	Change  []func(*deploy.Config) // differences from the usual configuration
	stop    func()                 // ends Run and waits
}

// New returns an installation, not running yet, with packs and manifests in the
// data folder.
func New(t *testing.T, change ...func(*deploy.Config)) *Installation {
	t.Helper()
	return NewInBucket(t, "", change...)
}

// NewInBucket is New with packs and manifests in a bucket.
func NewInBucket(t *testing.T, address string, change ...func(*deploy.Config)) *Installation {
	t.Helper()
	i := &Installation{Dir: t.TempDir(), Bucket: address, Store: storetest.Open(t), Change: change}
	i.World = storetest.Seed(t, i.Store)
	i.Build(t, change...)
	return i
}

// Running returns an installation that runs until the end of the test.
func Running(t *testing.T, change ...func(*deploy.Config)) *Installation {
	t.Helper()
	i := New(t, change...)
	i.Run(t)
	return i
}

// Build makes a new engine on the store and the data folder.
func (i *Installation) Build(t *testing.T, change ...func(*deploy.Config)) {
	t.Helper()
	var err error
	if i.Bucket == "" {
		i.Bundles, err = bundle.Open(i.Dir)
	} else {
		i.Bundles, err = bundle.OpenBucket(t.Context(), i.Dir, i.Bucket)
	}
	if err != nil {
		t.Fatal(err)
	}
	cfg := deploy.Config{Dir: i.Dir, Limits: archive.DefaultLimits(), MountTimeout: 30 * time.Second, Agent: "test"}
	for _, c := range change {
		c(&cfg)
	}
	if i.Engine, err = deploy.New(i.Store, i.Bundles, cfg, logOf(t)); err != nil {
		t.Fatal(err)
	}
}

// logOf returns a log of warnings in the output of the test.
func logOf(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// Run runs the engine, with real agents, until Stop or the end of the test.
func (i *Installation) Run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log, done := logOf(t), make(chan error, 1)
	go func() {
		done <- i.Engine.Run(ctx, func(ctx context.Context, d slipway.Deployment, dir string, p *deploy.AgentPortal) error {
			return agent.New(agent.Config{Dir: dir, Component: slipway.EmbeddedComponent, Portal: p, Log: log}).Run(ctx)
		})
	}()
	stopped := false
	i.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(i.stop)
}

// Stop stops the running engine.
func (i *Installation) Stop() { i.stop() }

// Upload sends an archive and returns its deploy, not staged yet.
func (i *Installation) Upload(t *testing.T, by slipway.Actor, merge slipway.Merge, b []byte) slipway.Deploy {
	t.Helper()
	u, _, err := i.Engine.BeginUpload(t.Context(), i.Sales.ID, by, deploy.NewUpload{Length: int64(len(b)), Name: "dags.tar.gz", Merge: merge})
	if err != nil {
		t.Fatal(err)
	}
	w, _, err := i.Engine.Append(t.Context(), u.ID, by, 0, bytes.NewReader(b), -1)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Staged uploads files and returns their deploy, staged.
func (i *Installation) Staged(t *testing.T, by slipway.Actor, merge slipway.Merge, files map[string]string) slipway.Deploy {
	t.Helper()
	w := i.Upload(t, by, merge, storetest.Archive(t, files))
	return i.Await(t, w.Number, slipway.Staged)
}

// Confirm confirms a staged deploy against the base of its review.
func (i *Installation) Confirm(t *testing.T, number int, by slipway.Actor) slipway.Deploy {
	t.Helper()
	r, err := i.Engine.Review(t.Context(), i.Sales.ID, number, by)
	if err != nil {
		t.Fatal(err)
	}
	ticks := ticksFor(r)
	ticks.Review = r.Deploy.ReviewTag()
	w, err := i.Engine.Confirm(t.Context(), i.Sales.ID, number, by, r.Base, ticks)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Deployed uploads, confirms and deploys files.
func (i *Installation) Deployed(t *testing.T, merge slipway.Merge, files map[string]string) slipway.Deploy {
	t.Helper()
	w := i.Staged(t, i.Eve, merge, files)
	i.Confirm(t, w.Number, i.Eve)
	return i.Await(t, w.Number, slipway.Deployed)
}

// Return queues a return to an earlier deploy, and returns the number of the new
// deploy.
func (i *Installation) Return(t *testing.T, to int) (number int) {
	t.Helper()
	r, err := i.Engine.ReviewReturn(t.Context(), i.Sales.ID, to, i.Eve)
	if err != nil {
		t.Fatal(err)
	}
	w, err := i.Engine.Return(t.Context(), i.Sales.ID, to, i.Eve, r.Base, ticksFor(r), "")
	if err != nil {
		t.Fatal(err)
	}
	return w.Number
}

// Load returns a deploy of Sales.
func (i *Installation) Load(t *testing.T, number int) (w slipway.Deploy) {
	t.Helper()
	storetest.View(t, i.Store, func(tx *store.Tx) (err error) {
		w, err = tx.Deploy(i.Sales.ID, number)
		return err
	})
	return w
}

// Await waits for a status of a deploy, and fails the test after another end.
func (i *Installation) Await(t *testing.T, number int, want slipway.Status) (w slipway.Deploy) {
	t.Helper()
	i.Eventually(t, "deploy is "+string(want), func() bool {
		w = i.Load(t, number)
		if w.Status != want && w.Status.Ended() {
			t.Fatalf("deploy #%d is %s (%q), want %s", number, w.Status, w.Reason, want)
		}
		return w.Status == want
	})
	return w
}

// Eventually fails the test unless is returns true within 20 seconds.
func (i *Installation) Eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	changed, stop := i.Engine.WatchAll()
	defer stop()
	late := time.After(20 * time.Second)
	for !is() {
		select {
		case <-changed:
		case <-time.After(20 * time.Millisecond):
		case <-late:
			t.Fatalf("not within 20 seconds: %s", what)
		}
	}
}

// Mounted returns the files that Airflow sees, by path.
func (i *Installation) Mounted(t *testing.T) map[string]string {
	t.Helper()
	root := filepath.Join(i.Engine.MountDir(i.Sales), "current", "dags")
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

// WantMounted fails the test unless Airflow sees the files of want and no others.
func (i *Installation) WantMounted(t *testing.T, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, i.Mounted(t)); diff != "" {
		t.Errorf("mounted otherwise (-want +got):\n%s", diff)
	}
}

// Current returns the target of the link current.
func (i *Installation) Current(t *testing.T) string {
	t.Helper()
	to, err := os.Readlink(filepath.Join(i.Engine.MountDir(i.Sales), "current"))
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// Names returns the names of the files in a folder of the data folder.
func (i *Installation) Names(t *testing.T, path ...string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(append([]string{i.Dir}, path...)...))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Packs returns the names of the packs of Sales.
func (i *Installation) Packs(t *testing.T) []string { return i.Names(t, "packs", i.Sales.Namespace) }

// Pack returns the path of a pack of Sales.
func (i *Installation) Pack(name string) string {
	return filepath.Join(i.Dir, "packs", i.Sales.Namespace, name)
}

// Manifest returns the path of the manifest of a version of Sales.
func (i *Installation) Manifest(v slipway.Version) string {
	return filepath.Join(i.Dir, "bundles", i.Sales.Namespace, v.Dir()+".json.zst")
}
