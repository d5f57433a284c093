package deploy_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/deploy/deploytest"
	"slipway/internal/insights"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// A portal whose umask closes everything mounts DAGs for all users.
func TestMountsAreOpenUnderAnyUmask(t *testing.T) {
	before := syscall.Umask(0o077)
	defer syscall.Umask(before)
	a := running(t)
	w := a.Deployed(t, slipway.ReplaceAll, map[string]string{"dags/sales/load.py": dag("load")})
	mount := a.Engine.MountDir(a.Sales)
	version := filepath.Join(mount, "versions", w.Version.Dir())
	for _, dir := range []string{filepath.Dir(mount), mount, filepath.Dir(version), version, filepath.Join(version, "dags"), filepath.Join(version, "dags/sales")} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o555 != 0o555 {
			t.Errorf("%s: %v, %v, want open to all", dir, info.Mode(), err)
		}
	}
}

func TestLifeOfADeploy(t *testing.T) {
	a := running(t)
	files := map[string]string{
		"dags/sales/load.py": dag("load"), "dags/run.sh": "#!/bin/sh\necho hi\n", "dags/latest": "-> sales",
		"dags/empty.txt": "", "dags/__pycache__/x.pyc": "junk", "requirements.txt": "pandas\n",
	}
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, files)
	if w.Counts.Added != 4 || w.Counts.LeftOut != 1 || w.Counts.Outside != 1 || w.Counts.NewBytes == 0 {
		t.Errorf("counts %+v", w.Counts)
	}
	if got := a.uploads(t); len(got) != 0 {
		t.Errorf("uploads %v stay after staging", got)
	}
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
	if err != nil || r.Refusal != nil || r.Base != "" || r.BaseDeploy != nil || len(r.Plan.Changes) != 4 || r.Role != slipway.Author {
		t.Fatalf("review %+v, %v", r, err)
	}
	want := store.Report{LeftOut: []store.LeftOut{{Name: "dags/__pycache__/", Why: "built in"}}, Outside: []string{"requirements.txt"}}
	want.Content = r.Report.Content // a sum; SameFiles has a test of its own
	if diff := cmp.Diff(want, r.Report); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if err := a.Engine.Describe(t.Context(), a.Sales.ID, w.Number, a.Eve, " first one "); err != nil {
		t.Fatal(err)
	}
	a.Confirm(t, w.Number, a.Ada)
	w = a.Await(t, w.Number, slipway.Deployed)
	a.WantMounted(t, map[string]string{"sales/load.py": dag("load"), "run.sh": "#!/bin/sh\necho hi\n", "latest": "-> sales", "empty.txt": ""})
	info, err := os.Stat(filepath.Join(a.Engine.MountDir(a.Sales), "current/dags/run.sh"))
	if err != nil || info.Mode().Perm() != 0o555 {
		t.Errorf("run.sh is %v, %v", info, err)
	}
	d := a.sales(t)
	if !d.Mounted || d.Version != w.Version || w.After != d.State || w.ConfirmedBy.Name != "Ada Lovelace" || w.Description != "first one" || w.Note != "" {
		t.Errorf("%+v of %+v", w, d.State)
	}
	for name, at := range map[string]bool{"staged": w.StagedAt.IsZero(), "queued": w.QueuedAt.IsZero(), "deploying": w.DeployingAt.IsZero(), "stored": w.StoredAt.IsZero(), "live": w.LiveAt.IsZero(), "ended": w.EndedAt.IsZero()} {
		if at {
			t.Errorf("no time of %s", name)
		}
	}
	all := a.Engine.Components(a.Sales.ID)
	if len(all) != 1 || all[0].Version != w.Version || all[0].Error != "" || all[0].Since.IsZero() || all[0].Agent != "test" {
		t.Errorf("components %+v", all)
	}
	wantTrail(t, a, "deploy.confirm", "deploy.upload")
}

// wantTrail compares the newest actions of the audit trail.
func wantTrail(t *testing.T, a *app, want ...string) {
	t.Helper()
	storetest.View(t, a.Store, func(tx *store.Tx) error {
		trail, err := tx.AuditTrail(a.Workspace.ID, 0, len(want))
		var got []string
		for _, e := range trail {
			got = append(got, e.Action)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("audit trail (-want +got):\n%s", diff)
		}
		return err
	})
}

