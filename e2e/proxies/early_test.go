package proxies

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"slipway/e2e/program"
	"slipway/store/storetest"
)

// early is a request that the portal answers before it has read the body.
type early struct {
	name, method, path string
	header             http.Header
	want               []int  // statuses
	says               string // part of the answer
}

// A sender sends a request with a body in some way, and reads the answer.
type sender func(t *testing.T, s *site, e early, body []byte) (status int, text string, err error)

// TestEarlyAnswers has every kind of client send 5 MiB to an address that
// refuses them. All get the portal's own answer.
func TestEarlyAnswers(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 5<<20)
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	senders := map[string]sender{
		"HTTP1": func(t *testing.T, s *site, e early, body []byte) (int, string, error) {
			return send(t, s.client(t, false), s, e, bytes.NewReader(body))
		},
		"HTTP1 chunked": func(t *testing.T, s *site, e early, body []byte) (int, string, error) {
			return send(t, s.client(t, false), s, e, io.MultiReader(bytes.NewReader(body)))
		},
		"HTTP1.0, writes all first": writesFirst("1.0"),
		"HTTP1.1, writes all first": writesFirst("1.1"),
		"curl":                      curl(file, "--http1.1"),
		"curl without Expect":       curl(file, "--http1.1", "-H", "Expect:"),
	}
	behind := map[string]sender{
		"HTTP2": func(t *testing.T, s *site, e early, body []byte) (int, string, error) {
			return send(t, s.client(t, true), s, e, bytes.NewReader(body))
		},
		"curl HTTP2": curl(file, "--http2"),
	}
	everywhere(t, func(t *testing.T, s *site) {
		for _, e := range s.earlyAnswers(t) {
			t.Run(e.name, func(t *testing.T) {
				t.Parallel()
				for name, send := range senders {
					check(t, name, s, e, send, body)
				}
				for name, send := range behind {
					if s.proxy != "" {
						check(t, name, s, e, send, body)
					}
				}
			})
		}
	})
}

func check(t *testing.T, name string, s *site, e early, send sender, body []byte) {
	t.Helper()
	began := time.Now()
	status, text, err := send(t, s, e, body)
	if !slices.Contains(e.want, status) || !strings.Contains(text, e.says) || err != nil {
		t.Errorf("%s: answer %d %q after %s, %v; want %d and %q", name, status, text[:min(200, len(text))], time.Since(began).Round(time.Millisecond), err, e.want, e.says)
	}
}

// earlyAnswers are requests of every part of the portal, each with the answer.
func (s *site) earlyAnswers(t *testing.T) []early {
	t.Helper()
	owner := http.Header{"Authorization": {"Bearer " + s.Token}}
	with := func(h http.Header, pairs ...string) http.Header {
		h = h.Clone()
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	member, err := program.Run(t, "", "token", "add", "reader", "--data", s.Data, "--workspace", string(s.WorkspaceID), "--role", "Member")
	if err != nil {
		t.Fatal(err)
	}
	cookie := http.Header{"Cookie": {s.session(t)}}
	a := s.Astro(t, s.Token)
	a.Installation.Client = s.client(t, false)
	s.Client = a.Installation.Client
	upload := a.DeploymentPath() + "/deploys/upload"
	s.deployKeyed(t, upload, with(owner, "Idempotency-Key", "known"))
	off := s.switchedOff(t, a)
	w := a.Do("POST", a.DeploymentPath()+"/deploys", `{"type":"DAG_ONLY"}`)
	return []early{
		{"no token", "POST", upload, http.Header{}, []int{401}, "message"},
		{"small role", "POST", upload, http.Header{"Authorization": {"Bearer " + lastWord(member)}}, []int{403}, "Author"},
		{"no Deployment", "POST", strings.Replace(upload, string(s.DeploymentID), "nowhere", 1), owner, []int{404}, "message"},
		{"no address", "POST", "/v1/nothing", owner, []int{404}, "nothing at this address"},
		{"no field", "POST", upload + "?colour=red", owner, []int{400}, "colour"},
		{"base changed", "POST", upload + "?base=2020-11-22T14:03:51.2040000Z", owner, []int{409}, "was expected"},
		{"switch off", "POST", strings.Replace(upload, string(s.DeploymentID), off, 1), owner, []int{409}, "DAG-only"},
		{"too large", "POST", upload, owner, []int{413}, "too large"},
		{"known key", "POST", upload, with(owner, "Idempotency-Key", "known"), []int{200, 409, 413, 422}, `"`},
		{"large JSON", "POST", fmt.Sprintf("%s/deploys/%s/finalize", a.DeploymentPath(), w["id"]), with(owner, "Content-Type", "application/json"), []int{400, 413}, "message"},
		{"upload address", "PUT", "/v1/uploads/" + w["id"].(string) + "?sig=no", with(http.Header{}, "X-Ms-Blob-Type", "BlockBlob"), []int{403}, "AuthenticationFailed"},
		{"no tus", "PATCH", "/uploads/none", cookie, []int{412}, ""},
		{"no upload", "PATCH", "/uploads/none", with(cookie, "Tus-Resumable", "1.0.0", "Upload-Offset", "0", "Content-Type", "application/offset+octet-stream"), []int{404}, ""},
		{"signed out", "POST", program.DeploymentURL(s.DeploymentID) + "/deploys", http.Header{"Accept": {"text/html"}}, []int{303}, ""},
		{"no form", "POST", program.DeploymentURL(s.DeploymentID) + "/deploys", with(cookie, "Accept", "text/html"), []int{422}, "multipart/form-data"},
		{"large form", "POST", "/signin", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []int{413}, "too large"},
		{"another site", "POST", "/signin", http.Header{"Origin": {"https://evil.example"}}, []int{403}, "another site"},
		{"static file", "POST", "/static/app.css", http.Header{}, []int{405}, ""},
		{"registry", "PUT", "/v2/none/airflow/manifests/1", http.Header{}, []int{401}, "UNAUTHORIZED"},
		{"agent", "POST", "/agent/v1/report", http.Header{}, []int{401}, "agent token"},
		{"large report", "POST", "/agent/v1/report", http.Header{"Authorization": {"Bearer " + s.AgentToken}}, []int{422}, "JSON"},
	}
}

// lastWord returns the token in the output of slipway token add.
func lastWord(text string) string {
	words := strings.Fields(text)
	return words[len(words)-1]
}

// session signs Ada in, and returns the cookie.
func (s *site) session(t *testing.T) string {
	t.Helper()
	form := url.Values{"email": {"ada@example.com"}, "password": {storetest.Password}}
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.Base+"/signin", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {s.Base}, "Accept": {"text/html"}}
	answer, err := s.client(t, s.proxy != "").Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	for _, c := range answer.Cookies() {
		if answer.StatusCode == http.StatusSeeOther && c.Secure == (s.proxy != "") {
			return c.Name + "=" + c.Value
		}
	}
	t.Fatalf("sign in: answer %d with %v", answer.StatusCode, answer.Cookies())
	return ""
}

