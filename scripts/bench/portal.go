package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	email    = "bench@example.com"
	password = "correct horse battery"
)

func (b *bench) binary() string { return filepath.Join(b.dir, "slipway") }

// build builds the binary as it is shipped.
func (b *bench) build(ctx context.Context) error {
	dir, err := filepath.Abs(b.dir)
	if err != nil {
		return err
	}
	b.dir = dir
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", b.binary(), "./cmd/slipway")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	return output(cmd)
}

// output runs cmd, and puts what it said into the error.
func output(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

// portal is a running slipway serve, and somebody who is signed in.
type portal struct {
	cmd       *exec.Cmd
	data      string
	url       string
	workspace string
	client    *http.Client
	token     string        // of the API, for its addresses; "" where none is used
	ready     time.Duration // from starting the process to its first answer
	bare      float64       // anonymous memory then, bytes
}

// fresh sets up an installation in a new folder.
func (b *bench) fresh(ctx context.Context, name string) (data string, err error) {
	data = filepath.Join(b.dir, name)
	cmd := exec.CommandContext(ctx, b.binary(), "init", "--data", data, "--email", email,
		"--workspace", "Bench", "--deployment", "first", "--password-stdin", "--json")
	cmd.Stdin = strings.NewReader(password + "\n")
	out, err := cmd.Output()
	if err != nil {
		return data, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return data, os.WriteFile(data+".json", out, 0o600)
}

// serve starts a portal on data and signs in.
func (b *bench) serve(ctx context.Context, data string) (*portal, error) {
	p := &portal{data: data}
	p.cmd = exec.CommandContext(ctx, b.binary(), "serve", "--data", data, "--listen", "127.0.0.1:0")
	log, err := os.OpenFile(data+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Stderr = log
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(os.Interrupt) }
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serve said nothing: %w", err), p.stop())
	}
	p.url = line[strings.LastIndex(line, " ")+1 : len(line)-1]
	if err := p.signIn(ctx, began); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// stop has the portal end by itself.
func (p *portal) stop() error {
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	return p.cmd.Wait()
}

func (p *portal) signIn(ctx context.Context, began time.Time) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	p.client = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if _, err := p.get(ctx, "/readyz"); err != nil {
		return err
	}
	p.ready = time.Since(began)
	if p.bare, err = p.anonymous(); err != nil {
		return err
	}
	if _, err := p.post(ctx, "/signin", url.Values{"email": {email}, "password": {password}}); err != nil {
		return err
	}
	home, err := p.send(ctx, http.MethodGet, "/", nil, nil)
	p.workspace = home.Get("Location")
	return err
}

// send makes a request and returns the header of the answer, which must not be
// a refusal.
func (p *portal) send(ctx context.Context, method, path string, header map[string]string, body io.Reader) (http.Header, error) {
	answer, err := p.request(ctx, method, path, header, body)
	if err != nil {
		return http.Header{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if answer.StatusCode >= http.StatusBadRequest {
		return answer.Header, fmt.Errorf("%s %s: %s\n%.2000s", method, path, answer.Status, text)
	}
	return answer.Header, err
}

func (p *portal) request(ctx context.Context, method, path string, header map[string]string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, p.url+path, body)
	if err != nil {
		return nil, err
	}
	if p.token != "" && strings.HasPrefix(path, "/v1/") {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	for key, value := range header {
		r.Header.Set(key, value)
	}
	if size, ok := header["Content-Length"]; ok {
		if r.ContentLength, err = strconv.ParseInt(size, 10, 64); err != nil {
			return nil, err
		}
	}
	return p.client.Do(r)
}

// get returns the size of a page as it is sent.
func (p *portal) get(ctx context.Context, path string) (int, error) {
	page, err := p.page(ctx, path, map[string]string{"Accept-Encoding": "gzip"})
	return len(page), err
}

// page returns a page as it is sent.
func (p *portal) page(ctx context.Context, path string, header map[string]string) ([]byte, error) {
	answer, err := p.request(ctx, http.MethodGet, path, header, nil)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", path, answer.Status)
	}
	return body, err
}

func (p *portal) post(ctx context.Context, path string, form url.Values) (http.Header, error) {
	header := map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
	return p.send(ctx, http.MethodPost, path, header, strings.NewReader(form.Encode()))
}

// addDeployment makes a Deployment on this machine and returns its id.
func (p *portal) addDeployment(ctx context.Context, name string) (string, error) {
	header, err := p.post(ctx, p.workspace+"/deployments/new", url.Values{"name": {name}, "where": {"here"}})
	return strings.TrimPrefix(header.Get("Location"), "/deployments/"), err
}

// firstDeployment returns the id of the Deployment that init made.
func (p *portal) firstDeployment(ctx context.Context) (string, error) {
	page, err := p.page(ctx, p.workspace, nil)
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(`"/deployments/([A-Za-z0-9-]{8,})"`).FindSubmatch(page)
	if found == nil {
		return "", errors.New("the page of the Workspace shows no Deployment")
	}
	return string(found[1]), nil
}

// busy returns the seconds of the processor that the portal has used.
func (p *portal) busy() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0 // it has ended, which the next request tells
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.ParseFloat(fields[11], 64)   // in hundredths of a second,
	system, _ := strconv.ParseFloat(fields[12], 64) // as the kernel writes them
	return (user + system) / 100
}

// anonymous returns the anonymous resident memory of the portal, in bytes.
func (p *portal) anonymous() (float64, error) {
	kib, _, _ := strings.Cut(field(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid), "RssAnon"), " ")
	n, err := strconv.ParseFloat(kib, 64)
	return n * 1024, err
}
