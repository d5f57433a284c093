package deploy_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/internal/backup"
	"slipway/internal/bundle"
	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// backup writes a backup of a's folder as another process does.
func (a *app) backup(t *testing.T) ([]byte, error) {
	t.Helper()
	var b bytes.Buffer
	_, err := backup.Write(t.Context(), a.store, bundle.Attach(a.dir), a.dir, t.TempDir(), &b, func(int64, int64) {})
	return b.Bytes(), err
}

func restore(t *testing.T, b []byte) (dir string, err error) {
	t.Helper()
	dir = t.TempDir()
	attach := func(dir string) (*bundle.Store, error) { return bundle.Attach(dir), nil }
	return dir, backup.Read(t.Context(), bytes.NewReader(b), dir, attach, func(int64) {})
}

// restoredApp runs a new engine on what was restored to dir.
func (a *app) restoredApp(t *testing.T, dir string) *app {
	t.Helper()
	b := &app{dir: dir, store: storetest.OpenAt(t, filepath.Join(dir, "slipway.db")), World: a.World}
	b.build(t)
	b.run(t)
	return b
}

func TestBackupAndRestore(t *testing.T) {
	a, v, _ := threeVersions(t)
	waiting := a.staged(t, a.Eve, slipway.AddFiles, map[string]string{"c.py": dag("c")})
	_, arriving, err := a.engine.BeginUpload(t.Context(), a.Sales.ID, a.Eve, deploy.NewUpload{Length: 1000, Name: "d.tar", Merge: slipway.AddFiles})
	if err != nil {
		t.Fatal(err)
	}
	want := a.mounted(t)
	file, err := a.backup(t)
	if err != nil {
		t.Fatal(err)
	}
	a.stop()
	dir, err := restore(t, file)
	if err != nil {
		t.Fatal(err)
	}

	b := a.restoredApp(t, dir)

	b.eventually(t, "the version is mounted", func() bool { return len(b.mounted(t)) > 0 })
	if at := b.current(t); !strings.HasSuffix(at, v[2].Dir()) {
		t.Errorf("current points to %s, want %s", at, v[2])
	}
	b.wantMounted(t, want)
	if w := b.load(t, arriving.Number); w.Status != slipway.Failed || !strings.Contains(w.Reason, "was not part of the backup") || w.EndedAt.IsZero() {
		t.Errorf("the deploy that was arriving is %s (%q)", w.Status, w.Reason)
	}
	b.confirm(t, waiting.Number, b.Eve)
	b.await(t, waiting.Number, slipway.Deployed)
	want["c.py"] = dag("c")
	b.wantMounted(t, want)
	if all, _ := b.fsck(t); len(all) > 0 {
		t.Errorf("damages %+v", all)
	}
}

// A deploy that was in the middle of going live goes on after a restore.
func TestRestoredQueueGoesOn(t *testing.T) {
	a := newApp(t)
	a.run(t)
	w := a.staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("a")})
	a.stop()
	a.build(t) // an engine that does not run: what is confirmed stays queued
	a.confirm(t, w.Number, a.Eve)
	file, err := a.backup(t)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := restore(t, file)
	if err != nil {
		t.Fatal(err)
	}
	b := a.restoredApp(t, dir)
	b.await(t, w.Number, slipway.Deployed)
	b.wantMounted(t, map[string]string{"a.py": dag("a")})
}

// While a backup is written nothing that it names is removed; then it is.
func TestBackupHoldsBackRemoval(t *testing.T) {
	a := running(t)
	w := a.staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("a")})
	var file bytes.Buffer
	held := &gate{w: &file, reached: make(chan struct{}), open: make(chan struct{})}
	done := make(chan error)
	go func() {
		_, err := backup.Write(t.Context(), a.store, bundle.Attach(a.dir), a.dir, t.TempDir(), held, func(int64, int64) {})
		done <- err
	}()
	<-held.reached

	if _, err := a.engine.Cancel(t.Context(), a.Sales.ID, w.Number, a.Eve); err != nil {
		t.Fatal(err)
	}
	other := a.staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"b.py": dag("b")}) // it has looked for unused packs by now
	if n := len(a.packs(t)); n != 2 {
		t.Errorf("%d packs while the backup is written, want 2", n)
	}
	close(held.open)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := restore(t, file.Bytes()); err != nil {
		t.Errorf("restore: %v", err)
	}
	if _, err := a.engine.Cancel(t.Context(), a.Sales.ID, other.Number, a.Eve); err != nil {
		t.Fatal(err)
	}
	a.eventually(t, "the packs are gone", func() bool { return len(a.packs(t)) == 0 })
}

