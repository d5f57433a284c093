package deploy_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/mount"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// manySmall is one more small pack than a version may rely on.
const manySmall = 33

// oneByOne adds n files in a deploy each, and returns all of them.
func (a *app) oneByOne(t *testing.T, n int) map[string]string {
	t.Helper()
	all := map[string]string{}
	for i := range n {
		name := fmt.Sprintf("dag_%02d.py", i)
		all[name] = dag(fmt.Sprint("number ", i))
		a.Deployed(t, slipway.AddFiles, map[string]string{name: all[name]})
	}
	return all
}

// awaitMerge waits until the small packs have become one, beside them.
func (a *app) awaitMerge(t *testing.T) {
	t.Helper()
	a.Eventually(t, "the packs are merged", func() (merged bool) {
		storetest.View(t, a.Store, func(tx *store.Tx) error {
			known, err := tx.Packs(a.Sales.ID)
			merged = len(known) == manySmall+1
			return err
		})
		return merged
	})
}

// countedPacks is a Source that counts the packs that are read.
type countedPacks struct {
	mount.Source
	read map[string]bool
}

func (c countedPacks) Frames(ctx context.Context, pack string, offset, length int64) (io.ReadCloser, error) {
	c.read[pack] = true
	return c.Source.Frames(ctx, pack, offset, length)
}

// mountAnew mounts the version of a deploy where nothing was before, and
// returns its files and how many packs were read for them.
func (a *app) mountAnew(t *testing.T, number int) (files map[string]string, packs int) {
	t.Helper()
	dir := t.TempDir()
	m, err := mount.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	p := a.Engine.Portal(a.Sales)
	man, err := a.Bundles.Manifest(a.Sales.Namespace, a.Load(t, number).Version)
	if err != nil {
		t.Fatal(err)
	}
	src := countedPacks{p, map[string]bool{}}
	if err := m.Mount(t.Context(), man.Version, src, nil); err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	for _, f := range man.Files {
		b, err := os.ReadFile(filepath.Join(dir, "current", "dags", f.Path))
		if err != nil {
			t.Fatal(err)
		}
		files[f.Path] = string(b)
	}
	return files, len(src.read)
}

func (a *app) wantAnew(t *testing.T, number int, want map[string]string, packs int) {
	t.Helper()
	got, n := a.mountAnew(t, number)
	if diff := cmp.Diff(want, got); diff != "" || n != packs {
		t.Errorf("#%d reads %d packs, want %d (-want +got):\n%s", number, n, packs, diff)
	}
}

func TestSmallPacksAreMerged(t *testing.T) {
	a := newApp(t)
	a.elsewhere(t)
	a.Run(t)
	all := a.oneByOne(t, manySmall)
	a.awaitMerge(t)
	a.wantAnew(t, manySmall, all, manySmall) // manifests never change

	all["one more.py"] = dag("one more")
	w := a.Deployed(t, slipway.AddFiles, map[string]string{"one more.py": all["one more.py"]})
	a.wantAnew(t, w.Number, all, 2)

	all["the same.py"] = all["dag_07.py"]
	w = a.Deployed(t, slipway.AddFiles, map[string]string{"the same.py": all["the same.py"]})
	if w.Counts.NewBytes != 0 {
		t.Errorf("%d bytes were stored of a content that is in the merged pack", w.Counts.NewBytes)
	}
	a.wantAnew(t, w.Number, all, 2)

	five := map[string]string{}
	for i := range 5 {
		name := fmt.Sprintf("dag_%02d.py", i)
		five[name] = all[name]
	}
	a.Await(t, a.Return(t, 5), slipway.Deployed)
	a.wantAnew(t, 5, five, 5)
	five["six.py"] = dag("six")
	w = a.Deployed(t, slipway.AddFiles, map[string]string{"six.py": dag("six")})
	a.wantAnew(t, w.Number, five, 2)
}

// What was staged before a merge is published after it.
func TestMergeBetweenStagingAndPublishing(t *testing.T) {
	a := newApp(t)
	a.elsewhere(t)
	a.Run(t)
	all := a.oneByOne(t, manySmall-1)
	early := a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{"early.py": all["dag_03.py"]})
	all["late.py"] = dag("late")
	a.Deployed(t, slipway.AddFiles, map[string]string{"late.py": all["late.py"]})
	a.awaitMerge(t)
	a.Confirm(t, early.Number, a.Eve)
	a.Await(t, early.Number, slipway.Deployed)
	all["early.py"] = all["dag_03.py"]
	a.wantAnew(t, early.Number, all, 1)
}

