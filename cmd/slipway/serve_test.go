package main

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"slipway/e2e/program"
)

// serving is a serve in the background.
type serving struct {
	base  string
	out   program.Output
	stop  func()
	ended chan error
}

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
		if m := program.ReadyLine.FindStringSubmatch(s.out.String()); m != nil {
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

func TestServeFlags(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		says string
	}{
		"url without scheme": {args: []string{"--url", "slipway.example.com"}, says: "--url must be an address"},
		"url of no host":     {args: []string{"--url", `https://a"><b>.io`}, says: "--url must be an address"},
		"support of no host": {args: []string{"--support-url", `https://a"><b>.io`}, says: "--support-url must be an address"},
		"support by script":  {args: []string{"--support-url", "javascript:alert(1)"}, says: "--support-url must be an address"},
		"support by no mail": {args: []string{"--support-url", "mailto:help"}, says: "--support-url must be an address"},
		"url with a path":    {args: []string{"--url", "https://example.com/slipway"}, says: "--url must have no path"},
		"proxies":            {args: []string{"--trusted-proxies", "10.0.0.1/99"}, says: "--trusted-proxies"},
		"size":               {args: []string{"--reserve", "much"}, says: `"much" is not a size`},
		"too many files":     {args: []string{"--max-files", "1000001"}, says: "--max-files must be from 1 to 1000000"},
		"too much unpacked":  {args: []string{"--max-unpacked", "17TiB"}, says: "--max-unpacked must be at most 16 TiB"},
		"log format":         {args: []string{"--log-format", "xml"}, says: "--log-format"},
		"address in use":     {args: []string{"--listen", "256.0.0.1:1"}, says: "listen on 256.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := call(t, "", append([]string{"serve", "--data", t.TempDir()}, tt.args...)...)
			wantError(t, err, tt.says)
		})
	}
}
