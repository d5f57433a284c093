package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// halfSent is a request whose body is still on its way when its sender loses
// access.
type halfSent struct {
	w    *httptest.ResponseRecorder
	body *io.PipeWriter
	done chan struct{}
}

// begin sends a request with the first half of its body, and returns when that
// has been read: the request was let in then.
func (a *app) begin(t *testing.T, method, path, token, half string) *halfSent {
	t.Helper()
	r, w := io.Pipe()
	h := &halfSent{w: httptest.NewRecorder(), body: w, done: make(chan struct{})}
	req := httptest.NewRequest(method, path, r)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	go func() {
		defer close(h.done)
		a.handler.ServeHTTP(h.w, req)
		_ = r.Close() // nobody reads on
	}()
	if _, err := io.WriteString(w, half); err != nil {
		t.Fatalf("it was not let in: %d %s", h.w.Code, h.w.Body)
	}
	return h
}

// end sends the other half, and returns the answer.
func (h *halfSent) end(half string) *httptest.ResponseRecorder {
	_, _ = io.WriteString(h.body, half) // it may be refused before
	_ = h.body.Close()
	<-h.done
	return h.w
}

// TestHeldOpen: a request that was let in does nothing more once its sender has
// lost access, however slowly it comes.
func TestHeldOpen(t *testing.T) {
	for name, tt := range map[string]struct {
		method, path, first, rest string // <d> and <w> stand for ids
		agent, rotated            bool   // by an agent token; by a token that is rotated, not revoked
		want                      int
	}{
		"a token is issued by a revoked token": {"POST", "/v1/organizations/slipway/tokens", `{"scope":"WORKSPACE",`,
			`"entityId":"<w>","name":"n","role":"WORKSPACE_OWNER"}`, false, false, http.StatusNotFound},
		"a token is issued by a rotated token": {"POST", "/v1/organizations/slipway/tokens", `{"scope":"WORKSPACE",`,
			`"entityId":"<w>","name":"n","role":"WORKSPACE_OWNER"}`, false, true, http.StatusNotFound},
		"a deploy is begun by a rotated token": {"POST", "/v1/organizations/slipway/deployments/<d>/deploys", `{"type":`, `"DAG_ONLY"}`, false, true, http.StatusNotFound},
		"a component reports":                  {"POST", "/agent/v1/report", `{"component":`, `"late-0","kind":"sidecar","dags":"image"}`, true, false, http.StatusUnauthorized},
		"a rollout's log":                      {"POST", "/agent/v1/log", `{"component":`, `"late-0","lines":["x"]}`, true, false, http.StatusUnauthorized},
	} {
		for _, loses := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", who loses access", false: ", who keeps it"}[loses], func(t *testing.T) {
				a := newApp(t)
				a.run(t)
				l := &leaver{app: a, t: t}
				storetest.Update(t, a.store, func(tx *store.Tx) error { return tx.SetRole(a.Workspace.ID, a.Eve.User, slipway.Owner) })
				ids := strings.NewReplacer("<d>", string(a.Sales.ID), "<w>", string(a.Workspace.ID))
				token, of := a.issue(t, a.Ada, auth.NewToken{Name: "ci", Role: slipway.Owner})
				if !tt.agent {
					token = l.rotate(a.Eve, of) // it is hers now
				} else {
					storetest.Update(t, a.store, func(tx *store.Tx) (err error) {
						token, _, err = auth.IssueAgentToken(tx, a.Eve, a.Sales.ID, "workers")
						return err
					})
				}
				h := a.begin(t, tt.method, ids.Replace(tt.path), token, tt.first)
				if loses && tt.rotated {
					l.rotate(a.Ada, of) // and Ada's again
				}
				if loses {
					goesTo(t, a.as(t, a.Ada).post(a.memberPath(a.Eve)+"/remove"), peoplePath(a.Workspace.ID))
				}
				switch w := h.end(ids.Replace(tt.rest)); {
				case loses && w.Code != tt.want:
					t.Errorf("answer %d %s, want %d", w.Code, w.Body, tt.want)
				case !loses && w.Code >= 300:
					t.Errorf("answer %d %s to somebody who may", w.Code, w.Body)
				}
			})
		}
	}
}

