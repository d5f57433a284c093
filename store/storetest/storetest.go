// Package storetest gives tests a real store with a small, known world.
package storetest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"slipway/internal/slipway"
	"slipway/store"
)

// Password is the password of every user in the world.
const Password = "correct horse battery"

// passwordHash is Password's, made as cheap as argon2id allows: a test signs
// in a thousand times.
const passwordHash = "$argon2id$v=19$m=64,t=1,p=1$c2xpcHdheS10ZXN0LXNhbA$vXBpGKS+N8fjlfzX51TDzDiBtmrh2o6n649eB+X2MWs"

// World is the result of Seed: one person for each role in the Workspace "Data
// Platform", and a Deployment there.
type World struct {
	Workspace slipway.Workspace
	Sales     slipway.Deployment // "sales-prod", embedded, no deploy yet
	Ada       slipway.Actor      // Owner, ada@example.com
	Oli       slipway.Actor      // Operator
	Eve       slipway.Actor      // Author
	Mia       slipway.Actor      // Member
	Sam       slipway.Actor      // a stranger: Owner of another Workspace, "Other"
	Root      slipway.Actor      // admin of the Organization, member of nothing
	Other     slipway.Workspace
}

// Open opens an empty store on a file removed after the test.
func Open(t testing.TB) *store.Store {
	t.Helper()
	return OpenAt(t, filepath.Join(t.TempDir(), "slipway.db"))
}

// OpenAt is Open at a path of the caller's choice. An existing file stays.
func OpenAt(t testing.TB, path string) *store.Store {
	t.Helper()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		text, err := empty()
		if err == nil {
			err = os.WriteFile(path, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	st, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() }) // a test may have closed the store
	checkPlans(t, st)
	return st
}

// empty returns the file of an empty store. To migrate one for each of a
// thousand tests takes minutes.
var empty = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "storetest-")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "slipway.db")
	st, err := store.Open(context.Background(), path)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	err = st.Close() // the file is whole then
	text, readErr := os.ReadFile(path)
	return text, errors.Join(err, readErr, os.RemoveAll(dir))
})

// Update runs fn in st's write transaction.
func Update(t testing.TB, st *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := st.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// View runs fn in a read transaction of st.
func View(t testing.TB, st *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := st.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// Seed fills st with a World.
func Seed(t testing.TB, st *store.Store) (w World) {
	t.Helper()
	Update(t, st, func(tx *store.Tx) (err error) {
		if w.Workspace, err = tx.AddWorkspace("Data Platform"); err != nil {
			return err
		}
		if w.Other, err = tx.AddWorkspace("Other"); err != nil {
			return err
		}
		for _, p := range []struct {
			actor *slipway.Actor
			name  string
			in    slipway.WorkspaceID
			role  slipway.Role
		}{
			{&w.Ada, "Ada Lovelace", w.Workspace.ID, slipway.Owner},
			{&w.Oli, "Oli Operator", w.Workspace.ID, slipway.Operator},
			{&w.Eve, "Eve Author", w.Workspace.ID, slipway.Author},
			{&w.Mia, "Mia Member", w.Workspace.ID, slipway.Member},
			{&w.Sam, "Sam Stranger", w.Other.ID, slipway.Owner},
			{&w.Root, "Root Admin", "", slipway.Admin},
		} {
			if *p.actor, err = AddPerson(tx, p.name, p.in, p.role); err != nil {
				return err
			}
		}
		w.Sales, err = AddDeployment(tx, w.Workspace.ID, "sales-prod")
		return err
	})
	return w
}

// AddLongNames adds a person and a Deployment whose names have the longest
// allowed length without a place to break the line, and returns the Deployment.
// The person is Operator and holds tokens.
func AddLongNames(t testing.TB, st *store.Store, w World) (d slipway.Deployment) {
	t.Helper()
	Update(t, st, func(tx *store.Tx) (err error) {
		if d, err = AddDeployment(tx, w.Workspace.ID, strings.Repeat("a-very-long-name-", 4)); err != nil {
			return err
		}
		who, err := AddPerson(tx, strings.Repeat("Wolfeschlegelsteinhausenbergerdorff", 2), w.Workspace.ID, slipway.Operator)
		if err != nil {
			return err
		}
		return addTokens(tx, w, who, d)
	})
	return d
}

// addTokens adds tokens of both kinds, held by a person.
func addTokens(tx *store.Tx, w World, who slipway.Actor, d slipway.Deployment) error {
	long := strings.Repeat("a-very-long-name-", 4)
	of := store.Token{Name: long, Workspace: w.Workspace.ID, Role: slipway.Operator, Kind: store.APIToken, CreatedBy: who.Title(), ByUser: who.User}
	all := []store.Token{of, of, of, of}
	all[1].Name, all[1].Deployment = "one", d.ID
	all[2].Name, all[2].Deployment, all[2].Kind, all[2].Role = "workers", d.ID, store.AgentToken, slipway.Member
	for i, t := range all {
		t.ID, t.Secret, t.Short = tx.NewTokenID(), long+strings.Repeat("x", i), "aB3_x9"
		if i == 3 {
			t.Name, t.CreatedBy, t.ByUser, t.ByToken = "nightly", "token "+long, "", all[0].ID
		}
		t, err := tx.AddToken(t)
		if err != nil {
			return err
		}
		if all[i] = t; i == 0 {
			if err := tx.TouchToken(t.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// AddPerson adds a user with an address made of the first name, and a role in a
// Workspace, except for an admin.
func AddPerson(tx *store.Tx, name string, in slipway.WorkspaceID, role slipway.Role) (slipway.Actor, error) {
	u, err := tx.AddUser(slipway.User{Email: email(name), Name: name, Admin: role == slipway.Admin}, passwordHash)
	if err == nil && role != slipway.Admin {
		err = tx.SetRole(in, u.ID, role)
	}
	return slipway.Actor{User: u.ID, Name: u.Title(), Via: slipway.Portal, IP: "127.0.0.1"}, err
}

// AddDeployment adds a Deployment on this machine.
func AddDeployment(tx *store.Tx, in slipway.WorkspaceID, name string) (slipway.Deployment, error) {
	d, err := slipway.NewDeployment(in, name, true)
	if err != nil {
		return d, err
	}
	return tx.AddDeployment(d)
}

func email(name string) string {
	first, _, _ := strings.Cut(strings.ToLower(name), " ")
	return first + "@example.com"
}
