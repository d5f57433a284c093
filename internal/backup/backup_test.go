package backup_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/backup"
	"slipway/internal/bundle"
	"slipway/internal/deploy"
	"slipway/internal/deploy/deploytest"
	"slipway/internal/slipway"
	"slipway/store/storetest"
)

// write returns a backup of a, written as another process does.
func write(t *testing.T, a *deploytest.Installation) ([]byte, error) {
	t.Helper()
	var b bytes.Buffer
	_, err := backup.Write(t.Context(), a.Store, bundle.Attach(a.Dir), a.Dir, t.TempDir(), &b, func(int64, int64) {})
	return b.Bytes(), err
}

// restore unpacks a backup into a new data folder.
func restore(t *testing.T, b []byte) (dir string, err error) {
	t.Helper()
	dir = t.TempDir()
	attach := func(dir string) (*bundle.Store, error) { return bundle.Attach(dir), nil }
	return dir, backup.Read(t.Context(), bytes.NewReader(b), dir, attach, func(int64) {})
}

// restored returns an installation, not built yet, on the restored data folder of
// a.
func restored(t *testing.T, a *deploytest.Installation, dir string) *deploytest.Installation {
	t.Helper()
	return &deploytest.Installation{Dir: dir, Bucket: a.Bucket, Store: storetest.OpenAt(t, filepath.Join(dir, "slipway.db")), World: a.World}
}

// runRestored runs a new engine on the restored data folder of a.
func runRestored(t *testing.T, a *deploytest.Installation, dir string) *deploytest.Installation {
	t.Helper()
	b := restored(t, a, dir)
	b.Build(t)
	b.Run(t)
	return b
}

func TestBackupAndRestore(t *testing.T) {
	a, v, _ := threeVersions(t)
	waiting := a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{"c.py": deploytest.DAG("c")})
	_, arriving, err := a.Engine.BeginUpload(t.Context(), a.Sales.ID, a.Eve, deploy.NewUpload{Length: 1000, Name: "d.tar", Merge: slipway.AddFiles})
	if err != nil {
		t.Fatal(err)
	}
	want := a.Mounted(t)
	file, err := write(t, a)
	if err != nil {
		t.Fatal(err)
	}
	a.Stop()
	dir, err := restore(t, file)
	if err != nil {
		t.Fatal(err)
	}

	b := runRestored(t, a, dir)

	b.Eventually(t, "the version is mounted", func() bool { return len(b.Mounted(t)) > 0 })
	if at := b.Current(t); !strings.HasSuffix(at, v[2].Dir()) {
		t.Errorf("current points to %s, want %s", at, v[2])
	}
	b.WantMounted(t, want)
	if w := b.Load(t, arriving.Number); w.Status != slipway.Failed || !strings.Contains(w.Reason, "was not part of the backup") || w.EndedAt.IsZero() {
		t.Errorf("the deploy that was arriving is %s (%q)", w.Status, w.Reason)
	}
	b.Confirm(t, waiting.Number, b.Eve)
	b.Await(t, waiting.Number, slipway.Deployed)
	want["c.py"] = deploytest.DAG("c")
	b.WantMounted(t, want)
	if all, _ := fsck(t, b); len(all) > 0 {
		t.Errorf("damages %+v", all)
	}
}

// A deploy that was in the middle of going live goes on after a restore.
func TestRestoredQueueGoesOn(t *testing.T) {
	a := deploytest.New(t)
	a.Run(t)
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": deploytest.DAG("a")})
	a.Stop()
	a.Build(t) // an engine that does not run: what is confirmed stays queued
	a.Confirm(t, w.Number, a.Eve)
	file, err := write(t, a)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := restore(t, file)
	if err != nil {
		t.Fatal(err)
	}
	b := runRestored(t, a, dir)
	b.Await(t, w.Number, slipway.Deployed)
	b.WantMounted(t, map[string]string{"a.py": deploytest.DAG("a")})
}

// While a backup is written nothing that it names is removed; then it is.
func TestBackupHoldsBackRemoval(t *testing.T) {
	a := deploytest.Running(t)
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": deploytest.DAG("a")})
	var file bytes.Buffer
	held := &gate{w: &file, reached: make(chan struct{}), open: make(chan struct{})}
	done := make(chan error)
	go func() {
		_, err := backup.Write(t.Context(), a.Store, bundle.Attach(a.Dir), a.Dir, t.TempDir(), held, func(int64, int64) {})
		done <- err
	}()
	<-held.reached

	if _, err := a.Engine.Cancel(t.Context(), a.Sales.ID, w.Number, a.Eve); err != nil {
		t.Fatal(err)
	}
	other := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"b.py": deploytest.DAG("b")}) // it has looked for unused packs by now
	if n := len(a.Packs(t)); n != 2 {
		t.Errorf("%d packs while the backup is written, want 2", n)
	}
	close(held.open)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := restore(t, file.Bytes()); err != nil {
		t.Errorf("restore: %v", err)
	}
	if _, err := a.Engine.Cancel(t.Context(), a.Sales.ID, other.Number, a.Eve); err != nil {
		t.Fatal(err)
	}
	a.Eventually(t, "the packs are gone", func() bool { return len(a.Packs(t)) == 0 })
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

func TestBackupSaysWhatIsMissing(t *testing.T) {
	for name, tt := range map[string]struct {
		harm func(a *deploytest.Installation, v slipway.Version, pack string)
		says string
	}{
		"pack":         {func(_ *deploytest.Installation, _ slipway.Version, pack string) { remove(t, pack) }, " is missing, so there would be no whole backup."},
		"manifest":     {func(a *deploytest.Installation, v slipway.Version, _ string) { remove(t, a.Manifest(v)) }, "The manifest of version "},
		"flipped byte": {func(_ *deploytest.Installation, _ slipway.Version, pack string) { flip(t, pack, 50) }, " is damaged, so there would be no whole backup."},
	} {
		t.Run(name, func(t *testing.T) {
			a, v, packs := threeVersions(t)
			tt.harm(a, v[0], a.Pack(packs[0]))
			_, err := write(t, a)
			deploytest.WantKind(t, err, slipway.Invalid, tt.says)
		})
	}
}

func TestRestoreRefuses(t *testing.T) {
	a, _, _ := threeVersions(t)
	file, err := write(t, a)
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
			deploytest.WantKind(t, err, slipway.Invalid, tt.says)
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