// TestAddressOfARotatedToken: an upload address is worth no more than the secret
// by which it was made.
func TestAddressOfARotatedToken(t *testing.T) {
	a := newApp(t)
	a.run(t)
	l := &leaver{app: a, t: t}
	token, of := a.issue(t, a.Ada, auth.NewToken{Name: "ci", Role: slipway.Author})
	at := l.uploadAddress(token)
	l.rotate(a.Ada, of)
	w := l.put(at)
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "was rotated after this deploy was begun") {
		t.Errorf("answer %d %s", w.Code, w.Body)
	}
	if d := a.deploy(t, 1); d.Status != slipway.Failed {
		t.Errorf("the deploy is %s", d.Status)
	}
}

// TestNoLinkGivesItBack: an open invitation for somebody's address gives back no
// role that they lost.
func TestNoLinkGivesItBack(t *testing.T) {
	for name, tt := range map[string]struct {
		end   func(a *app)
		links map[string]bool // roles of invitations, and whether they still open
	}{
		"removed": {func(a *app) { a.as(t, a.Ada).post(a.memberPath(a.Eve) + "/remove") }, map[string]bool{"Owner": false, "Member": false}},
		"demoted": {func(a *app) { a.as(t, a.Ada).post(a.memberPath(a.Eve), "role", "Member") }, map[string]bool{"Owner": false, "Member": true}},
		"disabled": {func(a *app) {
			storetest.Update(t, a.store, func(tx *store.Tx) error {
				_, err := auth.DisableAccount(tx, a.Root, "eve@example.com", nil)
				return err
			})
		}, map[string]bool{"Owner": false, "Member": false}},
		"promoted": {func(a *app) { a.as(t, a.Ada).post(a.memberPath(a.Eve), "role", "Operator") }, map[string]bool{"Owner": true}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			links := map[string]string{}
			for role := range tt.links {
				w := a.as(t, a.Ada).post(workspacePath(a.Workspace.ID)+"/invitations", "role", role, "email", "Eve@example.com")
				links[role] = linkOf.FindStringSubmatch(w.Body.String())[1]
			}
			tt.end(a)
			for role, opens := range tt.links {
				w := a.browser(t).get(links[role])
				if got := w.Code == http.StatusOK; got != opens {
					t.Errorf("the link for %s: answer %d, opens %t, want %t", role, w.Code, got, opens)
				}
			}
		})
	}
}

// TestNobodyKeepsTheirOwn: an Owner who leaves, or takes a smaller role, keeps
// no token by it.
func TestNobodyKeepsTheirOwn(t *testing.T) {
	for name, form := range map[string][]string{"/remove": nil, "": {"role", "Member"}} {
		t.Run("at "+name, func(t *testing.T) {
			a := newApp(t)
			l := &leaver{app: a, t: t}
			storetest.Update(t, a.store, func(tx *store.Tx) error { return tx.SetRole(a.Workspace.ID, a.Eve.User, slipway.Owner) })
			token, of := a.issue(t, a.Eve, auth.NewToken{Name: "mine", Role: slipway.Owner})
			b := a.as(t, a.Eve)
			b.post(a.memberPath(a.Eve)+name, append(form, "shown", string(of.ID))...)
			if role := a.role(t, a.Workspace.ID, a.Eve.User); role >= slipway.Owner {
				t.Fatalf("she is %s", role)
			}
			if l.manages(token) {
				t.Error("her token goes on")
			}
		})
	}
}

// TestLinksForNobody: the page that removes somebody tells of links that they
// may have seen.
func TestLinksForNobody(t *testing.T) {
	a := newApp(t)
	b, page := a.as(t, a.Ada), a.memberPath(a.Eve)+"/remove"
	if got := text(b.get(page)); strings.Contains(got, "without an address") {
		t.Errorf("there is none: %s", got)
	}
	b.post(workspacePath(a.Workspace.ID)+"/invitations", "role", "Owner", "email", "")
	want(t, b.get(page), http.StatusOK, "There is an open invitation without an address: whoever has the link can join with it.")
}
