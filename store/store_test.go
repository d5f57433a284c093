package store_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

func TestToAStrangerItDoesNotExist(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	for name, tt := range map[string]struct {
		by   slipway.Actor
		want slipway.Role // NoRole stands for not found
	}{
		"owner":    {w.Ada, slipway.Owner},
		"operator": {w.Oli, slipway.Operator},
		"author":   {w.Eve, slipway.Author},
		"member":   {w.Mia, slipway.Member},
		"admin":    {w.Root, slipway.Admin},
		"stranger": {w.Sam, slipway.NoRole},
		"nobody":   {slipway.Actor{}, slipway.NoRole},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.View(t, st, func(tx *store.Tx) error {
				d, role, err := tx.Deployment(w.Sales.ID, tt.by)
				_, inWorkspace, werr := tx.Workspace(w.Workspace.ID, tt.by)
				if role != tt.want || inWorkspace != tt.want {
					t.Errorf("role %v on the Deployment (%v), %v in the Workspace (%v), want %v", role, err, inWorkspace, werr, tt.want)
				}
				if tt.want != slipway.NoRole {
					if d.ID != w.Sales.ID || err != nil || werr != nil {
						t.Errorf("%+v, %v, %v", d, err, werr)
					}
					return nil
				}
				_, _, unknown := tx.Deployment("no-such-id", tt.by)
				kind, _ := slipway.Explain(err)
				other, _ := slipway.Explain(unknown)
				if kind != slipway.NotFound || other != kind || d.ID != "" {
					t.Errorf("foreign: %v, unknown: %v, want both not found", err, unknown)
				}
				return nil
			})
		})
	}
}

func TestDeploysAreNumberedAndVersionsNeverRepeat(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	noon := st.Now()
	st.Now = func() time.Time { return noon } // the clock stands still
	storetest.Update(t, st, func(tx *store.Tx) error {
		var last slipway.Version
		for want := 1; want <= 3; want++ {
			d, err := tx.AddDeploy(slipway.Deploy{Deployment: w.Sales.ID, Kind: slipway.DAGOnly, Status: slipway.Initialized, By: w.Eve})
			if err != nil {
				return err
			}
			if d.Number != want || d.Version <= last {
				t.Errorf("deploy #%d of version %s after %s, want #%d and a later one", d.Number, d.Version, last, want)
			}
			last = d.Version
			got, err := tx.Deploy(w.Sales.ID, want)
			if err != nil {
				return err
			}
			if diff := cmp.Diff(d, got); diff != "" {
				t.Errorf("stored otherwise (-added +read):\n%s", diff)
			}
		}
		return nil
	})
}

// An error on our side is not told as a Deployment that does not exist.
func TestDeployIsNotAddedForOtherReasons(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	ctx, cancel := context.WithCancel(t.Context())
	err := st.Update(ctx, func(tx *store.Tx) error {
		cancel()
		_, err := tx.AddDeploy(slipway.Deploy{Deployment: w.Sales.ID, Kind: slipway.DAGOnly})
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that the context has ended", err)
	}
}

func TestOneDeployRunsAtATime(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	err := st.Update(t.Context(), func(tx *store.Tx) error {
		for range 2 {
			_, err := tx.AddDeploy(slipway.Deploy{Deployment: w.Sales.ID, Kind: slipway.DAGOnly, Status: slipway.Deploying, By: w.Eve})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		t.Error("two deploys of one Deployment run at once")
	}
}

func TestQueueKeepsTheOrderOfConfirming(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	var want []int64
	storetest.Update(t, st, func(tx *store.Tx) error {
		add := func(s slipway.Status) slipway.Deploy {
			d, err := tx.AddDeploy(slipway.Deploy{Deployment: w.Sales.ID, Kind: slipway.DAGOnly, Status: s, By: w.Eve})
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		early, late := add(slipway.Staged), add(slipway.Staged)
		late.Status = slipway.Queued
		late, err := tx.Enqueue(late)
		if err != nil {
			return err
		}
		s, err := tx.AddSwitch(slipway.SwitchOrder{Deployment: w.Sales.ID, By: w.Ada})
		if err != nil {
			return err
		}
		early.Status = slipway.Queued
		if early, err = tx.Enqueue(early); err != nil {
			return err
		}
		want = []int64{late.Position, s.Position, early.Position}
		return nil
	})
	storetest.View(t, st, func(tx *store.Tx) error {
		queue, err := tx.Queue(w.Sales.ID)
		var got []int64
		for _, turn := range queue {
			got = append(got, turn.Position())
		}
		if err != nil || !slices.Equal(got, want) || !slices.IsSorted(want) {
			t.Errorf("queue %v, %v, want %v in rising order", got, err, want)
		}
		tail, _, err := tx.Projected(w.Sales.ID, w.Ada)
		if err != nil || tail.DAGDeploys || tail.Version == "" {
			t.Errorf("tail %+v, %v: want the switch off and a version", tail.State, err)
		}
		return nil
	})
}

func TestPacksGoWhenNoDeployNeedsThem(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	sum := strings.Repeat("ab", 32)
	storetest.Update(t, st, func(tx *store.Tx) error {
		one, err := tx.AddDeploy(slipway.Deploy{Deployment: w.Sales.ID, Kind: slipway.DAGOnly, Status: slipway.Staged, By: w.Eve})
		if err != nil {
			return err
		}
		two, err := tx.AddDeploy(slipway.Deploy{Deployment: w.Sales.ID, Kind: slipway.DAGOnly, Status: slipway.Staged, By: w.Eve})
		if err != nil {
			return err
		}
		place := slipway.Place{Pack: "p1", Offset: 3, Length: 9}
		if err := tx.AddPack(w.Sales.ID, store.Pack{SHA256: "p1", Size: 12}, map[string]slipway.Place{sum: place}); err != nil {
			return err
		}
		for _, d := range []slipway.Deploy{one, two} {
			if err := tx.ClaimPacks(d, []string{"p1"}); err != nil {
				return err
			}
		}
		one.Status, two.Status = slipway.Cancelled, slipway.Cancelled
		if _, err := tx.SaveDeploy(one); err != nil {
			return err
		}
		if gone, err := tx.DropUnusedPacks(w.Sales.ID); err != nil || len(gone) != 0 {
			t.Errorf("dropped %v, %v while another deploy needs it", gone, err)
		}
		if got, found, err := tx.Content(w.Sales.ID, sum); err != nil || !found || got != place {
			t.Errorf("content at %+v, %v, %v, want %+v", got, found, err, place)
		}
		if _, err := tx.SaveDeploy(two); err != nil {
			return err
		}
		if gone, err := tx.DropUnusedPacks(w.Sales.ID); err != nil || !slices.Equal(gone, []string{"p1"}) {
			t.Errorf("dropped %v, %v, want p1", gone, err)
		}
		if _, found, err := tx.Content(w.Sales.ID, sum); found || err != nil {
			t.Errorf("content still found (%v) after its pack went", err)
		}
		return nil
	})
}
