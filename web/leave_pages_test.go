package web

import (
	"net/http"
	"strings"
	"testing"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// TestLeavingPages: what ends is listed before it ends, to be kept by those who
// may.
func TestLeavingPages(t *testing.T) {
	for name, tt := range map[string]struct {
		by   func(*app) slipway.Actor
		path string
		says []string
		not  []string
	}{
		"removal": {ada, "/remove", []string{"Remove Oli Operator?", "above", "API token, made by Oli Operator", "Operator of the Workspace", "below",
			"nightly", "issued by the token above", "Agent token, made by Oli Operator", "agents of sales-prod", `name="shown"`, `name="revoke"`}, []string{"mine"}},
		"demotion to Author": {ada, "/role?role=Author", []string{"Change the role of Oli Operator to Author?", "above", "nightly", "Agent token", `name="revoke"`},
			[]string{"below", "mine"}},
		"promotion":     {ada, "/role?role=Owner", []string{"Change the role of Oli Operator to Owner?", "No token is revoked by this."}, []string{`name="revoke"`}},
		"leaves":        {oli, "/remove", []string{"Leave Data Platform?", "above", "they can keep tokens"}, []string{`name="shown"`, `name="revoke"`}},
		"the same role": {ada, "/role?role=Operator", []string{"Oli Operator is Operator already."}, []string{`name="revoke"`}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			_, above := a.issue(t, a.Oli, auth.NewToken{Name: "above", Role: slipway.Operator})
			a.issue(t, a.Oli, auth.NewToken{Name: "below", Role: slipway.Author})
			a.issue(t, slipway.Actor{Token: above.ID, Name: "above"}, auth.NewToken{Name: "nightly", Role: slipway.Operator})
			a.issue(t, a.Ada, auth.NewToken{Name: "mine", Role: slipway.Operator})
			storetest.Update(t, a.store, func(tx *store.Tx) error {
				_, _, err := auth.IssueAgentToken(tx, a.Oli, a.Sales.ID, "workers")
				return err
			})
			w := a.as(t, tt.by(a)).get(a.memberPath(a.Oli) + tt.path)
			want(t, w, map[bool]int{false: http.StatusOK, true: http.StatusConflict}[name == "the same role"], tt.says...)
			for _, part := range tt.not {
				if _, card, _ := strings.Cut(w.Body.String(), `<section class="card"`); strings.Contains(card, part) {
					t.Errorf("the page has %q:\n%s", part, text(w))
				}
			}
		})
	}
}

// TestRoleFormAsksFirst: the form leads to a page only where a token might end.
func TestRoleFormAsksFirst(t *testing.T) {
	a := newApp(t)
	b := a.as(t, a.Ada)
	asks := `action="` + a.memberPath(a.Oli) + `/role"`
	if page := b.get(peoplePath(a.Workspace.ID)).Body.String(); strings.Contains(page, asks) {
		t.Error("asks though no token can end")
	}
	a.issue(t, a.Oli, auth.NewToken{Name: "ci", Role: slipway.Author})
	want(t, b.get(peoplePath(a.Workspace.ID)), http.StatusOK, asks, "Change…")
}

// TestKeptTokensAreMarked until somebody else gives them a new secret.
func TestKeptTokensAreMarked(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(*app, store.Token) error
		says string
	}{
		"left": {func(a *app, _ store.Token) error {
			return a.store.Update(t.Context(), func(tx *store.Tx) error { return tx.RemoveMember(a.Workspace.ID, a.Oli.User) })
		}, "Oli Operator, who is no longer in this Workspace, knows the secret."},
		"demoted": {func(a *app, _ store.Token) error {
			return a.store.Update(t.Context(), func(tx *store.Tx) error { return tx.SetRole(a.Workspace.ID, a.Oli.User, slipway.Member) })
		}, "Oli Operator, who is Member now, knows the secret."},
		"disabled": {func(a *app, of store.Token) error {
			return a.store.Update(t.Context(), func(tx *store.Tx) error {
				_, err := auth.DisableAccount(tx, a.Root, "oli@example.com", []slipway.TokenID{of.ID})
				return err
			})
		}, "Oli Operator, whose account is disabled, knows the secret."},
		"removed": {func(a *app, of store.Token) error {
			return a.store.Update(t.Context(), func(tx *store.Tx) error {
				_, err := auth.RemoveAccount(tx, a.Root, "oli@example.com", []slipway.TokenID{of.ID})
				return err
			})
		}, "Oli Operator, whose account was removed, knows the secret."},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			_, of := a.issue(t, a.Oli, auth.NewToken{Name: "ci", Role: slipway.Author})
			b := a.as(t, a.Ada)
			if page := text(b.get(a.tokensPath())); strings.Contains(page, "Rotate or revoke it.") {
				t.Errorf("marked before: %s", page)
			}
			if err := tt.end(a, of); err != nil {
				t.Fatal(err)
			}
			want(t, b.get(a.tokensPath()), http.StatusOK, tt.says, "Rotate or revoke it.", "KEPT")
			want(t, b.get(peoplePath(a.Workspace.ID)), http.StatusOK)
			want(t, b.post(a.tokensPath()+"/"+string(of.ID)+"/rotate"), http.StatusOK)
			if page := text(b.get(a.tokensPath())); strings.Contains(page, tt.says) {
				t.Errorf("still marked: %s", page)
			}
		})
	}
}

// TestDisabledSignIn: a disabled account answers as one that does not exist, and
// its address stays taken.
func TestDisabledSignIn(t *testing.T) {
	a := newApp(t)
	link := a.inviteTo(t, "Owner", "")
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		_, err := auth.DisableAccount(tx, a.Root, "oli@example.com", nil)
		return err
	})
	wrong := a.browser(t).signIn("nobody@example.com", storetest.Password)
	b := a.browser(t)
	w := b.signIn("oli@example.com", storetest.Password)
	want(t, w, http.StatusUnauthorized, "Email address or password is wrong.")
	if got, other := strings.ReplaceAll(w.Body.String(), "oli@", "nobody@"), wrong.Body.String(); got != other {
		t.Errorf("the pages differ:\n%s\n%s", got, other)
	}
	want(t, b.post(link, "email", "oli@example.com", "name", "Oli", "password", storetest.Password), http.StatusConflict, "There is an account for oli@example.com already.")
	want(t, a.as(t, a.Ada).get(peoplePath(a.Workspace.ID)), http.StatusOK, `<span class="kind">disabled</span>`)
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		_, err := auth.EnableAccount(tx, a.Root, "oli@example.com")
		return err
	})
	want(t, a.browser(t).signIn("oli@example.com", storetest.Password), http.StatusSeeOther)
}
