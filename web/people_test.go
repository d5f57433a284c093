package web

import (
	"net/http"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

func (a *app) memberPath(who slipway.Actor) string {
	return "/workspaces/" + string(a.Workspace.ID) + "/people/" + string(who.User)
}

func TestPeoplePage(t *testing.T) {
	a := newApp(t)
	path := "/workspaces/" + string(a.Workspace.ID) + "/people"
	for name, tt := range map[string]struct {
		who          slipway.Actor
		mayManage    bool
		removeOthers int // buttons
	}{
		"Owner":  {who: a.Ada, mayManage: true, removeOthers: 3},
		"Member": {who: a.Mia},
		"admin":  {who: a.Root, mayManage: true, removeOthers: 3}, // the last Owner stays
	} {
		t.Run(name, func(t *testing.T) {
			w := a.as(t, tt.who).get(path)
			want(t, w, http.StatusOK, "Ada Lovelace", "eve@example.com")
			page := w.Body.String()
			if got := strings.Contains(page, "Invite someone"); got != tt.mayManage {
				t.Errorf("may invite: %v", got)
			}
			if got := strings.Contains(page, "Change the role of Eve Author"); got != tt.mayManage {
				t.Errorf("may change roles: %v", got)
			}
			if strings.Contains(page, "Change the role of Ada Lovelace") {
				t.Error("offers to change the role of the last Owner")
			}
			if got := strings.Count(page, `aria-label="Remove `); got != tt.removeOthers {
				t.Errorf("%d can be removed, want %d", got, tt.removeOthers)
			}
		})
	}
}

func TestRoles(t *testing.T) {
	for name, tt := range map[string]struct {
		by, of func(*app) slipway.Actor
		role   string
		want   int
		after  slipway.Role
		says   string
	}{
		"Owner gives":        {by: ada, of: eve, role: "Operator", want: http.StatusSeeOther, after: slipway.Operator},
		"admin gives":        {by: root, of: eve, role: "Owner", want: http.StatusSeeOther, after: slipway.Owner},
		"Operator may not":   {by: oli, of: eve, role: "Operator", want: http.StatusForbidden, after: slipway.Author, says: "needs the Owner role"},
		"not for oneself":    {by: eve, of: eve, role: "Owner", want: http.StatusForbidden, after: slipway.Author, says: "needs the Owner role"},
		"stranger":           {by: sam, of: eve, role: "Operator", want: http.StatusNotFound, after: slipway.Author, says: "There is no Workspace"},
		"last Owner":         {by: ada, of: ada, role: "Member", want: http.StatusConflict, after: slipway.Owner, says: "is the last Owner of this Workspace"},
		"last Owner, by all": {by: root, of: ada, role: "Operator", want: http.StatusConflict, after: slipway.Owner, says: "is the last Owner of this Workspace"},
		"no such role":       {by: ada, of: eve, role: "King", want: http.StatusUnprocessableEntity, after: slipway.Author, says: "There is no role"},
		"not a member":       {by: ada, of: sam, role: "Owner", want: http.StatusNotFound, after: slipway.NoRole, says: "There is no such member"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			w := a.as(t, tt.by(a)).post(a.memberPath(tt.of(a)), "role", tt.role)
			want(t, w, tt.want, tt.says)
			if got := a.role(t, a.Workspace.ID, tt.of(a).User); got != tt.after {
				t.Errorf("role %v, want %v", got, tt.after)
			}
			if recorded := len(a.events(t, a.Workspace.ID)) == 1; recorded != (tt.want == http.StatusSeeOther) {
				t.Errorf("events %q", a.events(t, a.Workspace.ID))
			}
		})
	}
}

func TestRemoveMember(t *testing.T) {
	for name, tt := range map[string]struct {
		by, of func(*app) slipway.Actor
		want   int
		gone   bool
	}{
		"Owner removes":    {by: ada, of: eve, want: http.StatusSeeOther, gone: true},
		"leaves":           {by: mia, of: mia, want: http.StatusSeeOther, gone: true},
		"Operator may not": {by: oli, of: mia, want: http.StatusForbidden},
		"last Owner stays": {by: ada, of: ada, want: http.StatusConflict},
		"stranger":         {by: sam, of: mia, want: http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			b, path := a.as(t, tt.by(a)), a.memberPath(tt.of(a))+"/remove"
			asked := b.get(path)
			if got := asked.Code == http.StatusOK; got != tt.gone {
				t.Errorf("asks: answer %d", asked.Code)
			}
			want(t, b.post(path), tt.want)
			if gone := a.role(t, a.Workspace.ID, tt.of(a).User) == slipway.NoRole; gone != tt.gone {
				t.Errorf("gone: %v", gone)
			}
			if tt.gone {
				people := "/workspaces/" + string(a.Workspace.ID) + "/people"
				want(t, a.as(t, tt.of(a)).get(people), http.StatusNotFound, "There is no Workspace")
			}
		})
	}
}

func ada(a *app) slipway.Actor  { return a.Ada }
func oli(a *app) slipway.Actor  { return a.Oli }
func eve(a *app) slipway.Actor  { return a.Eve }
func mia(a *app) slipway.Actor  { return a.Mia }
func sam(a *app) slipway.Actor  { return a.Sam }
func root(a *app) slipway.Actor { return a.Root }
