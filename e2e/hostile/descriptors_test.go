package hostile

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"slipway/e2e/program"
)

// TestOneClientTakesAllConnections has one client open more connections than the
// portal may open files, with requests that never come to an end.
func TestOneClientTakesAllConnections(t *testing.T) {
	in := program.SetUp(t)
	limited := []string{"sh", "-c", `ulimit -n 400; exec "$@"`, "sh"}
	p := program.Launch(t, t.TempDir(), append(limited, program.ServeArgs(program.Build(t, "slipway"), in.Data, "--reserve", "0")...)...)
	in.Base = p.MustBeReady(t)
	_, host, _ := strings.Cut(in.Base, "://")
	for i := range 600 {
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		switch i % 3 {
		case 0:
			fmt.Fprint(c, "POST /signin HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nemail=")
		case 1:
			fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost:")
		}
	}
	for range 20 {
		began := time.Now()
		r, err := (&http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Get(in.Base + "/healthz")
		if err != nil {
			t.Fatalf("after %s: %v\n%s", time.Since(began), err, p.Tail())
		}
		if err := r.Body.Close(); r.StatusCode != http.StatusOK || err != nil {
			t.Fatalf("answer %d, %v", r.StatusCode, err)
		}
	}
	a := in.Astro(t, in.Token)
	a.DeployDAGs("", program.ArchiveOf(map[string]string{"dags/sales.py": "# airflow DAG\n"}))
	if said := p.Output.String(); !strings.Contains(said, "silent connections make room") || strings.Contains(said, "too many open files") {
		t.Errorf("the portal said:\n%s", p.Tail())
	}
}
