package deploy_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// later lets time pass, for an engine that does not run.
func (a *app) later(by time.Duration) {
	now := a.Store.Now
	a.Store.Now = func() time.Time { return now().Add(by) }
}

func (a *app) retainAside(t *testing.T) {
	t.Helper()
	if err := a.Engine.RetainAside(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// put writes a file that no record names.
func (a *app) put(t *testing.T, path string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte("x"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ageTo makes a file and its folder so old, by the store's clock.
func (a *app) ageTo(t *testing.T, path string, age time.Duration) {
	t.Helper()
	then := a.Store.Now().Add(-age)
	for _, name := range []string{path, filepath.Dir(path)} {
		if err := os.Chtimes(name, then, then); err != nil {
			t.Fatal(err)
		}
	}
}

// onDisk returns the names of all files that are kept, and of uploads.
func (a *app) onDisk(t *testing.T) (all []string) {
	t.Helper()
	for _, kind := range []string{"bundles", "packs", "uploads", "registry"} {
		err := filepath.WalkDir(filepath.Join(a.Dir, kind), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && d.IsDir() {
				return nil
			}
			all = append(all, strings.TrimPrefix(path, a.Dir))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func (a *app) asides(t *testing.T) (all []string) {
	t.Helper()
	storetest.View(t, a.Store, func(tx *store.Tx) error {
		noted, err := tx.OrphanedNamespaces()
		for _, n := range noted {
			all = append(all, n.Namespace)
		}
		return err
	})
	return all
}

func (a *app) wantOnDisk(t *testing.T, when string, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, a.onDisk(t)); diff != "" {
		t.Errorf("%s, there are other files:\n%s", when, diff)
	}
}

// A namespace that no record names is deleted after days by a portal that runs,
// and never by a start.
func TestUnnamedNamespaceIsSetAside(t *testing.T) {
	a := newApp(t)
	mine := a.onDisk(t)
	image := "registry/docker/registry/v2/repositories/gone-moon-0003/airflow/_manifests/revisions/sha256/" + strings.Repeat("ab", 32) + "/link"
	for _, path := range []string{"bundles/gone-nova-0001/x.json.zst", "packs/gone-star-0002/y.tar.zst", image} {
		a.put(t, filepath.Join(a.Dir, path))
		a.ageTo(t, filepath.Join(a.Dir, path), 1000*time.Hour)
	}
	all := a.onDisk(t)
	for _, pass := range []time.Duration{0, time.Hour, slipway.OrphanLife - time.Hour - time.Second} {
		a.later(pass)
		a.Build(t)
		a.wantOnDisk(t, "after a start", all)
		a.retainAside(t)
		a.retainImages(t)
		a.wantOnDisk(t, "after a sweep", all)
	}
	if diff := cmp.Diff([]string{"gone-moon-0003", "gone-nova-0001", "gone-star-0002"}, a.asides(t)); diff != "" {
		t.Errorf("set aside:\n%s", diff)
	}
	a.later(time.Second)
	a.Build(t)
	a.wantOnDisk(t, "after a start when it is over", all)
	a.retainAside(t)
	a.wantOnDisk(t, "after a sweep when it is over", mine)
	if got := a.asides(t); len(got) != 0 {
		t.Errorf("still set aside: %v", got)
	}
}

func (a *app) retainImages(t *testing.T) {
	t.Helper()
	if err := a.Engine.RetainImages(t.Context(), a.Sales); err != nil {
		t.Fatal(err)
	}
}

// What a record names again is not set aside any more, and neither is what is
// no longer there.
func TestNamedAgain(t *testing.T) {
	a := newApp(t)
	a.put(t, filepath.Join(a.Dir, "packs", a.Sales.Namespace, "x"))
	storetest.Update(t, a.Store, func(tx *store.Tx) error {
		return errors.Join(tx.AddOrphanedNamespace(a.Sales.Namespace), tx.AddOrphanedNamespace("gone-nova-0001"))
	})
	a.later(slipway.OrphanLife)
	a.Build(t)
	a.retainAside(t)
	if got := a.asides(t); len(got) != 0 || len(a.Packs(t)) != 1 {
		t.Errorf("set aside %v, packs %v", got, a.Packs(t))
	}
}

// Records that are older than the files delete nothing that they do not name,
// nor what they would have expire, for days; then what is left is a leftover.
func TestOlderRecords(t *testing.T) {
	for name, tt := range map[string]struct {
		set func(t *testing.T, a *app, staged slipway.Deploy)
	}{
		"a manifest of no deploy": {func(t *testing.T, a *app, staged slipway.Deploy) {
			a.put(t, a.Manifest(slipway.NextVersion(time.Now(), staged.Version)))
		}},
		"a manifest of a deploy that waits": {func(t *testing.T, a *app, staged slipway.Deploy) { a.put(t, a.Manifest(staged.Version)) }},
		"an older start": {func(t *testing.T, a *app, _ slipway.Deploy) {
			if _, _, err := a.Store.CountStart(t.Context(), 7, false); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a := running(t)
			a.deployMany(t, 12)
			w := a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{"a.py": dag("waits")})
			a.Stop()
			a.put(t, a.Pack(strings.Repeat("ab", 32)+".tar.zst"))
			a.put(t, filepath.Join(a.Dir, "uploads", "01other"))
			tt.set(t, a, w)
			all := a.onDisk(t)
			a.Build(t) // notes it
			a.keepFor(t, 1)
			if _, err := a.Engine.Cancel(t.Context(), a.Sales.ID, w.Number, a.Eve); err != nil {
				t.Fatal(err)
			}
			for _, pass := range []time.Duration{time.Hour, slipway.OrphanLife - time.Hour - time.Minute} {
				a.later(pass)
				a.Build(t)
				a.expire(t)
				a.wantOnDisk(t, "in the meantime", all)
			}
			a.later(time.Minute)
			a.Build(t)
			a.expire(t)
			kept := map[string]bool{}
			for _, name := range a.onDisk(t) {
				kept[filepath.Base(name)] = true
			}
			if len(a.manifests(t)) != 10 || kept["01other"] || kept[strings.Repeat("ab", 32)+".tar.zst"] || len(a.asides(t)) != 0 {
				t.Errorf("afterwards there are %v, set aside %v", a.onDisk(t), a.asides(t))
			}
		})
	}
}

// expire does what a running engine does from time to time.
func (a *app) expire(t *testing.T) {
	t.Helper()
	err := a.Engine.RetainVersions(t.Context(), a.Sales.ID)
	if err := errors.Join(err, a.Engine.StageAll(t.Context(), a.Sales.ID), a.Engine.RetainAside(t.Context()), a.Engine.RetainImages(t.Context(), a.Sales)); err != nil {
		t.Fatal(err)
	}
}

// Under records that are older than the files, a deploy takes nothing away that
// other records may name: neither a manifest of its version that says something
// else, nor a pack like its own.
func TestOlderRecordsKeepWhatADeployFinds(t *testing.T) {
	a, one, two := crashed(t)
	two.Status = slipway.Deploying
	a.save(t, two)
	files, err := a.Engine.Files(t.Context(), a.Sales, one.Version)
	if err == nil {
		_, err = a.Bundles.PutManifest(a.Sales.Namespace, slipway.Manifest{Version: two.Version, Files: files})
	}
	if err == nil {
		_, _, err = a.Store.CountStart(t.Context(), 7, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.strayPack(t, a.Sales.Namespace)
	all := a.onDisk(t)
	a.Build(t)
	for _, name := range a.Packs(t) {
		if err := a.Engine.DropStray(t.Context(), a.Sales, strings.TrimSuffix(name, ".tar.zst")); err != nil {
			t.Fatal(err)
		}
	}
	a.Run(t)
	a.Await(t, two.Number, slipway.Failed)
	a.wantOnDisk(t, "after the deploy", all)
	stored, err := a.Bundles.Manifest(a.Sales.Namespace, two.Version)
	if err != nil || len(stored.Files) != len(files) {
		t.Errorf("its manifest is %+v, %v; want the one that was there", stored, err)
	}
}
