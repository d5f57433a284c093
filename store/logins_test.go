package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// What was used or ended after a backup does not work again because of it.
func TestRestoredForgetsLogins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slipway.db")
	st := storetest.OpenAt(t, path)
	w := storetest.Seed(t, st)
	storetest.Update(t, st, func(tx *store.Tx) error {
		return tx.AddLoginToken(store.LoginToken{
			Secret: "s", Kind: store.LoginRefresh, User: w.Ada.User, Login: "l", ExpiresAt: tx.Now.Add(time.Hour),
		})
	})
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Restored(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	err := storetest.OpenAt(t, path).View(t.Context(), func(tx *store.Tx) error {
		_, err := tx.LoginToken(store.LoginRefresh, "s")
		return err
	})
	if kind, _ := slipway.Explain(err); kind != slipway.Unauthorized {
		t.Errorf("the login works after the restore: %v", err)
	}
}
