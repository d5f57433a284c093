package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway"
	"slipway/store"
	"slipway/store/storetest"
)

const password = "correct horse battery\n"

// call runs slipway with args and returns what it printed.
func call(t *testing.T, in string, args ...string) (string, error) {
	t.Helper()
	var out, errOut strings.Builder
	err := run(t.Context(), args, strings.NewReader(in), &out, &errOut)
	return out.String(), err
}

func wantError(t *testing.T, err error, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("error %v, want one that says %q", err, says)
	}
}

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	args := []string{"init", "--data", dir, "--email", "Ada@Example.com", "--workspace", "Data Platform", "--deployment", "sales-prod", "--password-stdin", "--json"}
	text, err := call(t, password, args...)
	if err != nil {
		t.Fatal(err)
	}
	var out initialised
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data folder %v, %v", info.Mode(), err)
	}
	st := storetest.OpenAt(t, filepath.Join(dir, "slipway.db"))
	storetest.View(t, st, func(tx *store.Tx) error {
		u, err := tx.UserByEmail("ada@example.com")
		if err != nil || !u.Admin || u.Name != "Ada" {
			t.Errorf("user %+v, %v", u, err)
		}
		d, role, err := tx.Deployment(out.DeploymentID, slipway.Actor{User: u.ID})
		if err != nil || d.Workspace != out.WorkspaceID || d.Name != "sales-prod" || !d.Here || role != slipway.Admin {
			t.Errorf("Deployment %+v, role %v, %v", d, role, err)
		}
		wantToken(t, tx, out.Token, store.Token{Kind: store.APIToken, Workspace: out.WorkspaceID, Role: slipway.Owner})
		wantToken(t, tx, out.AgentToken, store.Token{Kind: store.AgentToken, Workspace: out.WorkspaceID, Deployment: out.DeploymentID, Role: slipway.Member})
		return nil
	})
	wantClaims(t, out)
	if !strings.HasPrefix(out.AgentToken, "swa_") {
		t.Errorf("agent token %q", out.AgentToken)
	}
	_, err = call(t, password, args...)
	wantError(t, err, "Slipway has been set up already.")
}

// wantToken looks a token up as a request that carries it does.
func wantToken(t *testing.T, tx *store.Tx, token string, want store.Token) {
	t.Helper()
	sum := sha256.Sum256([]byte(token))
	got, err := tx.Token(hex.EncodeToString(sum[:]))
	if err != nil || got.Kind != want.Kind || got.Workspace != want.Workspace || got.Deployment != want.Deployment || got.Role != want.Role {
		t.Errorf("token %+v, %v; want %+v", got, err, want)
	}
}

// wantClaims reads the API token as the astro CLI does.
func wantClaims(t *testing.T, out initialised) {
	t.Helper()
	parts := strings.Split(out.Token, ".")
	if len(parts) != 3 {
		t.Fatalf("token %q is no JWT", out.Token)
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Permissions []string `json:"permissions"`
		APITokenID  string   `json:"apiTokenId"`
		Iat         int64    `json:"iat"`
		Exp         *int64   `json:"exp"`
		Iss         string   `json:"iss"`
	}
	if err := json.Unmarshal(body, &c); err != nil {
		t.Fatal(err)
	}
	want := []string{"organizationId:" + out.OrganizationID, "workspaceId:" + string(out.WorkspaceID)}
	if !slices.Equal(c.Permissions, want) || c.APITokenID == "" || c.Iat == 0 || c.Exp != nil || c.Iss == "" {
		t.Errorf("claims %s, want the permissions %q", body, want)
	}
}

func TestInitIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		args     []string
		in, says string
	}{
		"short password": {in: "short\n", says: "at least 10 characters"},
		"no terminal":    {args: []string{"--no-stdin"}, says: "unknown flag"},
		"bad address":    {args: []string{"--email", "ada"}, in: password, says: "is not an email address"},
		"no name":        {args: []string{"--deployment", " "}, in: password, says: "A Deployment needs a name."},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			args := []string{"init", "--data", dir, "--email", "ada@example.com", "--workspace", "W", "--deployment", "D", "--password-stdin"}
			_, err := call(t, tt.in, append(args, tt.args...)...)
			wantError(t, err, tt.says)
			text, err := call(t, "", "user", "list", "--data", dir)
			if err != nil || strings.Contains(text, "ada") {
				t.Errorf("accounts afterwards: %s, %v", text, err)
			}
		})
	}
	_, err := call(t, password, "init", "--data", t.TempDir(), "--email", "ada@example.com", "--workspace", "W", "--deployment", "D")
	wantError(t, err, "no terminal")
}