func TestAddAndReplace(t *testing.T) {
	a := running(t)
	first := a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a"), "b.py": dag("b"), "c.txt": "c"})
	packs := len(a.Packs(t))

	w := a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{"b.py": dag("b2"), "d.py": dag("a")})
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
	if err != nil {
		t.Fatal(err)
	}
	if r.Base != first.Version || r.BaseDeploy == nil || r.BaseDeploy.Number != first.Number || r.Plan.Counts.Changed != 1 || r.Plan.Counts.Added != 1 || r.Plan.Ticks() != (slipway.Ticks{}) {
		t.Errorf("review %+v", r)
	}
	a.Confirm(t, w.Number, a.Eve)
	w = a.Await(t, w.Number, slipway.Deployed)
	a.WantMounted(t, map[string]string{"a.py": dag("a"), "b.py": dag("b2"), "c.txt": "c", "d.py": dag("a")})

	// Everything is known: a third deploy stores no pack, and goes back to #1.
	third := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"b.py": dag("b")})
	if got := len(a.Packs(t)); got != packs+1 || third.Counts.NewBytes != 0 {
		t.Errorf("%d packs, want %d; %d new bytes", got, packs+1, third.Counts.NewBytes)
	}
	r, err = a.Engine.Review(t.Context(), a.Sales.ID, third.Number, a.Eve)
	if err != nil || len(r.Plan.RemovedDAGs) != 2 || r.SameAs["b.py"].Number != first.Number || len(r.SameAs) != 1 {
		t.Errorf("removed %v, same as %+v, %v", r.Plan.RemovedDAGs, r.SameAs, err)
	}
	_, err = a.Engine.Confirm(t.Context(), a.Sales.ID, third.Number, a.Eve, r.Base, slipway.Ticks{})
	wantKind(t, err, slipway.Invalid, "removes 2 DAG files")
	a.Confirm(t, third.Number, a.Eve)
	a.Await(t, third.Number, slipway.Deployed)
	a.WantMounted(t, map[string]string{"b.py": dag("b")})
	done, err := a.Engine.Done(t.Context(), a.Sales.ID, w.Number, a.Mia)
	if err != nil || len(done.Plan.Changes) != 2 || done.Base != first.Version || done.BaseDeploy.Number != first.Number {
		t.Errorf("done %+v, %v", done, err)
	}
}

func TestBaseChanged(t *testing.T) {
	a := running(t)
	mine := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("mine")})
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, mine.Number, a.Eve)
	if err != nil {
		t.Fatal(err)
	}
	theirs := a.Deployed(t, slipway.ReplaceAll, map[string]string{"b.py": dag("theirs")})
	_, err = a.Engine.Confirm(t.Context(), a.Sales.ID, mine.Number, a.Eve, r.Base, deploytest.DAGTicks)
	wantKind(t, err, slipway.Conflict, slipway.ErrBaseChanged.Text)
	if r, err = a.Engine.Review(t.Context(), a.Sales.ID, mine.Number, a.Eve); err != nil || r.Base != theirs.Version || len(r.Plan.RemovedDAGs) != 1 {
		t.Fatalf("review %+v, %v", r, err)
	}
	a.Confirm(t, mine.Number, a.Eve)
	a.Await(t, mine.Number, slipway.Deployed)
	a.WantMounted(t, map[string]string{"a.py": dag("mine")})
}

