package deploy_test

import (
	"testing"

	"slipway/internal/slipway"
	"slipway/store/storetest"
)

// A root that is not clear is asked for, and can be chosen again until the deploy is
// confirmed; then the archive goes.
func TestChooseRoot(t *testing.T) {
	a := running(t)
	archive := storetest.Archive(t, map[string]string{"one/dags/a.py": dag("a"), "two/dags/b.py": dag("b"), "two/dags/c.py": dag("c")})
	w := a.Upload(t, a.Eve, slipway.ReplaceAll, archive)
	w = a.Await(t, w.Number, slipway.Staged)
	if w.Root == nil || !w.Root.Asks || len(w.Root.Others) != 3 {
		t.Fatalf("root %+v, want a question with three folders", w.Root)
	}
	_, err := a.Engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Ada, "", slipway.Ticks{})
	wantKind(t, err, slipway.Invalid, "not clear which folder")
	if _, err := a.Engine.ChooseRoot(t.Context(), a.Sales.ID, w.Number, a.Mia, "one/dags"); err == nil {
		t.Error("a Member may choose")
	}
	_, err = a.Engine.ChooseRoot(t.Context(), a.Sales.ID, w.Number, a.Eve, "three")
	wantKind(t, err, slipway.Invalid, "three")
	for _, path := range []string{"one/dags", ".", "two/dags"} {
		if _, err := a.Engine.ChooseRoot(t.Context(), a.Sales.ID, w.Number, a.Eve, path); err != nil {
			t.Fatal(err)
		}
		w = a.Await(t, w.Number, slipway.Staged)
		want := map[string]int{"one/dags": 1, ".": 3, "two/dags": 2}[path]
		if w.Root.Asks || w.Counts.Added != want || len(a.uploads(t)) != 1 {
			t.Errorf("%s: root %+v, %d files, uploads %v; want %d files, and the upload kept", path, w.Root, w.Counts.Added, a.uploads(t), want)
		}
		a.Stop()
		a.Build(t) // a restart changes nothing
		a.Run(t)
	}
	a.Confirm(t, w.Number, a.Eve)
	a.Await(t, w.Number, slipway.Deployed)
	a.WantMounted(t, map[string]string{"b.py": dag("b"), "c.py": dag("c")})
	if left := a.uploads(t); len(left) > 0 {
		t.Errorf("uploads %v are left", left)
	}
	_, err = a.Engine.ChooseRoot(t.Context(), a.Sales.ID, w.Number, a.Eve, "one/dags")
	wantKind(t, err, slipway.Conflict, "settled")
}

func TestArchiveInside(t *testing.T) {
	a := running(t)
	inner := storetest.Archive(t, map[string]string{"repo/dags/a.py": dag("a"), "repo/README.md": "x"})
	for name, outer := range map[string]map[string]string{
		"artifact": {"dags.tar.gz": string(inner), "README.md": "y"},
		"plain":    {"out/bundle.tgz": string(inner)},
	} {
		w := a.Deployed(t, slipway.ReplaceAll, outer)
		if w.Root == nil || w.Root.Inside == "" || w.Root.Path != "repo/dags" || w.Counts.Files != 1 {
			t.Errorf("%s: root %+v, %d files", name, w.Root, w.Counts.Files)
		}
		a.WantMounted(t, map[string]string{"a.py": dag("a")})
	}
	twice := storetest.Archive(t, map[string]string{"x.tar.gz": string(storetest.Archive(t, map[string]string{"y.tar.gz": string(inner)}))})
	w := a.Await(t, a.Upload(t, a.Eve, slipway.ReplaceAll, twice).Number, slipway.Failed)
	if want := `The archive "x.tar.gz" in the upload holds another archive, "y.tar.gz", and no DAG file. Upload that one.`; w.Reason != want {
		t.Errorf("reason %q, want %q", w.Reason, want)
	}
}

// A folder that is in dags already is no wrapper.
func TestKnownFolderIsNoWrapper(t *testing.T) {
	a := running(t)
	a.Deployed(t, slipway.AddFiles, map[string]string{"sales/a.py": dag("a"), "sales/x.sql": "x"})
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"sales/a.py": dag("b"), "sales/x.sql": "x"})
	a.WantMounted(t, map[string]string{"sales/a.py": dag("b"), "sales/x.sql": "x"})
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"repo-main/a.py": dag("c"), "repo-main/README.md": "x"})
	a.WantMounted(t, map[string]string{"a.py": dag("c"), "README.md": "x"})
}
