package deploy_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"slipway/internal/deploy/deploytest"
	"slipway/internal/slipway"
	"slipway/store/storetest"
)

// A confirmed deploy and an arrived upload wait while another program locks the
// records for longer than any query waits, and go on by themselves.
func TestDeploysWaitForALockOfAnother(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "slipway.db")
	i := &deploytest.Installation{Dir: t.TempDir(), Store: storetest.OpenAt(t, path)}
	i.World = storetest.Seed(t, i.Store)
	i.Build(t)
	a := appOf(i)
	a.Run(t)
	staged := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("a")})
	a.Stop()
	a.Build(t)
	a.Confirm(t, staged.Number, a.Eve)
	arrived := a.Upload(t, a.Eve, slipway.ReplaceAll, storetest.Archive(t, map[string]string{"b.py": dag("b")}))

	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	a.Run(t)
	time.Sleep(12 * time.Second) // longer than a query waits
	if err := a.Engine.Ready(); !errors.Is(err, slipway.ErrUnavailable) {
		t.Errorf("ready: %v, want that the records are locked", err)
	}
	for _, w := range []slipway.Deploy{staged, arrived} {
		if now := a.Load(t, w.Number); now.Status.Ended() {
			t.Errorf("deploy #%d is %s under the lock: %s", w.Number, now.Status, now.Reason)
		}
	}
	if _, err := db.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	a.Await(t, staged.Number, slipway.Deployed)
	a.Await(t, arrived.Number, slipway.Staged)
}
