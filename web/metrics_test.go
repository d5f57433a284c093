package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// scrape returns what a Prometheus server reads, by line: the name with its
// labels, and the value.
func (a *app) scrape(t *testing.T) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	a.server.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("answer %d:\n%s", w.Code, w.Body)
	}
	lines := map[string]string{}
	for line := range strings.Lines(w.Body.String()) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			lines[name] = value
		}
	}
	return lines
}

func wantMetrics(t *testing.T, got map[string]string, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if got[pairs[i]] != pairs[i+1] {
			t.Errorf("%s is %q, want %q", pairs[i], got[pairs[i]], pairs[i+1])
		}
	}
}

func TestMetrics(t *testing.T) {
	a := newApp(t)
	start := time.Now().UTC().Truncate(time.Second)
	a.now = start.Add(time.Minute)
	add := func(status slipway.Status, took time.Duration) {
		storetest.Update(t, a.store, func(tx *store.Tx) error {
			_, err := tx.AddDeploy(slipway.Deploy{
				Deployment: a.Sales.ID, Kind: slipway.DAGOnly, Status: status,
				QueuedAt: tx.Now.Add(-took), EndedAt: map[bool]time.Time{true: tx.Now}[status.Ended()],
			})
			return err
		})
	}
	add(slipway.Deployed, 2*time.Second)
	add(slipway.Deployed, 40*time.Second)
	add(slipway.Failed, time.Hour)
	add(slipway.Staged, 0)
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		if err := tx.AddPack(a.Sales.ID, store.Pack{SHA256: "p1", Size: 1000}, nil); err != nil {
			return err
		}
		return tx.AddPack(a.Sales.ID, store.Pack{SHA256: "p2", Size: 234}, nil)
	})
	err := a.engine.Portal(a.Sales).Report(t.Context(), slipway.Report{Component: "worker-1", DAGs: slipway.FromImage})
	if err != nil {
		t.Fatal(err)
	}
	ns := `{deployment="` + a.Sales.Namespace + `"}`
	health := func(h string) string {
		return `slipway_components{deployment="` + a.Sales.Namespace + `",health="` + h + `"}`
	}
	for range 2 { // a deploy is counted once
		wantMetrics(t, a.scrape(t),
			`slipway_deploys_total{kind="DAG_ONLY",status="deployed"}`, "2",
			`slipway_deploys_total{kind="DAG_ONLY",status="failed"}`, "1",
			`slipway_deploys_open{kind="DAG_ONLY",status="staged"}`, "1",
			`slipway_deploy_duration_seconds_bucket{kind="DAG_ONLY",le="2.5"}`, "1",
			`slipway_deploy_duration_seconds_count{kind="DAG_ONLY"}`, "2",
			"slipway_queue_length"+ns, "0", "slipway_packs"+ns, "2", "slipway_stored_bytes"+ns, "1234",
			health("running"), "1", health("silent"), "0")
	}
	add(slipway.Deployed, time.Second) // in the same millisecond
	add(slipway.Queued, 0)
	a.now = a.now.Add(slipway.SilentAfter)
	add(slipway.Cancelled, 0)
	got := a.scrape(t)
	wantMetrics(t, got,
		`slipway_deploys_total{kind="DAG_ONLY",status="deployed"}`, "3",
		`slipway_deploys_total{kind="DAG_ONLY",status="cancelled"}`, "1",
		"slipway_queue_length"+ns, "1", health("running"), "0", health("silent"), "1")
	for _, name := range []string{"slipway_disk_free_bytes", "go_goroutines", "process_resident_memory_bytes"} {
		if got[name] == "" || got[name] == "0" {
			t.Errorf("%s is %q", name, got[name])
		}
	}
}

func TestRequestsAreCounted(t *testing.T) {
	a := newApp(t)
	b := a.as(t, a.Ada)
	for _, path := range []string{"/deployments/" + string(a.Sales.ID), "/deployments/" + string(a.Sales.ID), "/deployments/none", "/nowhere/at/all", "/metrics"} {
		b.get(path)
	}
	b.do(httptest.NewRequest("BREW", "/signin", nil))
	wantMetrics(t, a.scrape(t),
		`slipway_http_requests_total{method="GET",route="/deployments/:deployment",status="200"}`, "2",
		`slipway_http_requests_total{method="GET",route="/deployments/:deployment",status="404"}`, "1",
		`slipway_http_requests_total{method="GET",route="none",status="404"}`, "2", // the pages have no /metrics
		`slipway_http_requests_total{method="other",route="/signin",status="405"}`, "1")
}
