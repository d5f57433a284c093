package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"slipway/internal/slipway"
)

func TestRegistryBearers(t *testing.T) {
	d := newDock(t)
	mine := d.ci(t, slipway.Author, "")()
	good := d.bearer(t, mine, "repository:"+d.Sales.Namespace+"/airflow:pull")
	for name, tt := range map[string]struct {
		bearer string
		later  time.Duration
		path   string
		want   int
	}{
		"good, and nothing there":   {good, 0, "/v2/" + d.Sales.Namespace + "/airflow/tags/list", http.StatusNotFound},
		"good, to ask who one is":   {good, 0, "/v2/", http.StatusOK},
		"expired":                   {good, 6 * time.Minute, "/v2/", http.StatusUnauthorized},
		"for another repository":    {good, 0, "/v2/" + d.Sales.Namespace + "/other/tags/list", http.StatusUnauthorized},
		"the list of repositories":  {good, 0, "/v2/_catalog", http.StatusMethodNotAllowed},
		"changed":                   {"x" + good, 0, "/v2/", http.StatusUnauthorized},
		"without its signature":     {strings.SplitN(good, ".", 2)[0], 0, "/v2/", http.StatusUnauthorized},
		"the token itself":          {mine, 0, "/v2/", http.StatusUnauthorized},
		"none":                      {"", 0, "/v2/", http.StatusUnauthorized},
		"a name that is none":       {good, 0, "/v2/../etc/passwd/manifests/x", http.StatusUnauthorized},
		"nothing of the registry's": {good, 0, "/v2/nothing", http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			d.now = time.Now().Add(tt.later)
			r := httptest.NewRequest(http.MethodGet, tt.path, nil)
			if tt.bearer != "" {
				r.Header.Set("Authorization", "Bearer "+tt.bearer)
			}
			w := httptest.NewRecorder()
			d.handler.ServeHTTP(w, r)
			if w.Code != tt.want && w.Code != http.StatusMovedPermanently {
				t.Errorf("%d %s, want %d", w.Code, w.Body, tt.want)
			}
			if w.Code == http.StatusUnauthorized && !strings.Contains(w.Header().Get("WWW-Authenticate"), `realm="http://example.com/v2/token"`) {
				t.Errorf("challenge %q", w.Header().Get("WWW-Authenticate"))
			}
		})
	}
}

// A request without a token does not read like one with a bad token.
func TestTokenEndpointNeedsAToken(t *testing.T) {
	a := newApp(t)
	for name, tt := range map[string]struct {
		user, password, want string
		sent                 bool
	}{
		"nothing":        {want: "No token was sent. Log in first, as docker login example.com does"},
		"no password":    {user: "cli", want: "No token was sent", sent: true},
		"blanks":         {user: "cli", password: "  ", want: "No token was sent", sent: true},
		"an unknown one": {user: "cli", password: "swt_unknown", sent: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v2/token?scope=registry:catalog:*", nil)
			if tt.sent {
				r.SetBasicAuth(tt.user, tt.password)
			}
			w := httptest.NewRecorder()
			a.handler.ServeHTTP(w, r)
			if said := strings.Contains(w.Body.String(), "No token was sent"); w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), tt.want) || said != (tt.want != "") {
				t.Errorf("answer %d %s, want 401 with %q", w.Code, w.Body, tt.want)
			}
		})
	}
}
