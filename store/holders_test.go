package store_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// held returns the names of the tokens that somebody holds, sorted.
func held(t *testing.T, st *store.Store, who slipway.UserID) (names []string) {
	t.Helper()
	storetest.View(t, st, func(tx *store.Tx) error {
		all, err := tx.HeldTokens(who, "")
		for _, of := range all {
			names = append(names, of.Name)
		}
		return err
	})
	slices.Sort(names)
	return names
}

func wantHeld(t *testing.T, st *store.Store, who slipway.UserID, want ...string) {
	t.Helper()
	if got := held(t, st, who); !slices.Equal(got, want) {
		t.Errorf("%s holds %q, want %q", who, got, want)
	}
}

func wantPerson(t *testing.T, st *store.Store, by slipway.Actor, want string) {
	t.Helper()
	storetest.View(t, st, func(tx *store.Tx) error {
		got, err := tx.AnswersFor(by)
		if got != want {
			t.Errorf("%s answers for %s, want %s", got, by.Title(), want)
		}
		return err
	})
}

func TestHolders(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	add := func(name string, by slipway.Actor) slipway.Actor {
		var of store.Token
		storetest.Update(t, st, func(tx *store.Tx) (err error) {
			of, err = tx.AddToken(store.Token{
				ID: tx.NewTokenID(), Secret: name, Kind: store.APIToken, Name: name, Workspace: w.Workspace.ID, Role: slipway.Owner,
				CreatedBy: by.Title(), ByUser: by.User, ByToken: by.Token,
			})
			return err
		})
		return slipway.Actor{Token: of.ID, Name: name}
	}
	rotate := func(of, by slipway.Actor) {
		storetest.Update(t, st, func(tx *store.Tx) error {
			t, err := tx.TokenByID(of.Token)
			if err != nil {
				return err
			}
			_, err = tx.RotateToken(t, by)
			return err
		})
	}
	first := add("a", w.Ada)
	second := add("b", first)
	third := add("c", second)
	storetest.Update(t, st, func(tx *store.Tx) error { return tx.RevokeToken(second.Token) })
	wantHeld(t, st, w.Ada.User, "a", "c")
	for _, by := range []slipway.Actor{w.Ada, first, third} {
		wantPerson(t, st, by, string(w.Ada.User))
	}
	wantPerson(t, st, second, string(second.Token)) // revoked: nobody is known

	rotate(first, w.Oli) // who is shown what it issues from now on
	add("d", first)
	wantHeld(t, st, w.Oli.User, "a", "d")
	wantHeld(t, st, w.Ada.User, "c") // she knows only the old secret of the first

	rotate(first, first) // whoever used it is one of those who hold it
	wantHeld(t, st, w.Oli.User, "a", "d")
	rotate(first, w.Eve)
	wantHeld(t, st, w.Oli.User, "d")
	wantHeld(t, st, w.Eve.User, "a")
	wantHeld(t, st, w.Ada.User, "c")
}

// TestHoldersOfOldTokens: what tokens of earlier releases did not keep of their
// makers is in the audit log.
func TestHoldersOfOldTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slipway.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, store.Migrations())
	if err == nil {
		_, err = p.UpTo(t.Context(), 9)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		`INSERT INTO users (id, email, name, password, created_at) VALUES ('ada', 'ada@example.com', 'Ada', '', 1), ('bob', 'bob@example.com', '', '', 1)`,
		`INSERT INTO workspaces VALUES ('w', 'W', 1)`,
		`INSERT INTO tokens (id, secret, kind, name, workspace, role, created_by, created_at, started_at, expires_at, by_user, by_token) VALUES
			('init',    's1', 'api',   'init',    'w', 4, 'Ada',            10, 10, 0, '',    ''),
			('agents',  's2', 'agent', 'init',    'w', 1, 'Ada',            10, 10, 0, '',    ''),
			('local',   's3', 'api',   'local',   'w', 4, 'administrator',  20, 20, 0, '',    ''),
			('page',    's4', 'api',   'page',    'w', 4, 'Ada',            30, 35, 0, 'ada', ''),
			('child',   's5', 'api',   'child',   'w', 4, 'token page',     40, 40, 0, '',    'page'),
			('orphan',  's6', 'api',   'orphan',  'w', 4, 'token gone',     60, 60, 0, '',    'revoked'),
			('rotated', 's7', 'api',   'rotated', 'w', 4, 'administrator',  70, 75, 0, '',    '')`,
		`INSERT INTO audit (at, workspace, deployment, by, action, target, detail) VALUES
			(10, 'w', '', '{"User":"ada","Token":"","Name":"Ada"}',            'token.create', 'API token init', ''),
			(10, 'w', '', '{"User":"ada","Token":"","Name":"Ada"}',            'token.create', 'agent token init', ''),
			(20, 'w', '', '{"User":"","Token":"","Name":"administrator"}',     'token.create', 'API token local', ''),
			(35, 'w', '', '{"User":"bob","Token":"","Name":"bob@example.com"}', 'token.rotate', 'API token page', ''),
			(50, 'w', '', '{"User":"bob","Token":"","Name":"bob@example.com"}', 'token.create', 'API token gone', ''),
			(75, 'w', '', '{"User":"","Token":"page","Name":"page"}',          'token.rotate', 'API token rotated', '')`,
	} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(context.WithoutCancel(t.Context()), path)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	wantHeld(t, st, "ada", "child", "init", "init", "rotated") // bob rotated her page
	wantHeld(t, st, "bob", "child", "orphan", "page", "rotated")
}

// A disabled account is nobody anywhere; enabled again, it is who it was.
func TestDisabledAccounts(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	known := func() (all [5]bool) {
		storetest.View(t, st, func(tx *store.Tx) error {
			_, _, inWorkspace := tx.Workspace(w.Workspace.ID, w.Ada)
			_, _, inDeployment := tx.Deployment(w.Sales.ID, w.Ada)
			_, works := tx.WorkingUser(w.Ada.User)
			_, session := tx.Session("s")
			_, login := tx.LoginToken(store.LoginAccess, "l")
			for i, err := range []error{inWorkspace, inDeployment, works, session, login} {
				all[i] = err == nil
			}
			return nil
		})
		return all
	}
	begin := func(tx *store.Tx) (session, login error) {
		return tx.AddSession("s", w.Ada.User), tx.AddLoginToken(store.LoginToken{Secret: "l", Kind: store.LoginAccess, User: w.Ada.User, ExpiresAt: tx.Now.AddDate(1, 0, 0)})
	}
	storetest.Update(t, st, func(tx *store.Tx) error {
		session, login := begin(tx)
		if session != nil {
			return session
		}
		return login
	})
	if got := known(); got != [5]bool{true, true, true, true, true} {
		t.Errorf("before: %v", got)
	}
	storetest.Update(t, st, func(tx *store.Tx) error {
		if err := tx.DisableUser(w.Ada.User); err != nil {
			return err
		}
		session, login := begin(tx)
		for _, err := range []error{session, login} {
			if kind, _ := slipway.Explain(err); err == nil || kind != slipway.Unauthorized {
				t.Errorf("a session or login begins: %v", err)
			}
		}
		if n, err := tx.Owners(w.Workspace.ID); n != 0 || err != nil {
			t.Errorf("%d Owners, %v", n, err)
		}
		return nil
	})
	if got := known(); got != [5]bool{} {
		t.Errorf("disabled: %v", got)
	}
	storetest.Update(t, st, func(tx *store.Tx) error { return tx.EnableUser(w.Ada.User) })
	if got := known(); got != [5]bool{true, true, true} {
		t.Errorf("enabled again: %v", got)
	}
}
