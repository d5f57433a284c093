package deploy_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/deploy"
	"slipway/internal/deploy/deploytest"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// A deploy that is confirmed in the moment in which it would be given up has
// been acknowledged.
func TestConfirmedWhileItExpires(t *testing.T) {
	a := running(t)
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("a")})
	a.Stop()
	late := time.Now().Add(slipway.UnfinishedLife + time.Minute)
	looks, swept := make(chan struct{}, 9), make(chan error, 1)
	storetest.Update(t, a.Store, func(tx *store.Tx) error { // which the sweep waits for
		a.Store.Now = func() time.Time {
			looks <- struct{}{}
			return late
		}
		go func() { swept <- a.Engine.Sweep(context.Background()) }()
		<-looks
		time.Sleep(100 * time.Millisecond) // it has found the deploy by then
		w.Status = slipway.Queued
		_, err := tx.Enqueue(w)
		return err
	})
	if err := <-swept; err != nil {
		t.Fatal(err)
	}
	if w = a.Load(t, w.Number); w.Status != slipway.Queued || w.Reason != "" {
		t.Errorf("it is %s: %s", w.Status, w.Reason)
	}
}

// A pack whose record stays, because the transaction failed, stays, too.
func TestPackStaysWithItsRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slipway.db")
	a := appOf(&deploytest.Installation{Dir: t.TempDir(), Store: storetest.OpenAt(t, path)})
	a.World = storetest.Seed(t, a.Store)
	a.Build(t)
	a.Run(t)
	gone := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("gone")})
	a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("stays")})
	a.Stop()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TRIGGER fails BEFORE UPDATE OF loose ON packs WHEN NEW.loose = 0 BEGIN SELECT RAISE(ABORT, 'the disk'); END`); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Engine.Cancel(t.Context(), a.Sales.ID, gone.Number, a.Eve); err != nil {
		t.Fatal(err)
	}

	if err := a.Engine.StageAll(t.Context(), a.Sales.ID); err == nil {
		t.Error("it did not fail")
	}
	if got := a.Packs(t); len(got) != 2 {
		t.Errorf("packs %v, want both that are on record", got)
	}
	if _, err := db.Exec(`DROP TRIGGER fails`); err != nil {
		t.Fatal(err)
	}
	if err := a.Engine.StageAll(t.Context(), a.Sales.ID); err != nil || len(a.Packs(t)) != 1 {
		t.Errorf("packs %v, %v", a.Packs(t), err)
	}
}

// Of two requests to finalize a deploy the slower one may come when the deploy
// has ended: it changes nothing.
func TestFinalizedAgainAfterItsEnd(t *testing.T) {
	a := newApp(t)
	a.elsewhere(t)
	a.Run(t)
	w := a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a")})
	got, err := a.Engine.Finalize(t.Context(), a.Sales.ID, w.ID, a.Eve, deploy.Finish{Version: w.Version})
	if err != nil || got.Status != slipway.Deployed {
		t.Errorf("%s, %v", got.Status, err)
	}
	if got := a.Load(t, w.Number).Note; got != "Published. No component is connected." {
		t.Errorf("note %q", got)
	}
}

// A deploy that will be refused at its turn changes nothing of what those behind
// it are judged by.
func TestBehindADeployWithoutLeave(t *testing.T) {
	a := running(t)
	one := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("1"), "b.py": dag("1")})
	two := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("2")})
	three := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("3")})
	a.Stop()
	a.Build(t)
	turn := func(on bool) {
		if _, err := a.Engine.Switch(t.Context(), a.Sales.ID, on, a.Ada, true); err != nil {
			t.Fatal(err)
		}
	}
	a.Confirm(t, one.Number, a.Eve)
	turn(false)
	turn(true)
	a.Confirm(t, two.Number, a.Eve)
	var queue []slipway.Turn
	storetest.View(t, a.Store, func(tx *store.Tx) (err error) {
		queue, err = tx.Queue(a.Sales.ID)
		return err
	})
	if err := a.Engine.CancelSwitch(t.Context(), a.Sales.ID, queue[2].Switch.ID, a.Ada); err != nil {
		t.Fatal(err)
	}
	turn(true) // behind #2, which has no leave now
	_, err := a.Engine.Confirm(t.Context(), a.Sales.ID, three.Number, a.Eve, one.Version, slipway.Ticks{})
	wantKind(t, err, slipway.Invalid, "removes the DAG file b.py")
}

// What was read of a version is forgotten with it.
func TestExpiredVersionIsNotRemembered(t *testing.T) {
	a, pass := aged(t)
	a.deployMany(t, slipway.DefaultKeepVersions+2)
	old := a.Load(t, 1)
	if _, err := a.Engine.Files(t.Context(), a.Sales, old.Version); err != nil {
		t.Fatal(err)
	}
	pass(slipway.DefaultKeepDays + 1)
	a.Eventually(t, "its files are not found", func() bool {
		_, err := a.Engine.Files(t.Context(), a.Sales, old.Version)
		kind, _ := slipway.Explain(err)
		return err != nil && kind == slipway.NotFound
	})
}

// Deploys go live in the order in which they were confirmed, whatever their
// numbers.
func TestUndoneByOrder(t *testing.T) {
	a := running(t)
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("1")})
	two := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("2")})
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("3")})
	a.Confirm(t, two.Number, a.Eve)
	a.Await(t, two.Number, slipway.Deployed)
	a.wantUndone(t, a.Return(t, 3), 0, 4, 0, 0)
	a.wantUndone(t, a.Return(t, 2), 0, 4, 0, 5, 0)
}

// wantUndone waits for the end of a return and compares by which deploys all
// until then were undone.
func (a *app) wantUndone(t *testing.T, number int, want ...int) {
	t.Helper()
	a.Await(t, number, slipway.Deployed)
	var got []int
	for n := range want {
		got = append(got, a.Load(t, n+1).UndoneBy)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("undone by (-want +got):\n%s", diff)
	}
}