func TestMergedPacksGoWithTheirVersions(t *testing.T) {
	a, pass := aged(t)
	all := a.oneByOne(t, manySmall)
	a.awaitMerge(t)
	var last int
	for i := range 12 {
		name := fmt.Sprintf("later_%02d.py", i)
		all[name] = dag(name)
		last = a.Deployed(t, slipway.AddFiles, map[string]string{name: all[name]}).Number
	}
	pass(91)
	a.wantKept(t, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45)
	a.wantAnew(t, last, all, 13)
	a.Stop()
	a.Build(t) // what is merged is known after a start
	a.wantAnew(t, last, all, 13)
}

// history is a Deployment that lives long: 1 % of its files change each time.
type history struct {
	*app
	r     *rand.Rand
	files map[string]string
}

func (h *history) change(n int) {
	for range n {
		i := h.r.IntN(200)
		h.files[fmt.Sprintf("team_%d/dag_%03d.py", i%10, i)] = dag(fmt.Sprint("at ", h.r.Uint64()))
	}
}

// TestLongHistory is `make bench-history` in small: what a deploy costs must
// not grow with those before.
func TestLongHistory(t *testing.T) {
	a, pass := aged(t)
	h := &history{app: a, r: rand.New(rand.NewPCG(1, 2)), files: map[string]string{}}
	for i := range 200 {
		h.files[fmt.Sprintf("team_%d/dag_%03d.py", i%10, i)] = dag(fmt.Sprint("first ", i))
	}
	const deploys = 100
	most := 0
	for range deploys {
		h.change(2)
		w := h.Deployed(t, slipway.ReplaceAll, h.files)
		most = max(most, h.claims(t, w.Version))
	}
	// While a merge runs, deploys go on.
	if most > 2*manySmall {
		t.Errorf("a version relies on %d packs", most)
	}
	files, packs := h.mountAnew(t, deploys)
	if diff := cmp.Diff(h.files, files); diff != "" || packs > 2*manySmall {
		t.Errorf("a mount reads %d packs (-want +got):\n%s", packs, diff)
	}
	pass(91)
	h.Eventually(t, "the last ten are kept", func() bool {
		kept := h.kept(t)
		return len(kept) == 10 && h.unneeded(t, kept) <= 1 // one was just merged, for the next version
	})
	for v := range maps.Values(h.kept(t)) {
		h.claims(t, v)
	}
}

// claims returns how many packs a version needs, and fails if it does not hold
// them all.
func (h *history) claims(t *testing.T, v slipway.Version) (named int) {
	t.Helper()
	files, err := h.Engine.Files(t.Context(), h.Sales, v)
	if err != nil {
		t.Fatal(err)
	}
	packs := map[string]bool{}
	for _, f := range files {
		packs[f.Pack] = true
	}
	storetest.View(t, h.Store, func(tx *store.Tx) error {
		held, err := tx.SmallPacks(h.Sales.ID, v, 1<<40)
		if held < len(packs) {
			t.Errorf("%s needs %d packs and holds %d", v, len(packs), held)
		}
		return err
	})
	return len(packs)
}

// TestMergedBetweenTwoTries: a version that was stored before an outage goes
// live after it, although its contents would be looked for elsewhere by now.
func TestMergedBetweenTwoTries(t *testing.T) {
	a := running(t)
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a")})
	now := a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a"), "b.py": dag("b")})
	three := map[string]string{"a.py": dag("a"), "b.py": dag("b"), "c.py": dag("c")}
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, three)
	stored, err := a.Engine.StoreVersion(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	files, err := a.Engine.Files(t.Context(), a.Sales, now.Version)
	if err != nil {
		t.Fatal(err)
	}
	pack, places, err := a.Bundles.Merge(t.Context(), a.Sales.Namespace, files)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Update(t, a.Store, func(tx *store.Tx) error {
		return tx.AddMergedPack(a.Sales.ID, now.Version, store.Pack{SHA256: pack.SHA256, Size: pack.Size}, places, []string{files[0].Pack, files[1].Pack})
	})
	a.Confirm(t, w.Number, a.Eve)
	a.Await(t, w.Number, slipway.Deployed)
	a.WantMounted(t, three)
	live, err := a.Engine.Files(t.Context(), a.Sales, w.Version)
	if diff := cmp.Diff(stored, live); err != nil || diff != "" {
		t.Errorf("%v, the files of the version (-stored +now):\n%s", err, diff)
	}
}
