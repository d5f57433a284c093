package web

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

var linkOf = regexp.MustCompile(`id="invitation-link">http://example\.com(/invitations/[A-Z2-7]+)<`)

// invite returns the path of a new invitation to the Workspace.
func (a *app) invite(t *testing.T, role string) string { return a.inviteTo(t, role, "new@example.com") }

// inviteTo is invite to another address, "" for whoever has the link.
func (a *app) inviteTo(t *testing.T, role, email string) string {
	t.Helper()
	w := a.as(t, a.Ada).post("/workspaces/"+string(a.Workspace.ID)+"/invitations", "role", role, "email", email)
	want(t, w, http.StatusOK, "The invitation is ready.")
	m := linkOf.FindStringSubmatch(w.Body.String())
	if m == nil {
		t.Fatalf("no link in the answer:\n%s", text(w))
	}
	return m[1]
}

func newcomer(change ...string) []string {
	return append([]string{"email", "new@example.com", "name", "New", "password", storetest.Password}, change...)
}

func TestInvitationMakesAnAccount(t *testing.T) {
	a := newApp(t)
	link, b := a.invite(t, "Operator"), a.browser(t)
	want(t, b.get(link), http.StatusOK, "Join Data Platform", "as Operator", `value="new@example.com"`)
	goesTo(t, b.post(link, newcomer()...), "/workspaces/"+string(a.Workspace.ID))
	want(t, b.get("/account"), http.StatusOK, "new@example.com")

	u, _, err := a.server.account(t.Context(), "new@example.com")
	if err != nil || a.role(t, a.Workspace.ID, u.ID) != slipway.Operator || u.Admin {
		t.Errorf("user %+v, role %v, %v", u, a.role(t, a.Workspace.ID, u.ID), err)
	}
	if got := a.events(t, a.Workspace.ID); got[0] != "member.join new@example.com" || got[1] != "invitation.create new@example.com" {
		t.Errorf("events %q", got)
	}
	// Its link is used up, for everybody.
	want(t, a.browser(t).get(link), http.StatusNotFound, "This invitation has been used or revoked.")
	want(t, a.browser(t).post(link, newcomer("email", "second@example.com")...), http.StatusNotFound)
	want(t, a.as(t, a.Sam).post(link), http.StatusNotFound)
}

func TestInvitationOfSomeoneWithAnAccount(t *testing.T) {
	a := newApp(t)
	for name, tt := range map[string]struct {
		who        slipway.Actor
		role       string
		want       int
		roleAfter  slipway.Role
		stillWorks bool
	}{
		"stranger":           {who: a.Sam, role: "Author", want: http.StatusSeeOther, roleAfter: slipway.Author},
		"member gets more":   {who: a.Mia, role: "Author", want: http.StatusSeeOther, roleAfter: slipway.Author},
		"Owner keeps theirs": {who: a.Ada, role: "Member", want: http.StatusConflict, roleAfter: slipway.Owner, stillWorks: true},
		"same role":          {who: a.Eve, role: "Author", want: http.StatusConflict, roleAfter: slipway.Author, stillWorks: true},
	} {
		t.Run(name, func(t *testing.T) {
			link, b := a.inviteTo(t, tt.role, ""), a.as(t, tt.who)
			want(t, b.get(link), http.StatusOK, "You are signed in as")
			want(t, b.post(link), tt.want)
			if got := a.role(t, a.Workspace.ID, tt.who.User); got != tt.roleAfter {
				t.Errorf("role %v, want %v", got, tt.roleAfter)
			}
			if got := a.browser(t).get(link).Code == http.StatusOK; got != tt.stillWorks {
				t.Errorf("the link still works: %v", got)
			}
		})
	}
}