func TestUsers(t *testing.T) {
	dir := t.TempDir()
	do := func(in string, args ...string) (string, error) {
		t.Helper()
		return call(t, in, append(args, "--data", dir)...)
	}
	if text, err := do(password, "user", "add", "Ada@Example.com", "--admin", "--name", "Ada Lovelace", "--password-stdin"); err != nil || text != "The account ada@example.com was added.\n" {
		t.Fatalf("%q, %v", text, err)
	}
	if _, err := do(password, "user", "add", "eve@example.com", "--password-stdin"); err != nil {
		t.Fatal(err)
	}
	_, err := do(password, "user", "add", "eve@example.com", "--password-stdin")
	wantError(t, err, "There is an account for eve@example.com already.")

	text, err := do("", "user", "list")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if err != nil || len(lines) != 3 || !strings.Contains(lines[1], "Ada Lovelace") || !strings.Contains(lines[1], "yes") || !strings.Contains(lines[2], "eve@example.com  eve") {
		t.Errorf("list %q, %v", text, err)
	}

	before := passwordOf(t, dir, "eve@example.com")
	if _, err := do("another horse battery", "user", "password", "eve@example.com", "--password-stdin"); err != nil {
		t.Fatal(err)
	}
	if passwordOf(t, dir, "eve@example.com") == before {
		t.Error("the password is the old one")
	}
	_, err = do(password, "user", "password", "mallory@example.com", "--password-stdin")
	wantError(t, err, "There is no account for mallory@example.com.")
}

func passwordOf(t *testing.T, dir, email string) (hash string) {
	t.Helper()
	st := storetest.OpenAt(t, filepath.Join(dir, "slipway.db"))
	storetest.View(t, st, func(tx *store.Tx) error {
		u, err := tx.UserByEmail(email)
		if err == nil {
			hash, err = tx.Password(u.ID)
		}
		return err
	})
	return hash
}

// output is what a serve prints while others read it.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// serving is a serve in the background.
type serving struct {
	base  string
	out   output
	stop  func()
	ended chan error
}

var readyLine = regexp.MustCompile(`Slipway \S+ is ready on (http://\S+)\n`)

// start serves dir on a free port until stop is called or the test ends.
func start(t *testing.T, dir string, args ...string) *serving {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s := &serving{stop: stop, ended: make(chan error, 1)}
	go func() {
		s.ended <- run(ctx, append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0"}, args...), nil, &s.out, &s.out)
	}()
	t.Cleanup(stop)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if m := readyLine.FindStringSubmatch(s.out.String()); m != nil {
			s.base = m[1]
			return s
		}
		select {
		case err := <-s.ended:
			t.Fatalf("serve: %v\n%s", err, s.out.String())
		default:
		}
	}
	t.Fatalf("serve is not ready:\n%s", s.out.String())
	return nil
}

