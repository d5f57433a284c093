package web

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
	"slipway/web/api"
)

// doorway is a way in of somebody who was let in once.
type doorway struct {
	name   string
	opens  func() bool // whether it lets them do something now
	member bool        // a Member may do that, too
}

// leaver is Bob, an Owner, with everything that lets him in.
type leaver struct {
	*app
	t     *testing.T
	bob   slipway.Actor
	token string // that he made, an Owner's
	kept  store.Token
	doors []doorway
	stays []doorway // what opens whatever becomes of him
}

func newLeaver(t *testing.T) *leaver {
	t.Helper()
	l := &leaver{app: newApp(t), t: t}
	l.run(t)
	storetest.Update(t, l.store, func(tx *store.Tx) (err error) {
		l.bob, err = storetest.AddPerson(tx, "Bob Leaver", l.Workspace.ID, slipway.Owner)
		return err
	})
	live := l.live(t, l.Ada, map[string]string{"a.py": dag})
	l.addPerson()
	l.addTokens()
	l.addAgents(live)
	l.addUploads()
	return l
}

func (l *leaver) add(name string, opens func() bool) {
	l.doors = append(l.doors, doorway{name: name, opens: opens})
}

// addPerson adds what lets Bob in himself.
func (l *leaver) addPerson() {
	b := l.as(l.t, l.bob)
	l.doors = append(l.doors, doorway{"session, that reads", func() bool { return b.get(l.page("")).Code == http.StatusOK }, true})
	l.add("session, that invites", func() bool {
		return b.post(workspacePath(l.Workspace.ID)+"/invitations", "role", "Owner").Code == http.StatusOK
	})
	access := l.loginToken(store.LoginAccess)
	l.add("login, access token", func() bool { return l.manages(access) })
	l.add("login, refresh token", l.exchanges("refresh_token", store.LoginRefresh))
	l.add("login, code", l.exchanges("code", store.LoginCode))
	l.add("registry bearer of a login", l.pushes(access))
	ada := l.as(l.t, l.Ada)
	l.stays = append(l.stays, doorway{name: "Ada's session", opens: func() bool { return ada.get(peoplePath(l.Workspace.ID)).Code == http.StatusOK }})
}

// addTokens adds API tokens that Bob made, had made or gave a new secret.
func (l *leaver) addTokens() {
	owner := auth.NewToken{Name: "ci", Role: slipway.Owner}
	byToken := func(of store.Token) slipway.Actor {
		return slipway.Actor{Token: of.ID, Name: of.Name, Via: slipway.API}
	}
	token, first := l.issue(l.t, l.bob, owner)
	l.token = token
	l.add("API token", func() bool { return l.manages(token) })
	second, _ := l.issue(l.t, byToken(first), owner)
	l.add("token that his token issued", func() bool { return l.manages(second) })
	_, middle := l.issue(l.t, byToken(first), owner)
	third, _ := l.issue(l.t, byToken(middle), owner)
	storetest.Update(l.t, l.store, func(tx *store.Tx) error { return tx.RevokeToken(middle.ID) })
	l.add("token whose issuer was revoked", func() bool { return l.manages(third) })
	_, adas := l.issue(l.t, l.Ada, owner)
	rotated := l.rotate(l.bob, adas)
	l.add("Ada's token that he rotated", func() bool { return l.manages(rotated) })
	fourth, _ := l.issue(l.t, byToken(adas), owner)
	l.add("token that a rotated one issued", func() bool { return l.manages(fourth) })
	_, other := l.issue(l.t, l.Ada, owner)
	fifth := l.rotate(byToken(first), other)
	l.add("Ada's token that his token rotated", func() bool { return l.manages(fifth) })
	one, _ := l.issue(l.t, l.bob, auth.NewToken{Name: "one", Deployment: l.Sales.ID, Role: slipway.Owner})
	l.add("token of one Deployment", func() bool {
		return l.call(one, http.MethodGet, "/v1/organizations/slipway/tokens?deploymentId="+string(l.Sales.ID), "").Code == http.StatusOK
	})
	l.add("registry bearer of a token", l.pushes(token))

	kept, record := l.issue(l.t, l.bob, owner)
	l.kept = record
	mine, _ := l.issue(l.t, l.Ada, owner)
	_, again := l.issue(l.t, l.Ada, owner)
	l.rotate(l.bob, again)
	back := l.rotate(l.Ada, again)
	l.stays = append(l.stays,
		doorway{name: "kept token", opens: func() bool { return l.manages(kept) }},
		doorway{name: "Ada's token", opens: func() bool { return l.manages(mine) }},
		doorway{name: "Ada's token that she rotated after him", opens: func() bool { return l.manages(back) }},
	)
}