// deployKeyed makes a deploy with a key.
func (s *site) deployKeyed(t *testing.T, path string, h http.Header) {
	t.Helper()
	e := early{method: "POST", path: path, header: h}
	status, text, err := send(t, s.Client, s, e, bytes.NewReader(program.ArchiveOf(map[string]string{"dags/sales.py": "# airflow DAG\n"})))
	if status != http.StatusOK || err != nil {
		t.Fatalf("answer %d %q, %v", status, text, err)
	}
}

// switchedOff makes a Deployment without DAG-only deploys, and returns the id.
func (s *site) switchedOff(t *testing.T, a *program.Astro) string {
	t.Helper()
	d := a.Do("POST", a.Organization+"/deployments", `{"name":"carried","workspaceId":"`+string(s.WorkspaceID)+`","isDagDeployEnabled":false}`)
	return d["id"].(string)
}

// send sends a request by a client of Go.
func send(t *testing.T, c *http.Client, s *site, e early, body io.Reader) (int, string, error) {
	r, err := http.NewRequestWithContext(t.Context(), e.method, s.Base+e.path, body)
	if err != nil {
		return 0, "", err
	}
	r.Header = e.header.Clone()
	answer, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

// writesFirst returns a sender as http.client of Python is one: the whole request
// is written, then the answer is read.
func writesFirst(version string) sender {
	return func(t *testing.T, s *site, e early, body []byte) (int, string, error) {
		c, err := s.connect(t.Context())
		if err != nil {
			return 0, "", err
		}
		defer c.Close()
		_, host, _ := strings.Cut(s.Base, "://")
		var head bytes.Buffer
		fmt.Fprintf(&head, "%s %s HTTP/%s\r\nHost: %s\r\nContent-Length: %d\r\n", e.method, e.path, version, host, len(body))
		if err := e.header.Write(&head); err != nil {
			return 0, "", err
		}
		head.WriteString("\r\n")
		for _, part := range [][]byte{head.Bytes(), body} {
			if _, err := c.Write(part); err != nil {
				return 0, "", fmt.Errorf("the request was cut off: %w", err)
			}
		}
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return 0, "", err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		return answer.StatusCode, string(text), err
	}
}

// connect opens a connection to the proxy or the portal.
func (s *site) connect(ctx context.Context) (net.Conn, error) {
	scheme, host, _ := strings.Cut(s.Base, "://")
	var c net.Conn
	var err error
	if scheme == "https" {
		c, err = (&tls.Dialer{Config: &tls.Config{RootCAs: s.roots}}).DialContext(ctx, "tcp4", host)
	} else {
		c, err = (&net.Dialer{}).DialContext(ctx, "tcp", host)
	}
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(30 * time.Second))
}

// curl returns curl as a sender of a file.
func curl(file string, more ...string) sender {
	return func(t *testing.T, s *site, e early, _ []byte) (int, string, error) {
		args := append([]string{"-sSk", "--max-time", "30", "-o", "-", "-w", " %{http_code}", "-X", e.method, "--data-binary", "@" + file}, more...)
		if e.header.Get("Content-Type") == "" {
			args = append(args, "-H", "Content-Type:")
		}
		for name, values := range e.header {
			args = append(args, "-H", name+": "+values[0])
		}
		out, err := exec.CommandContext(t.Context(), "curl", append(args, s.Base+e.path)...).CombinedOutput()
		text := string(out)
		status, _ := strconv.Atoi(lastWord("0 " + text))
		return status, text, err
	}
}
