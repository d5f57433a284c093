package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// ends are the ways in which Bob's access ends.
var ends = map[string]struct {
	end    func(*leaver)
	member bool // he is a Member afterwards
	quiet  bool // another process does it: the portal learns of it with the next change
}{
	"removed": {end: func(l *leaver) {
		goesTo(l.t, l.as(l.t, l.Ada).post(l.memberPath(l.bob)+"/remove", "shown", string(l.kept.ID)), peoplePath(l.Workspace.ID))
	}},
	"demoted": {member: true, end: func(l *leaver) {
		goesTo(l.t, l.as(l.t, l.Ada).post(l.memberPath(l.bob), "role", "Member", "shown", string(l.kept.ID)), peoplePath(l.Workspace.ID))
	}},
	"disabled": {quiet: true, end: func(l *leaver) {
		storetest.Update(l.t, l.store, func(tx *store.Tx) error {
			_, err := auth.DisableAccount(tx, slipway.Actor{Name: "administrator", Via: slipway.Local}, "bob@example.com", []slipway.TokenID{l.kept.ID})
			return err
		})
	}},
	"account removed": {quiet: true, end: func(l *leaver) {
		storetest.Update(l.t, l.store, func(tx *store.Tx) error {
			_, err := auth.RemoveAccount(tx, slipway.Actor{Name: "administrator", Via: slipway.Local}, "bob@example.com", []slipway.TokenID{l.kept.ID})
			return err
		})
	}},
}

// TestNothingIsLeft tries every door of somebody before and after their access
// ends.
func TestNothingIsLeft(t *testing.T) {
	for name, tt := range ends {
		t.Run(name, func(t *testing.T) {
			l := newLeaver(t)
			stream := l.as(t, l.bob).listen(l.page("/live?view=overview"))
			stream.until("#facts")
			for _, d := range append(l.doors, l.stays...) {
				if !d.opens() {
					t.Errorf("%s: opens nothing before", d.name)
				}
			}
			changed, stop := l.engine.Watch("quiet") // where nothing else happens
			defer stop()

			tt.end(l)

			select {
			case <-changed:
			default:
				if !tt.quiet {
					t.Error("open streams are not told to look again")
				}
			}
			for _, d := range l.doors {
				if got, want := d.opens(), tt.member && d.member; got != want {
					t.Errorf("%s: opens: %v, want %v", d.name, got, want)
				}
			}
			for _, d := range l.stays {
				if !d.opens() {
					t.Errorf("%s: opens no longer", d.name)
				}
			}
			if tt.member {
				return
			}
			l.staged(t, l.Ada, map[string]string{"after.py": dag})
			for event := range stream.events {
				if strings.Contains(event, "TO CONFIRM") && strings.Contains(event, "Ada") {
					t.Fatal("the stream told what happened afterwards")
				}
			}
		})
	}
}

// TestDemotionByOneStep takes what is above the new role, and nothing else.
func TestDemotionByOneStep(t *testing.T) {
	for name, tt := range map[string]struct {
		before, next slipway.Role
		want         []string // that still work
	}{
		"Owner to Operator":  {slipway.Owner, slipway.Operator, []string{"Author", "Member", "Operator", "agents"}},
		"Operator to Author": {slipway.Operator, slipway.Author, []string{"Author", "Member"}},
		"Author to Operator": {slipway.Author, slipway.Operator, []string{"Author", "Member", "Operator", "Owner", "agents"}},
		"Operator, again":    {slipway.Operator, slipway.Operator, []string{"Author", "Member", "Operator", "Owner", "agents"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			for _, role := range slipway.WorkspaceRoles {
				a.issueAs(t, a.Oli, slipway.Owner, auth.NewToken{Name: role.String(), Role: role})
			}
			storetest.Update(t, a.store, func(tx *store.Tx) error {
				_, _, err := auth.IssueAgentToken(tx, a.Oli, a.Sales.ID, "agents")
				return err
			})
			storetest.Update(t, a.store, func(tx *store.Tx) error { return tx.SetRole(a.Workspace.ID, a.Oli.User, tt.before) })

			goesTo(t, a.as(t, a.Ada).post(a.memberPath(a.Oli), "role", tt.next.String()), peoplePath(a.Workspace.ID))

			var got []string
			storetest.View(t, a.store, func(tx *store.Tx) error {
				all, err := tx.AllTokens(a.Workspace.ID, "")
				for _, of := range all {
					got = append(got, of.Name)
				}
				return err
			})
			slices.Sort(got)
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				t.Errorf("tokens %q still work, want %q", got, tt.want)
			}
		})
	}
}

// issueAs makes a token as somebody who has a role for that moment.
func (a *app) issueAs(t *testing.T, who slipway.Actor, role slipway.Role, n auth.NewToken) store.Token {
	t.Helper()
	before := a.role(t, a.Workspace.ID, who.User)
	storetest.Update(t, a.store, func(tx *store.Tx) error { return tx.SetRole(a.Workspace.ID, who.User, role) })
	_, of := a.issue(t, who, n)
	storetest.Update(t, a.store, func(tx *store.Tx) error { return tx.SetRole(a.Workspace.ID, who.User, before) })
	return of
}

