package web

import (
	"net/http"
	"strings"
	"testing"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

func TestHome(t *testing.T) {
	a := newApp(t)
	goesTo(t, a.as(t, a.Mia).get("/"), "/workspaces/"+string(a.Workspace.ID))
	goesTo(t, a.as(t, a.Sam).get("/"), "/workspaces/"+string(a.Other.ID))
	goesTo(t, a.as(t, a.Root).get("/"), "/workspaces/"+string(a.Workspace.ID))
	var lone slipway.Actor
	storetest.Update(t, a.store, func(tx *store.Tx) (err error) {
		if lone, err = storetest.AddPerson(tx, "Lou Lone", a.Workspace.ID, slipway.Member); err == nil {
			err = tx.RemoveMember(a.Workspace.ID, lone.User)
		}
		return err
	})
	want(t, a.as(t, lone).get("/"), http.StatusOK, "You are in no Workspace")
}

func TestAddWorkspace(t *testing.T) {
	for name, tt := range map[string]struct {
		by   func(*app) slipway.Actor
		name string
		want int
		says string
	}{
		"admin":        {by: root, name: " Finance ", want: http.StatusSeeOther},
		"Owner":        {by: ada, name: "Finance", want: http.StatusForbidden, says: "Managing Workspaces is for Organization admins."},
		"no name":      {by: root, name: "", want: http.StatusUnprocessableEntity, says: "A Workspace needs a name."},
		"long name":    {by: root, name: strings.Repeat("x", 81), want: http.StatusUnprocessableEntity, says: "at most 80 characters"},
		"control sign": {by: root, name: "a\x00b", want: http.StatusUnprocessableEntity, says: "may hold only"},
		"taken":        {by: root, name: "Other", want: http.StatusConflict, says: "There is a Workspace named Other already."},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			want(t, a.as(t, tt.by(a)).post("/workspaces", "name", tt.name), tt.want, tt.says)
			var all []slipway.Workspace
			storetest.View(t, a.store, func(tx *store.Tx) (err error) {
				all, err = tx.Workspaces(a.Root.User)
				return err
			})
			if made := len(all) == 3 && all[1].Name == "Finance"; made != (tt.want == http.StatusSeeOther) {
				t.Errorf("Workspaces afterwards %+v", all)
			}
		})
	}
}

func TestRenameWorkspace(t *testing.T) {
	a := newApp(t)
	path := "/workspaces/" + string(a.Workspace.ID)
	want(t, a.as(t, a.Ada).post(path, "name", "Mine"), http.StatusForbidden)
	want(t, a.as(t, a.Sam).post(path, "name", "Mine"), http.StatusNotFound, "There is no Workspace")
	b := a.as(t, a.Root)
	want(t, b.post(path, "name", "Other"), http.StatusConflict)
	goesTo(t, b.post(path, "name", "Data & Co"), "/workspaces")
	want(t, b.get("/workspaces"), http.StatusOK, "Data &amp; Co", "The Workspace is named Data &amp; Co now.")
	if got := a.events(t, a.Workspace.ID); len(got) != 1 || got[0] != "workspace.rename Data Platform" {
		t.Errorf("events %q", got)
	}
}

func TestAdminBecomesOwner(t *testing.T) {
	a := newApp(t)
	path := "/workspaces/" + string(a.Workspace.ID) + "/own"
	want(t, a.as(t, a.Eve).post(path), http.StatusForbidden)
	want(t, a.as(t, a.Sam).post(path), http.StatusNotFound)
	if got := a.role(t, a.Workspace.ID, a.Root.User); got != slipway.NoRole {
		t.Fatalf("role %v before", got)
	}
	goesTo(t, a.as(t, a.Root).post(path), "/workspaces")
	if got := a.role(t, a.Workspace.ID, a.Root.User); got != slipway.Owner {
		t.Errorf("role %v, want Owner", got)
	}
}
