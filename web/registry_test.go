package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// dock is a portal as docker finds it.
type dock struct {
	*app

	host string

	mu       sync.Mutex
	requests []string
}

func newDock(t *testing.T) *dock {
	t.Helper()
	d := &dock{app: newApp(t)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		d.requests = append(d.requests, r.Method+" "+r.URL.Path)
		d.mu.Unlock()
		d.handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	d.host = strings.TrimPrefix(server.URL, "http://")
	return d
}

// asked returns the requests since it was called last.
func (d *dock) asked() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.requests
	d.requests = nil
	return all
}

func (d *dock) ref(t *testing.T, text string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(d.host + "/" + text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// as is how a client brings a token.
func with(token string) remote.Option {
	return remote.WithAuth(authn.FromConfig(authn.AuthConfig{Username: "cli", Password: token}))
}

func smallImage(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(2000, 2)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// agentToken makes a token of a Deployment's agents.
func (d *dock) agentToken(t *testing.T, of slipway.Deployment) (token string) {
	t.Helper()
	storetest.Update(t, d.store, func(tx *store.Tx) (err error) {
		token, _, err = auth.AddAgentToken(tx, store.Token{Name: "agent", Workspace: of.Workspace, Deployment: of.ID, Role: slipway.Member, CreatedBy: "Ada", ByUser: d.Ada.User})
		return err
	})
	return token
}

func (d *dock) login(t *testing.T, who slipway.Actor) string {
	t.Helper()
	token := "swl_" + string(who.User)
	storetest.Update(t, d.store, func(tx *store.Tx) error {
		return tx.AddLoginToken(store.LoginToken{
			Secret: auth.Fingerprint(token), Kind: store.LoginAccess, User: who.User, Login: token, ExpiresAt: tx.Now.Add(time.Hour),
		})
	})
	return token
}

func TestRegistryAccess(t *testing.T) {
	d := newDock(t)
	img := smallImage(t)
	for who, tt := range map[string]struct {
		token      func() string
		pull, push bool
	}{
		"API token, Author":               {d.ci(t, slipway.Author, ""), true, true},
		"with the word Bearer":            {func() string { return "Bearer " + d.ci(t, slipway.Author, "")() }, true, true},
		"API token for images":            {d.ci(t, slipway.Author, "IMAGE_ONLY"), true, true},
		"API token for DAGs":              {d.ci(t, slipway.Author, "DAG_ONLY"), true, false},
		"API token, Member":               {d.ci(t, slipway.Member, ""), true, false},
		"login of an Author":              {func() string { return d.login(t, d.Eve) }, true, true},
		"login of a Member":               {func() string { return d.login(t, d.Mia) }, true, false},
		"login of a stranger":             {func() string { return d.login(t, d.Sam) }, false, false},
		"agent of the Deployment":         {func() string { return d.agentToken(t, d.Sales) }, true, false},
		"nobody":                          {func() string { return "" }, false, false},
		"a token that was made somewhere": {func() string { return "eyJhbGciOiJIUzI1NiJ9.e30.AAAA" }, false, false},
	} {
		t.Run(who, func(t *testing.T) {
			token := tt.token()
			seeded := d.Sales.Namespace + "/airflow:seed"
			if err := remote.Write(d.ref(t, seeded), img, with(d.ci(t, slipway.Owner, "")())); err != nil {
				t.Fatal(err)
			}
			pulled, err := remote.Image(d.ref(t, seeded), with(token))
			if err == nil {
				err = validate.Image(pulled)
			}
			wantAccess(t, "pull", err, tt.pull)
			mine := d.ref(t, d.Sales.Namespace+"/airflow:mine")
			wantAccess(t, "push", remote.Write(mine, smallImage(t), with(token)), tt.push)
			wantAccess(t, "delete", remote.Delete(mine, with(token)), tt.push)
		})
	}
}

// ci makes an API token of the Workspace, when it is called.
func (d *dock) ci(t *testing.T, role slipway.Role, kinds slipway.Kinds) func() string {
	return func() string {
		token, _ := d.issue(t, d.Ada, auth.NewToken{Name: "ci", Role: role, Kinds: kinds})
		return token
	}
}

func wantAccess(t *testing.T, what string, err error, allowed bool) {
	t.Helper()
	if allowed {
		if err != nil {
			t.Errorf("%s: %v, want it allowed", what, err)
		}
		return
	}
	if e, ok := errors.AsType[*transport.Error](err); !ok || e.StatusCode != http.StatusUnauthorized {
		t.Errorf("%s: %v, want 401", what, err)
	}
}

// A client that is refused does not come back: it would for minutes, if the
// registry said 403.
func TestRegistryRefusesAtOnce(t *testing.T) {
	d := newDock(t)
	token, of := d.issue(t, d.Ada, auth.NewToken{Name: "ci", Role: slipway.Author, Days: 30})
	img := smallImage(t)
	here := d.Sales.Namespace + "/airflow:1"
	pusher, err := remote.NewPusher(with(token)) // keeps its bearer
	if err != nil {
		t.Fatal(err)
	}
	if err := pusher.Push(t.Context(), d.ref(t, here), img); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		before func()
		push   func() error
	}{
		{"foreign namespace", func() {}, func() error { return remote.Write(d.ref(t, "vast-comet-0001/airflow:1"), img, with(token)) }},
		{"expired", func() { d.now = time.Now().Add(31 * 24 * time.Hour) }, func() error { return remote.Write(d.ref(t, here), img, with(token)) }},
		{"revoked", func() { d.now = time.Time{}; d.revoke(t, of) }, func() error { return remote.Write(d.ref(t, here), img, with(token)) }},
		{"revoked, with a bearer in hand", func() {}, func() error { return pusher.Push(t.Context(), d.ref(t, here), smallImage(t)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.before()
			d.asked()
			wantAccess(t, "push", tt.push(), false)
			requests := d.asked()
			tokens := 0
			for _, r := range requests {
				if strings.HasSuffix(r, " /v2/token") {
					tokens++
				}
			}
			if len(requests) > 8 || tokens > 3 { // a request for each part at most, and none again
				t.Errorf("%d requests, want a few: %v", len(requests), requests)
			}
		})
	}
}

func (d *dock) revoke(t *testing.T, of store.Token) {
	t.Helper()
	storetest.Update(t, d.store, func(tx *store.Tx) error { return tx.RevokeToken(of.ID) })
}

// A blob of a repository that may not be pulled is not mounted, though it is
// there: it has to be uploaded.
func TestRegistryMountsOnlyWhatMayBePulled(t *testing.T) {
	d := newDock(t)
	var other slipway.Deployment
	storetest.Update(t, d.store, func(tx *store.Tx) error {
		n, err := slipway.NewDeployment(d.Other.ID, "theirs", false)
		if err == nil {
			other, err = tx.AddDeployment(n)
		}
		return err
	})
	sams, mine := d.login(t, d.Sam), d.ci(t, slipway.Author, "")()
	img := smallImage(t)
	if err := remote.Write(d.ref(t, other.Namespace+"/secret:1"), img, with(sams)); err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	bearer := d.bearer(t, mine, "repository:"+d.Sales.Namespace+"/airflow:pull,push")
	mount := func(from string) int {
		path := "/v2/" + d.Sales.Namespace + "/airflow/blobs/uploads/?mount=" + digest.String() + "&from=" + url.QueryEscape(from)
		r := httptest.NewRequest(http.MethodPost, path, nil)
		r.Header.Set("Authorization", "Bearer "+bearer)
		w := httptest.NewRecorder()
		d.handler.ServeHTTP(w, r)
		return w.Code
	}
	if got := mount(other.Namespace + "/secret"); got != http.StatusAccepted {
		t.Errorf("mount of theirs: %d, want 202, an upload", got)
	}
	if err := remote.Write(d.ref(t, d.Sales.Namespace+"/base:1"), img, with(mine)); err != nil {
		t.Fatal(err)
	}
	bearer = d.bearer(t, mine, "repository:"+d.Sales.Namespace+"/airflow:pull,push repository:"+d.Sales.Namespace+"/base:pull")
	if got := mount(d.Sales.Namespace + "/base"); got != http.StatusCreated {
		t.Errorf("mount of one's own: %d, want 201", got)
	}
}

// bearer gets one as clients do that log in with a form.
func (d *dock) bearer(t *testing.T, token, scope string) string {
	t.Helper()
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, postRequest("/v2/token", "grant_type", "password", "username", "cli", "password", token, "scope", scope))
	var got struct {
		Token  string `json:"token"`
		Expiry int    `json:"expires_in"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK || got.Token == "" || got.Expiry != 300 {
		t.Fatalf("token: %d %s", w.Code, w.Body)
	}
	return got.Token
}

// What somebody pushes counts in the shares of the person, whose tokens share, and of
// the repository's Workspace: a sender without room is refused with the reason, another
// person is not.
func TestPushesCountForTheirSender(t *testing.T) {
	d := newDock(t)
	token, of := d.issue(t, d.Ada, auth.NewToken{Name: "ci", Role: slipway.Author, Days: 30})
	second, _ := d.issue(t, d.Ada, auth.NewToken{Name: "second", Role: slipway.Author, Days: 30})
	other, _ := d.issue(t, d.Oli, auth.NewToken{Name: "other", Role: slipway.Author, Days: 30})
	var taken interface{ Take(bytes int64) error }
	storetest.View(t, d.store, func(tx *store.Tx) (err error) {
		taken, err = d.engine.Pushes(tx, slipway.Actor{Token: of.ID}, d.Workspace.ID)
		return err
	})
	for name, full := range map[string]string{"ci": token, "second": second} {
		var err error
		for range 5 { // other programs free space on the disk meanwhile
			for step := int64(1) << 50; step > 0; step /= 2 {
				for taken.Take(step) == nil {
				}
			}
			if err = remote.Write(d.ref(t, d.Sales.Namespace+"/airflow:"+name), smallImage(t), with(full)); err != nil {
				break
			}
		}
		if refused, is := errors.AsType[*transport.Error](err); !is || refused.StatusCode != http.StatusInsufficientStorage || !strings.Contains(err.Error(), "one person and of all tokens that the person issued, in 24 hours") {
			t.Errorf("%s: %v, want a refusal with the reason", name, err)
		}
	}
	if err := remote.Write(d.ref(t, d.Sales.Namespace+"/airflow:other"), smallImage(t), with(other)); err != nil {
		t.Errorf("a token of another person: %v", err)
	}
}
