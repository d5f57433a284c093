package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"slipway/internal/auth"
)

// A request that the portal refuses before a route sees it is answered in the form of
// its address, with the time to wait.
func TestBusyNetworkIsTold(t *testing.T) {
	a := newApp(t)
	a.server.clients.most = 1
	network := auth.Network("192.0.2.1") // that of httptest
	if !a.server.clients.begin(network) {
		t.Fatal("the first request was refused")
	}
	for path, want := range map[string][2]string{
		"/v1/organizations":         {"application/json", `{"message":"Your network has 1 requests open here. Wait for some of them to end."`},
		"/v1alpha1/organizations/x": {"application/json", `"statusCode":429}`},
		"/v1/uploads/x?comp=block":  {"application/xml", "<Code>ServerBusy</Code><Message>Your network has"},
		"/agent/v1/desired":         {"text/plain", "Your network has"},
		"/v1x":                      {"text/plain", "Your network has"},
	} {
		r := httptest.NewRequest(http.MethodPut, path, nil)
		r.Header.Set("Accept", "*/*")
		w := a.browser(t).do(r)
		kind, text := w.Header().Get("Content-Type"), w.Body.String()
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" || !strings.HasPrefix(kind, want[0]) || !strings.Contains(text, want[1]) {
			t.Errorf("%s: answer %d after %q, %s: %s", path, w.Code, w.Header().Get("Retry-After"), kind, text)
		}
	}
	a.server.clients.end(network)
	want(t, a.browser(t).get("/healthz"), http.StatusOK)
}