// An invitation to an address is for the account of that address alone, whoever
// has the link.
func TestInvitationIsForItsAddress(t *testing.T) {
	a := newApp(t)
	for name, tt := range map[string]struct {
		to    string
		who   slipway.Actor // zero: nobody is signed in
		email string        // of the new account
		want  int
	}{
		"theirs":               {to: "sam@example.com", who: a.Sam, want: http.StatusSeeOther},
		"theirs, other case":   {to: "Sam@Example.com", who: a.Sam, want: http.StatusSeeOther},
		"another's":            {to: "new@example.com", who: a.Sam, want: http.StatusForbidden},
		"another's, an admin":  {to: "new@example.com", who: a.Root, want: http.StatusForbidden},
		"account of another":   {to: "new@example.com", email: "thief@example.com", want: http.StatusForbidden},
		"account of it":        {to: "new@example.com", email: "new@example.com", want: http.StatusSeeOther},
		"account, other case":  {to: "newer@example.com", email: " NEWER@example.com ", want: http.StatusSeeOther},
		"to nobody in special": {email: "any@example.com", want: http.StatusSeeOther},
	} {
		t.Run(name, func(t *testing.T) {
			defer storetest.Update(t, a.store, func(tx *store.Tx) error { return tx.RemoveMember(a.Workspace.ID, a.Sam.User) })
			link, b := a.inviteTo(t, "Author", tt.to), a.browser(t)
			if tt.who.User != "" {
				b = a.as(t, tt.who)
			}
			page := b.get(link)
			refused := tt.want == http.StatusForbidden && tt.who.User != ""
			if got := strings.Contains(page.Body.String(), "This invitation is for new@example.com."); page.Code != http.StatusOK || got != refused {
				t.Errorf("answer %d, the page refuses: %v, want %v", page.Code, got, refused)
			}
			var fields []string
			if tt.who.User == "" {
				fields = newcomer("email", tt.email)
			}
			w := b.post(link, fields...)
			want(t, w, tt.want)
			if tt.want == http.StatusForbidden {
				want(t, w, tt.want, "This invitation is for new@example.com.")
				want(t, a.browser(t).get(link), http.StatusOK) // the link still works, for them
			}
		})
	}
}

func TestInvitationFormIsShownAgain(t *testing.T) {
	a := newApp(t)
	for name, tt := range map[string]struct {
		change []string
		want   int
		says   string
	}{
		"taken address":  {change: []string{"email", "eve@example.com"}, want: http.StatusConflict, says: "There is an account for eve@example.com already. Sign in with it."},
		"short password": {change: []string{"password", "short"}, want: http.StatusUnprocessableEntity, says: "at least 10 characters"},
		"no name":        {change: []string{"name", ""}, want: http.StatusUnprocessableEntity, says: "An account needs a name."},
	} {
		t.Run(name, func(t *testing.T) {
			link, b := a.inviteTo(t, "Author", ""), a.browser(t)
			want(t, b.post(link, newcomer(tt.change...)...), tt.want, tt.says, "Make an account and join")
			want(t, b.get("/account"), http.StatusSeeOther) // nobody is signed in
			want(t, b.get(link), http.StatusOK)             // and the link still works
		})
	}
}

func TestInvitationEnds(t *testing.T) {
	a := newApp(t)
	t.Run("expired", func(t *testing.T) {
		link := a.invite(t, "Author")
		a.now = time.Now().Add(slipway.InvitationLife + time.Minute)
		defer func() { a.now = time.Time{} }()
		want(t, a.browser(t).get(link), http.StatusNotFound, "This invitation has expired.")
		want(t, a.browser(t).post(link, newcomer()...), http.StatusNotFound)
	})
	t.Run("taken back", func(t *testing.T) {
		link := a.invite(t, "Author")
		id := auth.Fingerprint(link[len("/invitations/"):])
		remove := "/workspaces/" + string(a.Workspace.ID) + "/invitations/" + id + "/remove"
		want(t, a.as(t, a.Oli).post(remove), http.StatusForbidden)
		want(t, a.as(t, a.Sam).post("/workspaces/"+string(a.Other.ID)+"/invitations/"+id+"/remove"), http.StatusNotFound)
		want(t, a.browser(t).get(link), http.StatusOK)
		b := a.as(t, a.Ada)
		goesTo(t, b.post(remove), "/workspaces/"+string(a.Workspace.ID)+"/people")
		want(t, a.browser(t).get(link), http.StatusNotFound, "This invitation has been used or revoked.")
	})
	t.Run("never was", func(t *testing.T) {
		want(t, a.browser(t).get("/invitations/x"), http.StatusNotFound, "This invitation has been used or revoked.")
	})
}

func TestInvitationIsRefused(t *testing.T) {
	a := newApp(t)
	path := "/workspaces/" + string(a.Workspace.ID) + "/invitations"
	want(t, a.as(t, a.Ada).post(path, "role", "Organization admin"), http.StatusUnprocessableEntity, "There is no role")
	want(t, a.as(t, a.Ada).post(path, "role", "Author", "email", "nobody"), http.StatusUnprocessableEntity, "is not an email address")
	want(t, a.as(t, a.Oli).post(path, "role", "Author"), http.StatusForbidden, "needs the Owner role")
}
