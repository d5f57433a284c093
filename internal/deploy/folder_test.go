package deploy_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// sent uploads files for a folder, and returns the deploy, staged.
func sent(t *testing.T, a *app, by slipway.Actor, merge slipway.Merge, folder string, files map[string]string) slipway.Deploy {
	t.Helper()
	b := storetest.Archive(t, files)
	w, err := a.Engine.Receive(t.Context(), a.Sales.ID, by, deploy.NewUpload{Length: int64(len(b)), Name: "dags.tar.gz", Merge: merge, Folder: folder}, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return a.Await(t, w.Number, slipway.Staged)
}

// boundTo makes a token for one folder.
func boundTo(t *testing.T, a *app, folder string) (by slipway.Actor) {
	t.Helper()
	storetest.Update(t, a.Store, func(tx *store.Tx) error {
		made, err := tx.AddToken(store.Token{
			ID: tx.NewTokenID(), Secret: folder, Kind: store.APIToken, Name: "ci-" + folder, Workspace: a.Workspace.ID, Role: slipway.Author, Kinds: slipway.FolderKinds, Folder: folder,
		})
		by = slipway.Actor{Token: made.ID, Secret: made.Secret, Kinds: made.Kinds, Folder: made.Folder, Name: made.Name, Via: slipway.API}
		return err
	})
	return by
}

// changesOf lists the changes of a plan: "+team_b/x.py".
func changesOf(p slipway.Plan) (all []string) {
	for _, c := range p.Changes {
		all = append(all, map[slipway.Op]string{slipway.Added: "+", slipway.Changed: "~", slipway.Removed: "-"}[c.Op]+c.Path)
	}
	return all
}

// One folder is replaced, also behind deploys of others in the queue, which stay.
func TestReplaceFolder(t *testing.T) {
	a := running(t)
	a.Deployed(t, slipway.ReplaceAll, map[string]string{
		"dags/top.py": dag("top"), "dags/team_a/a.py": dag("a"), "dags/team_b/b.py": dag("b"), "dags/team_b/old/o.py": dag("o"), "dags/team_bb/x.py": dag("x"),
	})
	others := sent(t, a, a.Ada, slipway.AddFiles, "", map[string]string{"dags/team_a/more.py": dag("more"), "dags/team_b/late.py": dag("late")})
	w := sent(t, a, a.Eve, "", "dags/team_b", map[string]string{"b.py": dag("b2"), "new.py": dag("new")})
	last := sent(t, a, a.Eve, slipway.ReplaceFolder, "team_b/sql", map[string]string{"q.py": dag("q")})
	if w.Merge != slipway.ReplaceFolder || w.Folder != "team_b" {
		t.Errorf("merge %q, folder %q; want the folder named to be replaced", w.Merge, w.Folder)
	}
	a.Stop() // nothing leaves the queue
	a.Confirm(t, others.Number, a.Ada)
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := changesOf(r.Plan), []string{"~team_b/b.py", "-team_b/late.py", "+team_b/new.py", "-team_b/old/o.py"}; !slices.Equal(got, want) {
		t.Errorf("the plan is %q, want %q", got, want)
	}
	if want := []string{"team_b/late.py", "team_b/old/o.py"}; !slices.Equal(r.Plan.RemovedDAGs, want) {
		t.Errorf("the guard names %q, want %q", r.Plan.RemovedDAGs, want)
	}
	a.Confirm(t, w.Number, a.Eve)
	a.Confirm(t, last.Number, a.Eve)
	a.Build(t)
	a.Run(t)
	a.Await(t, last.Number, slipway.Deployed)
	a.WantMounted(t, map[string]string{
		"top.py": dag("top"), "team_a/a.py": dag("a"), "team_a/more.py": dag("more"), "team_bb/x.py": dag("x"),
		"team_b/b.py": dag("b2"), "team_b/new.py": dag("new"), "team_b/sql/q.py": dag("q"),
	})

	// An empty archive empties the folder alone.
	w = sent(t, a, a.Eve, slipway.ReplaceFolder, "team_b", nil)
	a.Confirm(t, w.Number, a.Eve)
	a.Await(t, w.Number, slipway.Deployed)
	a.WantMounted(t, map[string]string{"top.py": dag("top"), "team_a/a.py": dag("a"), "team_a/more.py": dag("more"), "team_bb/x.py": dag("x")})
}

// A folder cannot be put where a file is: it is refused, and the file stays.
func TestReplaceFolderWhereAFileIs(t *testing.T) {
	a := running(t)
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"dags/team_b": "text", "dags/a.py": dag("a")})
	w := sent(t, a, a.Eve, slipway.ReplaceFolder, "team_b", map[string]string{"x.py": dag("x")})
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, r.Refusal, slipway.Invalid, `where the file "team_b" is`)
}