// addAgents adds an agent token that Bob made, and one of Ada's.
func (l *leaver) addAgents(live slipway.Deploy) {
	made := map[slipway.UserID]string{}
	for _, who := range []slipway.Actor{l.bob, l.Ada} {
		storetest.Update(l.t, l.store, func(tx *store.Tx) (err error) {
			made[who.User], _, err = auth.IssueAgentToken(tx, who, l.Sales.ID, "workers")
			return err
		})
	}
	opens := func(token, path string) func() bool {
		return func() bool { return l.asAgent(l.t, token, http.MethodGet, path, "").Code == http.StatusOK }
	}
	l.add("agent token, desired state", opens(made[l.bob.User], "desired"))
	l.add("agent token, manifest", opens(made[l.bob.User], "manifests/"+live.Version.Dir()))
	l.stays = append(l.stays, doorway{name: "Ada's agent token", opens: opens(made[l.Ada.User], "desired")})
}

// addUploads adds what Bob began to deploy.
func (l *leaver) addUploads() {
	for who, token := range map[string]string{"login": l.loginToken(store.LoginAccess), "token": l.token} {
		address := l.uploadAddress(token)
		n := 0
		l.add("upload address of a "+who+", block", func() bool {
			n++
			return l.put(address+"&comp=block&blockid="+base64.URLEncoding.EncodeToString(fmt.Appendf(nil, "%03d", n))).Code == http.StatusCreated
		})
		whole := []string{l.uploadAddress(token), l.uploadAddress(token)}
		l.add("upload address of a "+who+", whole", func() bool { return l.put(next(&whole)).Code == http.StatusCreated })
		again := l.uploadAddress(token)
		l.add("upload address of a "+who+", whole and again", func() bool { return l.put(again).Code == http.StatusCreated })
		lists := []string{l.uploadAddress(token), l.uploadAddress(token)}
		for _, at := range lists {
			l.put(at + "&comp=block&blockid=MDAx")
		}
		l.add("upload address of a "+who+", list of blocks", func() bool {
			return l.put(next(&lists)+"&comp=blocklist", "<BlockList><Latest>MDAx</Latest></BlockList>").Code == http.StatusCreated
		})
	}
	b := l.as(l.t, l.bob)
	at, sent := b.begin(100), 0
	l.add("upload of the portal", func() bool {
		sent++
		return b.do(tusRequest(http.MethodPatch, at, "x", "Upload-Offset", strconv.Itoa(sent-1))).Code == http.StatusNoContent
	})
	for name, action := range map[string]string{"confirmed": "/confirm", "cancelled": "/cancel"} {
		numbers := []int{l.staged(l.t, l.bob, map[string]string{"a.py": dag}).Number, l.staged(l.t, l.bob, map[string]string{"a.py": dag}).Number}
		l.add("staged upload, "+name, func() bool {
			number := next(&numbers)
			r, err := l.engine.Review(l.t.Context(), l.Sales.ID, number, l.Ada)
			if err != nil {
				l.t.Fatal(err)
			}
			w := b.post(deployPath(l.Sales.ID, number)+action, "base", string(r.Base))
			return w.Code == http.StatusSeeOther && !strings.HasPrefix(w.Header().Get("Location"), "/signin")
		})
	}
	finals := []slipway.Deploy{l.staged(l.t, l.bob, map[string]string{"a.py": dag}), l.staged(l.t, l.bob, map[string]string{"a.py": dag})}
	token := l.loginToken(store.LoginAccess)
	l.add("staged upload, finalized", func() bool {
		w := next(&finals)
		return l.call(token, http.MethodPost, "/v1/organizations/slipway/deployments/"+string(l.Sales.ID)+"/deploys/"+string(w.ID)+"/finalize",
			`{"dagTarballVersion":"`+string(w.Version)+`"}`).Code == http.StatusOK
	})
}