// gate lets nothing through until it is opened.
type gate struct {
	w       io.Writer
	reached chan struct{}
	open    chan struct{}
	once    bool
}

func (g *gate) Write(b []byte) (int, error) {
	if !g.once {
		g.once = true
		close(g.reached)
		<-g.open
	}
	return g.w.Write(b)
}

// The folders of a deleted Deployment stay while a backup may name them.
func TestBackupHoldsBackDeletion(t *testing.T) {
	a := running(t)
	a.deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a")})
	var lease string
	storetest.Update(t, a.store, func(tx *store.Tx) (err error) {
		lease, err = tx.TakeLease("backup", time.Minute)
		return err
	})
	if err := a.engine.Delete(t.Context(), a.Sales.ID, a.Oli, "sales-prod"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond) // longer than the engine waits between two looks
	if n := len(a.packs(t)); n != 1 {
		t.Errorf("%d packs, want 1", n)
	}
	storetest.Update(t, a.store, func(tx *store.Tx) error { return tx.EndLease(lease) })
	a.eventually(t, "the packs are gone", func() bool { return len(a.packs(t)) == 0 })
}

// Versions that have expired stay while a backup may name them.
func TestBackupHoldsBackRetention(t *testing.T) {
	a, pass := aged(t)
	a.deployMany(t, slipway.DefaultKeepVersions+1)
	var lease string
	storetest.Update(t, a.store, func(tx *store.Tx) (err error) {
		lease, err = tx.TakeLease("backup", 1000*24*time.Hour)
		return err
	})
	pass(slipway.DefaultKeepDays + 1)
	if err := a.engine.RetainAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(a.kept(t)); n != slipway.DefaultKeepVersions+1 {
		t.Errorf("%d versions are kept, want all", n)
	}
	storetest.Update(t, a.store, func(tx *store.Tx) error { return tx.EndLease(lease) })
	a.eventually(t, "the first has expired", func() bool {
		return len(a.kept(t)) == slipway.DefaultKeepVersions && len(a.manifests(t)) == slipway.DefaultKeepVersions
	})
}

func TestBackupSaysWhatIsMissing(t *testing.T) {
	for name, tt := range map[string]struct {
		harm func(a *app, v slipway.Version, pack string)
		says string
	}{
		"pack":         {func(_ *app, _ slipway.Version, pack string) { remove(t, pack) }, " is missing, so there would be no whole backup."},
		"manifest":     {func(a *app, v slipway.Version, _ string) { remove(t, a.manifest(v)) }, "The manifest of version "},
		"flipped byte": {func(_ *app, _ slipway.Version, pack string) { flip(t, pack, 50) }, " is damaged, so there would be no whole backup."},
	} {
		t.Run(name, func(t *testing.T) {
			a, v, packs := threeVersions(t)
			tt.harm(a, v[0], a.pack(packs[0]))
			_, err := a.backup(t)
			wantKind(t, err, slipway.Invalid, tt.says)
		})
	}
}

func TestRestoreRefuses(t *testing.T) {
	a, _, _ := threeVersions(t)
	file, err := a.backup(t)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		file []byte
		says string
	}{
		"nothing":           {nil, "is no backup of Slipway"},
		"another file":      {[]byte(strings.Repeat("no tar ", 500)), "is no backup of Slipway"},
		"another tar":       {members(t, file, func(name string, _ []byte) bool { return name != "slipway.db.zst" }), "is no backup of Slipway"},
		"cut in the middle": {file[:len(file)/2], "cut off or damaged"},
		"without the sums":  {members(t, file, func(name string, _ []byte) bool { return name != "SHA256SUMS" }), "cut off or damaged"},
		"a flipped byte": {members(t, file, func(name string, b []byte) bool {
			if strings.HasPrefix(name, "packs/") {
				b[40] ^= 1
			}
			return true
		}), "is not what was backed up"},
		"a pack left out":     {members(t, file, leftOut("packs/")), "is not what was backed up"},
		"a manifest left out": {members(t, file, leftOut("bundles/")), "is not what was backed up"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := restore(t, tt.file)
			wantKind(t, err, slipway.Invalid, tt.says)
		})
	}
}

// leftOut leaves the first member out whose name begins with prefix.
func leftOut(prefix string) func(string, []byte) bool {
	done := false
	return func(name string, _ []byte) bool {
		first := !done && strings.HasPrefix(name, prefix)
		done = done || first
		return !first
	}
}

// members returns the tar with those members that keep wants, as it changed
// them.
func members(t *testing.T, file []byte, keep func(name string, b []byte) bool) []byte {
	t.Helper()
	var out bytes.Buffer
	in, w := tar.NewReader(bytes.NewReader(file)), tar.NewWriter(&out)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if !keep(h.Name, b) {
			continue
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