// A folder that dags spells otherwise is refused, before the deploy and at its turn.
func TestReplaceFolderOfAnotherSpelling(t *testing.T) {
	a := running(t)
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"dags/Team_B/b.py": dag("b"), "dags/a.py": dag("a")})
	for _, merge := range []slipway.Merge{slipway.ReplaceFolder, slipway.AddFiles} {
		w := sent(t, a, a.Eve, merge, "team_b", map[string]string{"x.py": dag("x")})
		r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
		if err != nil {
			t.Fatal(err)
		}
		wantKind(t, r.Refusal, slipway.Invalid, `no folder "team_b" in dags, but "Team_B"`)
		_, err = a.Engine.Finalize(t.Context(), a.Sales.ID, w.ID, a.Eve, deploy.Finish{Version: w.Version})
		wantKind(t, err, slipway.Invalid, `but "Team_B"`)
	}
	w := sent(t, a, a.Eve, slipway.ReplaceAll, "team_b", map[string]string{"x.py": dag("x")})
	a.Confirm(t, w.Number, a.Eve)
	a.Await(t, w.Number, slipway.Deployed)
	a.WantMounted(t, map[string]string{"team_b/x.py": dag("x")})
}

// A token for one folder changes nothing else, by whatever call.
func TestBoundToken(t *testing.T) {
	a := running(t)
	first := a.Deployed(t, slipway.ReplaceAll, map[string]string{"dags/team_a/a.py": dag("a"), "dags/team_b/b.py": dag("b")})
	by, b := boundTo(t, a, "team_b"), storetest.Archive(t, map[string]string{"x.py": dag("x")})
	for name, tt := range map[string]struct {
		n    deploy.NewUpload
		text string
	}{
		"another folder":     {deploy.NewUpload{Folder: "team_a"}, "and not dags/team_a."},
		"by a way round":     {deploy.NewUpload{Folder: "team_b/../team_a"}, `".."`},
		"by the other slash": {deploy.NewUpload{Folder: `team_b\..\team_a`}, `".."`},
		"one alike":          {deploy.NewUpload{Folder: "team_bb", Merge: slipway.AddFiles}, "and not dags/team_bb."},
		"dags itself":        {deploy.NewUpload{Folder: "dags/", Merge: slipway.AddFiles}, "and not dags."},
		"dags, by a dot":     {deploy.NewUpload{Folder: "./"}, "and not dags."},
		"everything":         {deploy.NewUpload{Merge: slipway.ReplaceAll}, "may not replace everything"},
		"an image":           {deploy.NewUpload{Image: true, Kind: slipway.ImageOnly}, "deploys of the kind DAGs"},
	} {
		tt.n.Length, tt.n.Name = int64(len(b)), "dags.tar.gz"
		_, err := a.Engine.Receive(t.Context(), a.Sales.ID, by, tt.n, bytes.NewReader(b))
		if kind, text := slipway.Explain(err); kind != slipway.Forbidden && kind != slipway.Invalid || !strings.Contains(text, tt.text) {
			t.Errorf("%s: %v, want %q", name, err, tt.text)
		}
	}
	if w, err := a.Engine.BeginBlocks(t.Context(), a.Sales.ID, by, deploy.NewUpload{Name: "bundle.tar.gz"}); err != nil || w.Folder != "team_b" || w.Merge != slipway.ReplaceFolder {
		t.Errorf("astro deploy --dags: folder %q, merge %q, %v; want the folder replaced", w.Folder, w.Merge, err)
	}
	w := sent(t, a, by, "", "", map[string]string{"dags/new.py": dag("new")})
	if _, err := a.Engine.Finalize(t.Context(), a.Sales.ID, w.ID, by, deploy.Finish{Version: w.Version}); err != nil {
		t.Fatal(err)
	}
	if w = a.Await(t, w.Number, slipway.Deployed); w.Note != "It removes the DAG file team_b/b.py." {
		t.Errorf("note %q", w.Note)
	}
	a.WantMounted(t, map[string]string{"team_a/a.py": dag("a"), "team_b/new.py": dag("new")})

	_, err := a.Engine.RollBack(t.Context(), a.Sales.ID, first.ID, by, "")
	wantKind(t, err, slipway.Forbidden, "a return restores all files")
	for _, other := range []slipway.Deploy{
		sent(t, a, a.Eve, "", "team_a", map[string]string{"x.py": dag("x")}),
		sent(t, a, a.Eve, slipway.AddFiles, "", map[string]string{"team_b/x.py": dag("x")}),
		sent(t, a, a.Eve, slipway.ReplaceAll, "", map[string]string{"x.py": dag("x")}),
	} {
		_, err := a.Engine.Finalize(t.Context(), a.Sales.ID, other.ID, by, deploy.Finish{Version: other.Version})
		wantKind(t, err, slipway.Forbidden, "is about more")
		_, err = a.Engine.Cancel(t.Context(), a.Sales.ID, other.Number, by)
		wantKind(t, err, slipway.Forbidden, "is about more")
		if now := a.Load(t, other.Number); now.Status != slipway.Staged {
			t.Errorf("#%d is %s, want staged", now.Number, now.Status)
		}
	}
	mine := sent(t, a, a.Eve, "", "team_b/sql", map[string]string{"x.py": dag("x")})
	if _, err := a.Engine.Cancel(t.Context(), a.Sales.ID, mine.Number, by); err != nil {
		t.Errorf("a deploy to its folder is not cancelled: %v", err)
	}
}