// A base may be a version that is not stored yet: nothing runs here while the
// queue is filled.
func TestQueueOfTwo(t *testing.T) {
	a := running(t)
	one := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("1"), "b.py": dag("1")})
	two := a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{"a.py": dag("2"), "c.py": dag("2")})
	three := a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{"d.py": dag("3")})
	a.Stop()
	a.Build(t)
	a.Confirm(t, one.Number, a.Eve)
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, two.Number, a.Eve)
	if err != nil || r.Base != one.Version || r.BaseDeploy.Number != one.Number || r.Plan.Counts.Changed != 1 || r.Plan.Counts.Unchanged != 1 {
		t.Fatalf("review %+v, %v", r, err)
	}
	a.Confirm(t, two.Number, a.Eve)
	a.Confirm(t, three.Number, a.Eve)
	done, err := a.Engine.Done(t.Context(), a.Sales.ID, two.Number, a.Eve)
	if err != nil || len(done.Plan.Changes) != 2 || done.Base != one.Version {
		t.Errorf("done of a queued one %+v, %v", done, err)
	}
	if _, err := a.Engine.Cancel(t.Context(), a.Sales.ID, two.Number, a.Eve); err != nil {
		t.Fatal(err)
	}
	a.Run(t)
	three = a.Await(t, three.Number, slipway.Deployed)
	a.WantMounted(t, map[string]string{"a.py": dag("1"), "b.py": dag("1"), "d.py": dag("3")})
	if two = a.Load(t, two.Number); two.Status != slipway.Cancelled || two.Reason != "Cancelled by Eve Author before its turn." {
		t.Errorf("two %+v", two)
	}
	if three.Base != one.Version || three.Counts.Added != 1 {
		t.Errorf("three is on %s with %+v, want %s", three.Base, three.Counts, one.Version)
	}
}

func TestReturn(t *testing.T) {
	a := running(t)
	one := a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("1"), "b.py": dag("1")})
	two := a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("2")})
	three := a.Deployed(t, slipway.AddFiles, map[string]string{"c.py": dag("3")})
	packs, manifests := a.Packs(t), a.manifests(t)

	_, err := a.Engine.Return(t.Context(), a.Sales.ID, three.Number, a.Eve, three.Version, deploytest.DAGTicks, "")
	wantKind(t, err, slipway.Conflict, "runs already")
	_, err = a.Engine.Return(t.Context(), a.Sales.ID, one.Number, a.Mia, three.Version, deploytest.DAGTicks, "")
	wantKind(t, err, slipway.Forbidden, "Author role")
	_, err = a.Engine.Return(t.Context(), a.Sales.ID, one.Number, a.Eve, two.Version, deploytest.DAGTicks, "")
	wantKind(t, err, slipway.Conflict, slipway.ErrBaseChanged.Text)
	r, err := a.Engine.ReviewReturn(t.Context(), a.Sales.ID, one.Number, a.Eve)
	if err != nil || r.Refusal != nil || r.Base != three.Version || len(r.Plan.Changes) != 3 || r.Deploy.ReturnTo != one.Number {
		t.Fatalf("review %+v, %v", r, err)
	}
	_, err = a.Engine.Return(t.Context(), a.Sales.ID, one.Number, a.Eve, r.Base, slipway.Ticks{}, "")
	wantKind(t, err, slipway.Invalid, "c.py")
	back, err := a.Engine.Return(t.Context(), a.Sales.ID, one.Number, a.Eve, r.Base, r.Plan.Ticks(), "it broke")
	if err != nil {
		t.Fatal(err)
	}
	back = a.Await(t, back.Number, slipway.Deployed)
	a.WantMounted(t, map[string]string{"a.py": dag("1"), "b.py": dag("1")})
	if got := a.Current(t); got != "versions/"+one.Version.Dir() || back.Version != one.Version {
		t.Errorf("current is %s, deploy of %s, want the old name %s", got, back.Version, one.Version)
	}
	if diff := cmp.Diff(packs, a.Packs(t)) + cmp.Diff(manifests, a.manifests(t)); diff != "" {
		t.Errorf("stored something:\n%s", diff)
	}
	for n, want := range map[int]int{one.Number: 0, two.Number: back.Number, three.Number: back.Number, back.Number: 0} {
		if got := a.Load(t, n).UndoneBy; got != want {
			t.Errorf("#%d undone by %d, want %d", n, got, want)
		}
	}
	if back.Description != "it broke" || back.Counts.Added != 1 || back.Counts.Changed != 1 || back.Counts.Removed != 1 {
		t.Errorf("back %+v", back)
	}
	refused, err := a.Engine.ReviewReturn(t.Context(), a.Sales.ID, one.Number, a.Eve)
	if err != nil || refused.Refusal == nil {
		t.Errorf("review of a return to what runs: %v, %v", refused.Refusal, err)
	}
}

