package proxies

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"slipway/e2e/program"
)

// TestStreams: live pages and the long polls of agents pass a proxy without a
// delay, and uploads and downloads pass whole.
func TestStreams(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		h2 := s.proxy != ""
		s.Client = s.client(t, h2)
		cookie, owner := http.Header{"Cookie": {s.session(t)}}, http.Header{"Authorization": {"Bearer " + s.Token}}
		upload := s.Astro(t, s.Token).DeploymentPath() + "/deploys/upload?wait=1m"

		live := s.open(t, program.DeploymentURL(s.DeploymentID)+"/live", cookie)
		if !awaits(live, "data:") {
			t.Fatal("the live page sends nothing")
		}
		poll := make(chan string, 1)
		first := string(s.read(t, "/agent/v1/desired", http.Header{"Authorization": {"Bearer " + s.AgentToken}}))
		revision := strings.Split(strings.SplitN(first, `"revision":"`, 2)[1], `"`)[0]
		go func() {
			poll <- string(s.read(t, "/agent/v1/desired?since="+revision, http.Header{"Authorization": {"Bearer " + s.AgentToken}}))
		}()

		noise := make([]byte, 600<<10)
		rand.Read(noise) // it never fails
		archive := program.ArchiveOf(map[string]string{"dags/sales.py": "# airflow DAG\n", "dags/noise.bin": string(noise)})
		status, text, err := send(t, s.Client, s, early{method: "POST", path: upload, header: owner}, bytes.NewReader(archive))
		if status != http.StatusOK || !strings.Contains(text, `"DEPLOYED"`) || err != nil {
			t.Fatalf("deploy: answer %d %q, %v", status, text, err)
		}
		if !strings.Contains(text, `"url":"`+s.Base+"/deployments/") {
			t.Errorf("the address of the page is not below %s: %s", s.Base, text)
		}
		select {
		case got := <-poll:
			if got == first {
				t.Error("the agent was told nothing new")
			}
		case <-time.After(10 * time.Second):
			t.Error("the agent's poll stands still")
		}
		if !awaits(live, "/deploys/1\"") {
			t.Error("the live page does not show the deploy")
		}
		_, text, err = send(t, s.Client, s, early{method: "GET", path: program.DeploymentURL(s.DeploymentID) + "/versions", header: cookie}, nil)
		at := strings.Index(text, "/archive\"")
		if at < 0 || err != nil {
			t.Fatalf("no archive on the page, %v", err)
		}
		path := text[strings.LastIndex(text[:at], `"`)+1 : at+len("/archive")]
		if got := s.read(t, path, cookie); len(got) < len(noise) {
			t.Errorf("the archive has %d bytes", len(got))
		}
	})
}

// open begins to read an address.
func (s *site) open(t *testing.T, path string, h http.Header) *bufio.Reader {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = h
	answer, err := s.Client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: answer %d", path, answer.StatusCode)
	}
	return bufio.NewReader(answer.Body)
}

// read reads an address.
func (s *site) read(t *testing.T, path string, h http.Header) []byte {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Base+path, nil)
	if err != nil {
		return fmt.Append(nil, err)
	}
	r.Header = h
	answer, err := s.Client.Do(r)
	if err != nil {
		return fmt.Append(nil, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Append(nil, err)
	}
	return text
}

// awaits reads lines until one has a part, and reports false after 10 seconds.
func awaits(in *bufio.Reader, part string) bool {
	found := make(chan bool, 1)
	go func() {
		for {
			line, err := in.ReadString('\n')
			if strings.Contains(line, part) || err != nil {
				found <- err == nil
				return
			}
		}
	}()
	select {
	case ok := <-found:
		return ok
	case <-time.After(10 * time.Second):
		return false
	}
}