// TestKeepingTokens: only what was shown and is not ticked stays, and only for
// who may manage people.
func TestKeepingTokens(t *testing.T) {
	for name, tt := range map[string]struct {
		by   func(*app) slipway.Actor
		form func(one, two store.Token) []string
		kept int
	}{
		"no field": {ada, func(_, _ store.Token) []string { return nil }, 0},
		"both ticked": {ada, func(one, two store.Token) []string {
			return []string{"shown", string(one.ID), "shown", string(two.ID), "revoke", string(one.ID), "revoke", string(two.ID)}
		}, 0},
		"one not ticked": {ada, func(one, two store.Token) []string {
			return []string{"shown", string(one.ID), "shown", string(two.ID), "revoke", string(one.ID)}
		}, 1},
		"one not shown":                {ada, func(one, _ store.Token) []string { return []string{"shown", string(one.ID)} }, 1},
		"by oneself, who is no Owner":  {oli, func(one, two store.Token) []string { return []string{"shown", string(one.ID), "shown", string(two.ID)} }, 0},
		"that is somebody else's, too": {root, func(_, two store.Token) []string { return []string{"shown", "unknown", "shown", string(two.ID)} }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			one := a.issueAs(t, a.Oli, slipway.Operator, auth.NewToken{Name: "one", Role: slipway.Operator})
			two := a.issueAs(t, a.Oli, slipway.Operator, auth.NewToken{Name: "two", Role: slipway.Author})

			w := a.as(t, tt.by(a)).postMany(a.memberPath(a.Oli)+"/remove", tt.form(one, two)...)

			if w.Code != http.StatusSeeOther {
				t.Fatalf("answer %d: %s", w.Code, text(w))
			}
			var left []store.Token
			storetest.View(t, a.store, func(tx *store.Tx) (err error) {
				left, err = tx.Tokens(a.Workspace.ID)
				return err
			})
			if len(left) != tt.kept {
				t.Errorf("%d tokens are left, want %d", len(left), tt.kept)
			}
			kept, revoked := 0, 0
			for _, e := range a.events(t, a.Workspace.ID) {
				kept += strings.Count(e, "token.keep API token")
				revoked += strings.Count(e, "token.revoke API token")
			}
			if kept != tt.kept || revoked != 2-tt.kept {
				t.Errorf("the audit log has %d kept and %d revoked, want %d and %d: %q", kept, revoked, tt.kept, 2-tt.kept, a.events(t, a.Workspace.ID))
			}
		})
	}
}

// postMany sends a form in which a name may come more than once.
func (b *browser) postMany(path string, pairs ...string) *httptest.ResponseRecorder {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

// TestTokensIssuedMeanwhile: a token that is issued while its maker is removed is
// refused, or ends with the others.
func TestTokensIssuedMeanwhile(t *testing.T) {
	a := newApp(t)
	storetest.Update(t, a.store, func(tx *store.Tx) error { return tx.SetRole(a.Workspace.ID, a.Oli.User, slipway.Owner) })
	token, _ := a.issue(t, a.Oli, auth.NewToken{Name: "ci", Role: slipway.Owner})
	l := &leaver{app: a, t: t}
	body := `{"scope":"WORKSPACE","entityId":"` + string(a.Workspace.ID) + `","name":"n","role":"WORKSPACE_OWNER"}`
	var all sync.WaitGroup
	issued := make(chan string, 400)
	begun := make(chan bool)
	for n := range 4 {
		all.Go(func() {
			b := a.as(t, a.Oli)
			for i := range 50 {
				if n == 0 && i == 5 {
					close(begun)
				}
				if n%2 == 0 {
					issued <- l.call(token, http.MethodPost, "/v1/organizations/slipway/tokens", body).Body.String()
				} else if w := b.post(a.tokensPath(), "name", "n", "role", "Owner", "kind", "DAG_ONLY"); w.Code == http.StatusOK {
					issued <- "page"
				}
			}
		})
	}
	<-begun
	goesTo(t, a.as(t, a.Ada).post(a.memberPath(a.Oli)+"/remove"), peoplePath(a.Workspace.ID))
	all.Wait()
	if len(issued) == 0 {
		t.Error("no token was issued at all")
	}
	storetest.View(t, a.store, func(tx *store.Tx) error {
		left, err := tx.AllTokens(a.Workspace.ID, "")
		if len(left) > 0 {
			t.Errorf("%d tokens work afterwards", len(left))
		}
		return err
	})
}

// TestUploadUnderWay: what arrives to its end after its sender was removed is not
// taken, and the deploy says so.
func TestUploadUnderWay(t *testing.T) {
	a := newApp(t)
	a.run(t)
	b := a.as(t, a.Eve)
	whole := string(storetest.Archive(t, map[string]string{"a.py": dag}))
	at := b.begin(len(whole))
	r, w := io.Pipe()
	request := tusRequest(http.MethodPatch, at, "", "Upload-Offset", "0")
	request.Body = r
	answered := make(chan int)
	go func() { answered <- b.do(request).Code }()
	if _, err := io.WriteString(w, whole[:10]); err != nil {
		t.Fatal(err)
	}
	goesTo(t, a.as(t, a.Ada).post(a.memberPath(a.Eve)+"/remove"), peoplePath(a.Workspace.ID))
	if _, err := io.WriteString(w, whole[10:]); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if code := <-answered; code != http.StatusNotFound {
		t.Errorf("answer %d, want 404", code)
	}
	d := a.deploy(t, 1)
	if d.Status != slipway.Failed || d.Reason != "Eve Author no longer has access to this Deployment." {
		t.Errorf("the deploy is %s: %q", d.Status, d.Reason)
	}
}
