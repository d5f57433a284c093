package store_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// The image that is not known to run is saved with the state, and alone; only
// the former wakes agents.
func TestImageToRun(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	load := func() (d slipway.Deployment, revision int) {
		t.Helper()
		storetest.View(t, st, func(tx *store.Tx) (err error) {
			if d, err = tx.LoadDeployment(w.Sales.ID); err != nil {
				return err
			}
			revision, err = tx.Revision(w.Sales.ID)
			return err
		})
		return d, revision
	}
	d, first := load()
	d.Image, d.ToRun = "sha256:1", "sha256:1"
	storetest.Update(t, st, func(tx *store.Tx) error { return tx.SaveState(d) })
	saved, second := load()
	if saved.ToRun != "sha256:1" || second == first {
		t.Errorf("saved %q, revision %d after %d", saved.ToRun, second, first)
	}
	saved.ToRun, saved.Updater, saved.Image = "", "Ada", "sha256:other"
	storetest.Update(t, st, func(tx *store.Tx) error { return tx.SaveToRun(saved) })
	got, third := load()
	if got.ToRun != "" || got.Updater != "Ada" || got.Image != "sha256:1" || third != second {
		t.Errorf("saved %q by %q, image %q, revision %d, want %d", got.ToRun, got.Updater, got.Image, third, second)
	}
}

// imageLive records that an image is wanted from at on.
func imageLive(t *testing.T, st *store.Store, w storetest.World, at time.Time, digest string) {
	t.Helper()
	st.Now = func() time.Time { return at }
	storetest.Update(t, st, func(tx *store.Tx) error {
		now, err := tx.LoadDeployment(w.Sales.ID)
		if err != nil {
			return err
		}
		i := slipway.Image{Name: w.Sales.Namespace + "/airflow", Digest: digest, Tag: "1", Layers: []slipway.Layer{{Digest: "sha256:l", Size: 5}}}
		if err := tx.KeepImage(w.Sales.ID, i); err != nil {
			return err
		}
		d, err := tx.AddDeploy(slipway.Deploy{Deployment: w.Sales.ID, Kind: slipway.ImageOnly, Status: slipway.Queued, By: w.Eve, Image: &i, After: i.Brought()})
		if err != nil {
			return err
		}
		now = now.Deployed(d)
		if err := tx.SaveState(now); err != nil {
			return err
		}
		d.After, d.LiveAt, d.Status = now.State, tx.Now, slipway.Deployed
		_, err = tx.SaveDeploy(d)
		return err
	})
}

func keptImages(t *testing.T, st *store.Store) (all []string) {
	t.Helper()
	storetest.View(t, st, func(tx *store.Tx) error {
		by, err := tx.ImageRepositories()
		for _, digests := range maps.All(by) {
			all = append(all, digests...)
		}
		slices.Sort(all)
		return err
	})
	return all
}

// TestForgetImages: an image goes when its time is over and nothing holds it.
func TestForgetImages(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for n := range 13 {
		imageLive(t, st, w, start.Add(time.Duration(n)*time.Hour), fmt.Sprintf("i%02d", n))
	}
	imageLive(t, st, w, start.Add(13*time.Hour), "i02") // wanted once more
	late := start.Add(100 * 24 * time.Hour)
	st.Now = func() time.Time { return late }
	storetest.Update(t, st, func(tx *store.Tx) error {
		for _, digest := range []string{"staged", "from"} {
			if err := tx.KeepImage(w.Sales.ID, slipway.Image{Name: "quay.io/a/b", Digest: digest}); err != nil {
				return err
			}
		}
		_, err := tx.AddDeploy(slipway.Deploy{
			Deployment: w.Sales.ID, Kind: slipway.ImageAndDAG, Status: slipway.Staged, By: w.Eve,
			After: slipway.State{Image: "staged"}, Switch: &slipway.SafeSwitch{From: slipway.State{Image: "from"}},
		})
		if err != nil {
			return err
		}
		return tx.KeepImage(w.Sales.ID, slipway.Image{Name: "quay.io/a/b", Digest: "given up"})
	})
	forget := func(replaced, brought time.Time) {
		t.Helper()
		storetest.Update(t, st, func(tx *store.Tx) error { return tx.ForgetImages(w.Sales, replaced, brought) })
	}
	all := len(keptImages(t, st))
	if forget(start, late.Add(-time.Hour)); len(keptImages(t, st)) != all || all != 16 {
		t.Fatalf("%d images are kept, then %v", all, keptImages(t, st))
	}
	forget(late, late.Add(time.Hour))
	want := []string{"from", "i02", "i04", "i05", "i06", "i07", "i08", "i09", "i10", "i11", "i12", "staged"}
	if got := keptImages(t, st); !slices.Equal(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
}

// TestDeployOfAnImage: all of it comes back as it was recorded.
func TestDeployOfAnImage(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	i := slipway.Image{Name: "quay.io/a/b", Digest: "sha256:1", Layers: []slipway.Layer{{Digest: "sha256:l", Size: 5}}, CreatedAt: time.Unix(1, 0).UTC()}
	var made, got slipway.Deploy
	storetest.Update(t, st, func(tx *store.Tx) (err error) {
		made, err = tx.AddDeploy(slipway.Deploy{
			Deployment: w.Sales.ID, Kind: slipway.ImageAndDAG, Status: slipway.Initialized, By: w.Eve,
			Source: "quay.io/a/b:1", Tag: "deploy-1", WantsDAG: true, Switch: &slipway.SafeSwitch{On: true, From: slipway.State{Image: "sha256:0"}},
		})
		if err != nil {
			return err
		}
		made.Image, made.WantsDAG, made.RollingAt, made.MountingAt = &i, false, tx.Now, tx.Now
		if made, err = tx.SaveDeploy(made); err != nil {
			return err
		}
		if _, err := tx.AddDeploy(slipway.Deploy{Deployment: w.Sales.ID, Kind: slipway.ImageOnly, By: w.Eve, Tag: "deploy-1"}); err == nil {
			t.Error("a tag was given twice")
		}
		found := false
		if got, found, err = tx.TagDeploy(w.Sales.ID, "deploy-1"); !found {
			t.Error("no deploy has the tag")
		}
		return err
	})
	if got.Image == nil || got.Image.Layers[0].Size != 5 || !got.Image.CreatedAt.Equal(i.CreatedAt) || *got.Switch != *made.Switch {
		t.Errorf("image %+v, switch %+v", got.Image, got.Switch)
	}
	got.Image, got.Switch = made.Image, made.Switch
	if got != made {
		t.Errorf("got %+v, want %+v", got, made)
	}
}

func TestDeployLog(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	storetest.Update(t, st, func(tx *store.Tx) error {
		d, err := tx.AddDeploy(slipway.Deploy{Deployment: w.Sales.ID, Kind: slipway.ImageOnly, By: w.Eve})
		if err != nil {
			return err
		}
		for _, lines := range [][]string{{"one", "two"}, {"three"}} {
			if err := tx.AddLog(d.ID, lines); err != nil {
				return err
			}
		}
		got, err := tx.Log(d.ID, 1, 10)
		if len(got) != 2 || got[0].Text != "two" || got[0].Line != 2 || got[1].Text != "three" {
			t.Errorf("log %+v", got)
		}
		return err
	})
}