// next takes the first of what is left.
func next[T any](left *[]T) (first T) {
	first, *left = (*left)[0], (*left)[1:]
	return first
}

// call asks the API with a token.
func (l *leaver) call(token, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	l.handler.ServeHTTP(w, r)
	return w
}

// manages reports whether a token manages those of the Workspace.
func (l *leaver) manages(token string) bool {
	return l.call(token, http.MethodGet, "/v1/organizations/slipway/tokens?workspaceId="+string(l.Workspace.ID), "").Code == http.StatusOK
}

const leaverVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

// loginToken makes a login token of Bob's.
func (l *leaver) loginToken(kind string) string {
	l.t.Helper()
	sum := sha256.Sum256([]byte(leaverVerifier))
	var token string
	storetest.Update(l.t, l.store, func(tx *store.Tx) error {
		token = "swl_" + fmt.Sprint(kind, len(l.doors), tx.NewTokenID())
		return tx.AddLoginToken(store.LoginToken{
			Secret: auth.Fingerprint(token), Kind: kind, User: l.bob.User, Login: token,
			Challenge: base64.RawURLEncoding.EncodeToString(sum[:]), ExpiresAt: tx.Now.Add(time.Hour),
		})
	})
	return token
}

// exchanges returns whether an access token is to be had, with which to manage.
func (l *leaver) exchanges(field, kind string) func() bool {
	left := []string{l.loginToken(kind), l.loginToken(kind)}
	grant := map[string]string{"code": "authorization_code"}[field]
	if grant == "" {
		grant = field
	}
	return func() bool {
		w := httptest.NewRecorder()
		l.handler.ServeHTTP(w, postRequest("/auth/oauth/token", "grant_type", grant, "redirect_uri", api.Callback, "code_verifier", leaverVerifier, field, next(&left)))
		var got struct {
			Token string `json:"access_token"`
		}
		return w.Code == http.StatusOK && json.Unmarshal(w.Body.Bytes(), &got) == nil && l.manages(got.Token)
	}
}

// pushes returns whether a bearer that was handed out for a token begins to push.
func (l *leaver) pushes(token string) func() bool {
	l.t.Helper()
	bearer := (&dock{app: l.app}).bearer(l.t, token, "repository:"+l.Sales.Namespace+"/airflow:pull,push")
	return func() bool {
		return l.call(bearer, http.MethodPost, "/v2/"+l.Sales.Namespace+"/airflow/blobs/uploads/", "").Code == http.StatusAccepted
	}
}

// uploadAddress begins a deploy of DAGs and returns where its archive goes.
func (l *leaver) uploadAddress(token string) string {
	l.t.Helper()
	w := l.call(token, http.MethodPost, "/v1/organizations/slipway/deployments/"+string(l.Sales.ID)+"/deploys", `{"type":"DAG_ONLY","description":""}`)
	var got struct {
		URL string `json:"dagsUploadUrl"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.URL == "" {
		l.t.Fatalf("deploy: %d %s", w.Code, w.Body)
	}
	u, err := url.Parse(got.URL)
	if err != nil {
		l.t.Fatal(err)
	}
	return u.RequestURI()
}

// put sends a body, or an archive, to an upload address.
func (l *leaver) put(at string, body ...string) *httptest.ResponseRecorder {
	text := strings.Join(body, "")
	if text == "" {
		text = string(storetest.Archive(l.t, map[string]string{"a.py": dag}))
	}
	r := httptest.NewRequest(http.MethodPut, at, strings.NewReader(text))
	r.Header.Set("x-ms-blob-type", "BlockBlob")
	w := httptest.NewRecorder()
	l.handler.ServeHTTP(w, r)
	return w
}

// rotate gives a token a new secret as somebody, and returns it.
func (l *leaver) rotate(by slipway.Actor, of store.Token) (token string) {
	l.t.Helper()
	storetest.Update(l.t, l.store, func(tx *store.Tx) (err error) {
		token, _, err = auth.RotateToken(tx, by, of.ID)
		return err
	})
	return token
}