func TestDiscardDropsThePackUnlessShared(t *testing.T) {
	a := running(t)
	shared := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("shared")})
	other := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("shared"), "b.py": dag("own")})
	if got := a.Packs(t); len(got) != 2 {
		t.Fatalf("packs %v, want 2", got)
	}
	if _, err := a.Engine.Cancel(t.Context(), a.Sales.ID, shared.Number, a.Mia); err == nil {
		t.Error("a Member discarded a deploy")
	}
	for _, n := range []int{shared.Number, other.Number} {
		w, err := a.Engine.Cancel(t.Context(), a.Sales.ID, n, a.Eve)
		if err != nil || w.Status != slipway.Cancelled || w.Reason != "Discarded by Eve Author." {
			t.Fatalf("%+v, %v", w, err)
		}
		if n == shared.Number {
			third := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("shared")}) // the loop has been round
			if got := a.Packs(t); len(got) != 2 || third.Counts.NewBytes != 0 {
				t.Errorf("packs %v, want both, as the other deploy needs them", got)
			}
			if _, err := a.Engine.Cancel(t.Context(), a.Sales.ID, third.Number, a.Eve); err != nil {
				t.Fatal(err)
			}
		}
	}
	a.Eventually(t, "no pack is left", func() bool { return len(a.Packs(t)) == 0 })
}

func TestRefusalLeavesNothing(t *testing.T) {
	a := running(t)
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("1")})
	packs, manifests, current := a.Packs(t), a.manifests(t), a.Current(t)
	good := storetest.Archive(t, map[string]string{"b.py": dag("2"), "c.py": strings.Repeat("x", 1<<20)})
	for name, tt := range map[string]struct {
		archive []byte
		want    string
	}{
		"no archive": {[]byte("hello, this is no archive at all"), "not an archive"},
		"cut off":    {good[:len(good)-100], "cut off"},
		"escapes":    {storetest.Archive(t, map[string]string{"b.py": dag("2"), "../evil.py": dag("3")}), "../evil.py"},
	} {
		t.Run(name, func(t *testing.T) {
			w := a.Upload(t, a.Eve, slipway.ReplaceAll, tt.archive)
			w = a.Await(t, w.Number, slipway.Failed)
			if !strings.Contains(w.Reason, tt.want) || !strings.HasSuffix(w.Reason, ".") || strings.Contains(w.Reason, "our side") {
				t.Errorf("reason %q, want %q", w.Reason, tt.want)
			}
			a.Eventually(t, "the upload's file is gone", func() bool { return len(a.uploads(t)) == 0 })
			if diff := cmp.Diff(packs, a.Packs(t)) + cmp.Diff(manifests, a.manifests(t)) + cmp.Diff(current, a.Current(t)); diff != "" {
				t.Errorf("something changed:\n%s", diff)
			}
		})
	}
	// Merged, it could not be a version: refused at the confirmation, and told before.
	w := a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{"a.py/x.py": dag("2")})
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, r.Refusal, slipway.Invalid, "a.py")
	_, err = a.Engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Eve, r.Base, deploytest.DAGTicks)
	wantKind(t, err, slipway.Invalid, "a.py")
}

// The engine counts deploys for Insights soon after they ended.
func TestDeploysAreCountedForInsights(t *testing.T) {
	a := running(t)
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"dags/a.py": dag("a")})
	for {
		var sums insights.Sums
		storetest.View(t, a.Store, func(tx *store.Tx) error {
			return tx.InsightSums(store.InsightScope{Deployment: a.Sales.ID}, 0, 1<<20, func(_ slipway.DeploymentID, _ int, _ slipway.DeployKind, encoded []byte) error {
				return sums.MergeEncoded(encoded)
			})
		})
		if sums.Live == 1 && sums.Stored > 0 && sums.Took.Count() == 1 {
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("counted %+v", sums.Outcomes)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
