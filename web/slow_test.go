package web

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"slipway/internal/inbound"
	"slipway/internal/slipway"
)

// TestSlowBodies begins a body at every route and sends no more. Each answers
// soon, and none with a fault of the portal.
func TestSlowBodies(t *testing.T) {
	a := newApp(t)
	server := httptest.NewServer(inbound.Handler(a.handler, 10*time.Millisecond))
	t.Cleanup(server.Close)
	cookie := a.as(t, a.Eve).cookies["slipway"]
	params := append(portalParams(t, a), ":deployment", string(a.Sales.ID), ":org", slipway.OrganizationID, ":number", "1", "*", "a.py", ":version", "x", ":deploy", "x", ":upload", "x", ":id", "1", ":agent", "x", ":pack", "x")
	for _, r := range a.server.router().Routes() {
		if r.Method != http.MethodPost && r.Method != http.MethodPut && r.Method != http.MethodPatch {
			continue
		}
		for _, kind := range []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=xx", "application/json", "application/offset+octet-stream"} {
			head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nCookie: %s=%s\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nUpload-Length: 1000\r\nContent-Length: 1000\r\n\r\n{",
				r.Method, strings.NewReplacer(params...).Replace(r.Path), kind, cookie.Name, cookie.Value)
			if status := answerTo(t, server.Listener.Addr().String(), head); status < 200 || status >= 500 && r.Path != "/readyz" {
				t.Errorf("%s %s as %s: answer %d", r.Method, r.Path, kind, status)
			}
		}
	}
	if log := a.log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("the log has errors:\n%s", log)
	}
	if got := answerTo(t, server.Listener.Addr().String(), "POST /signin HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\n"); got != http.StatusRequestTimeout {
		t.Errorf("sign in: answer %d", got)
	}
}

// Whoever has a good credential is known at the way in, whatever the credential is,
// and nobody else is.
func TestGoodCredentialsAreKnown(t *testing.T) {
	l := newLeaver(t)
	var known bool
	l.handler = inbound.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.server.Handler().ServeHTTP(w, r)
		known = inbound.IsKnown(r.Context())
	}), time.Minute)
	for _, d := range append(l.doors, l.stays...) {
		known = false
		if !d.opens() || !known {
			t.Errorf("%s: known is %v", d.name, known)
		}
	}
	address := l.uploadAddress(l.token)
	for name, ask := range map[string]func(){
		"no session":           func() { l.browser(t).get("/account") },
		"a wrong password":     func() { l.browser(t).signIn("eve@example.com", "wrong horse battery") },
		"a refused API token":  func() { l.manages("swl_unknown") },
		"another API token":    func() { l.manages(l.token + "x") },
		"no agent token":       func() { l.asAgent(t, l.token, http.MethodGet, "desired", "") },
		"no bearer":            func() { l.call(l.token, http.MethodGet, "/v2/", "") },
		"no signed address":    func() { l.put(address + "0") },
		"an open page":         func() { l.browser(t).get("/v1/docs") },
		"a path that is none":  func() { l.browser(t).post("/nothing") },
		"a form without a key": func() { l.browser(t).post("/uploads") },
	} {
		known = false
		if ask(); known {
			t.Errorf("%s: known all the same", name)
		}
	}
}

// answerTo sends the beginning of a request, and returns the status; 0 after 5
// seconds.
func answerTo(t *testing.T, address, text string) int {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, text)
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	return answer.StatusCode
}