func (s *serving) wait(t *testing.T) {
	t.Helper()
	select {
	case err := <-s.ended:
		if err != nil {
			t.Errorf("serve: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("serve does not end")
	}
}

func TestServe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := start(t, dir)
	link := regexp.MustCompile(`http://\S+(/setup/\S+)`).FindStringSubmatch(s.out.String())
	if link == nil {
		t.Fatalf("no set-up link:\n%s", s.out.String())
	}
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, path := range []string{"/healthz", "/readyz", link[1]} {
		if got := status(t, client, s.base+path); got != http.StatusOK {
			t.Errorf("%s: answer %d", path, got)
		}
	}
	resp, err := client.PostForm(s.base+link[1], url.Values{
		"email": {"ada@example.com"}, "name": {"Ada"}, "password": {"correct horse battery"},
		"workspace": {"Data Platform"}, "deployment": {"sales-prod"},
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close() // the status is all that counts
	if resp.StatusCode != http.StatusSeeOther || status(t, client, s.base+"/account") != http.StatusOK {
		t.Errorf("set-up: answer %d", resp.StatusCode)
	}
	wantMounted(t, dir)
	s.stop()
	s.wait(t)

	again := start(t, dir)
	if strings.Contains(again.out.String(), "/setup/") {
		t.Errorf("prints a set-up link again:\n%s", again.out.String())
	}
	if got := status(t, client, again.base+"/healthz"); got != http.StatusOK {
		t.Errorf("answer %d", got)
	}
	again.stop()
	again.wait(t)
}

// wantMounted waits until the embedded agent has opened the first Deployment's
// folder, without a restart.
func wantMounted(t *testing.T, dir string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if found, err := filepath.Glob(filepath.Join(dir, "mounts", "*", "current")); err != nil || len(found) == 1 {
			return
		}
	}
	t.Error("the Deployment is not mounted on this machine")
}

func status(t *testing.T, client *http.Client, address string) int {
	t.Helper()
	resp, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

func TestTwoServesOnOneFolder(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	_, err := call(t, "", "serve", "--data", dir, "--listen", "127.0.0.1:0")
	wantError(t, err, "is in use by another slipway")
	_, err = call(t, password, "init", "--data", dir, "--email", "a@b.c", "--workspace", "W", "--deployment", "D", "--password-stdin")
	wantError(t, err, "is in use by another slipway")
	if _, err := call(t, password, "user", "add", "eve@example.com", "--data", dir, "--password-stdin"); err != nil {
		t.Errorf("user add beside serve: %v", err)
	}
	s.stop()
	s.wait(t)
}

func TestServeEndsWhileARequestHangs(t *testing.T) {
	s := start(t, t.TempDir())
	body, hold := io.Pipe() // a form that never ends
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		resp, err := http.Post(s.base+"/signin", "application/x-www-form-urlencoded", body)
		if err == nil {
			_ = resp.Body.Close() // cut off in any case
		}
	}()
	if _, err := hold.Write([]byte("email=")); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	s.stop()
	s.wait(t)
	_ = hold.Close() // else the client waits for the form
	<-sent
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("serve took %s to end", took)
	}
}

func TestConfigFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if _, err := call(t, password, "user", "add", "ada@example.com", "--data", dir, "--password-stdin"); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		file, text, says string
	}{
		"YAML":        {file: "c.yaml", text: "data: " + dir + "\ntrusted-proxies: [10.0.0.0/8, 192.168.0.0/16]\nreserve: 2GiB\n"},
		"JSON":        {file: "c.json", text: `{"data": "` + dir + `", "max-files": 5}`},
		"typing slip": {file: "c.yaml", text: "dta: " + dir, says: `sets "dta", which is no flag`},
		"no YAML":     {file: "c.yaml", text: "data: [", says: "read the configuration file"},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := call(t, "", "--config", write(tt.file, tt.text), "user", "list")
			if tt.says != "" {
				wantError(t, err, tt.says)
				return
			}
			if err != nil || !strings.Contains(text, "ada@example.com") {
				t.Errorf("list %q, %v", text, err)
			}
		})
	}
	t.Setenv("SLIPWAY_DATA", dir)
	if text, err := call(t, "", "user", "list"); err != nil || !strings.Contains(text, "ada@example.com") {
		t.Errorf("by the environment: %q, %v", text, err)
	}
}

func TestServeFlags(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		says string
	}{
		"url without scheme": {args: []string{"--url", "slipway.example.com"}, says: "--url must be an address"},
		"url with a path":    {args: []string{"--url", "https://example.com/slipway"}, says: "--url must have no path"},
		"proxies":            {args: []string{"--trusted-proxies", "10.0.0.1/99"}, says: "--trusted-proxies"},
		"size":               {args: []string{"--reserve", "much"}, says: `"much" is not a size`},
		"log format":         {args: []string{"--log-format", "xml"}, says: "--log-format"},
		"address in use":     {args: []string{"--listen", "256.0.0.1:1"}, says: "listen on 256.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := call(t, "", append([]string{"serve", "--data", t.TempDir()}, tt.args...)...)
			wantError(t, err, tt.says)
		})
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]size{"1GiB": 1 << 30, "500MB": 500e6, "1.5 KiB": 1536, "1024": 1024, "0": 0, "7B": 7} {
		var got size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "1XB", "9999999TiB"} {
		var got size
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestVersionAndHelp(t *testing.T) {
	if text, err := call(t, "", "version"); err != nil || !strings.HasPrefix(text, "slipway ") {
		t.Errorf("%q, %v", text, err)
	}
	if text, err := call(t, "", "--help"); err != nil || !strings.Contains(text, "serve") {
		t.Errorf("%q, %v", text, err)
	}
	_, err := call(t, "", "swim")
	wantError(t, err, "swim")
}
