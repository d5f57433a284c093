package deploy_test

import (
	"bytes"
	"testing"
	"time"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// TestStagingOfSomebodyWhoLeft: files whose sender leaves while they are checked
// fail with a sentence that is true, whenever that happens.
func TestStagingOfSomebodyWhoLeft(t *testing.T) {
	for name, tt := range map[string]struct {
		moment int // of the transactions in which an upload is staged
		end    func(*store.Tx, *app) error
		want   string
	}{
		"removed before":     {2, func(tx *store.Tx, a *app) error { return tx.RemoveMember(a.Workspace.ID, a.Eve.User) }, "Eve Author no longer has access to this Deployment."},
		"removed meanwhile":  {4, func(tx *store.Tx, a *app) error { return tx.RemoveMember(a.Workspace.ID, a.Eve.User) }, "Eve Author no longer has access to this Deployment."},
		"disabled meanwhile": {4, func(tx *store.Tx, a *app) error { return tx.DisableUser(a.Eve.User) }, "Eve Author no longer has access to this Deployment."},
		"account removed":    {4, func(tx *store.Tx, a *app) error { return tx.RemoveUser(a.Eve.User) }, "Eve Author no longer has access to this Deployment."},
		"demoted meanwhile":  {4, func(tx *store.Tx, a *app) error { return tx.SetRole(a.Workspace.ID, a.Eve.User, slipway.Member) }, "Deploying DAGs needs the Author role"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			n := deploy.NewUpload{Length: -1, Name: "dags.tar.gz", Merge: slipway.ReplaceAll}
			archive := storetest.Archive(t, map[string]string{"a.py": dag("a")})
			w, err := a.Engine.Receive(t.Context(), a.Sales.ID, a.Eve, n, bytes.NewReader(archive))
			if err != nil {
				t.Fatal(err)
			}
			moments := 0
			a.Store.Now = func() time.Time {
				if moments++; moments == tt.moment { // a transaction has begun, and has read nothing yet
					storetest.Update(t, a.Store, func(tx *store.Tx) error { return tt.end(tx, a) })
				}
				return time.Now()
			}
			if err := a.Engine.StageAll(t.Context(), a.Sales.ID); err != nil {
				t.Fatal(err)
			}
			if w = a.Load(t, w.Number); w.Status != slipway.Failed || len(w.Reason) < len(tt.want) || w.Reason[:len(tt.want)] != tt.want {
				t.Errorf("it is %s: %q, want %q", w.Status, w.Reason, tt.want)
			}
		})
	}
}

// TestAddressOfSomebodyWhoLeft: an upload address takes nothing more, and its
// deploy fails.
func TestAddressOfSomebodyWhoLeft(t *testing.T) {
	a := newApp(t)
	w, err := a.Engine.BeginBlocks(t.Context(), a.Sales.ID, a.Eve, deploy.NewUpload{Name: "dags.tar.gz", Merge: slipway.ReplaceAll})
	if err != nil {
		t.Fatal(err)
	}
	put := func() error { return a.Engine.PutBlock(t.Context(), w.ID, "1", bytes.NewReader([]byte("x"))) }
	if err := put(); err != nil {
		t.Fatal(err)
	}
	storetest.Update(t, a.Store, func(tx *store.Tx) error { return tx.RemoveMember(a.Workspace.ID, a.Eve.User) })
	if kind, text := slipway.Explain(put()); kind != slipway.Forbidden || text != "This upload address no longer works. Eve Author no longer has access to this Deployment." {
		t.Errorf("%v %q", kind, text)
	}
	if w = a.Load(t, w.Number); w.Status != slipway.Failed || w.Reason != "Eve Author no longer has access to this Deployment." {
		t.Errorf("it is %s: %q", w.Status, w.Reason)
	}
}
