package web

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
)

// metrics are the portal's metrics for Prometheus.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec // by method, route and status
}

// newMetrics registers the metrics of the portal, of Go and of the process.
func newMetrics(st *store.Store, engine *deploy.Engine) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "slipway_http_requests_total", Help: "Requests that were answered.",
	}, []string{"method", "route", "status"})}
	m.registry.MustRegister(m.requests, newGauges(st, engine),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Metrics returns the handler of GET /metrics, to listen apart from the pages:
// the listening address decides who can read metrics.
func (s *Server) Metrics() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

// counted counts each answered request.
func (s *Server) counted(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		defer func() {
			s.metrics.requests.WithLabelValues(methodLabel(c), routeLabel(c), strconv.Itoa(c.Response().Status)).Inc()
		}()
		return next(c)
	}
}

// methodLabel returns the method for a label, "other" for unknown methods: each
// new label value would be another time series.
func methodLabel(c echo.Context) string {
	switch m := c.Request().Method; m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// routeLabel returns the route pattern for a label, never the address.
func routeLabel(c echo.Context) string {
	if c.Path() == "" {
		return "none"
	}
	return c.Path()
}

// gauges reads records and components at each scrape.
type gauges struct {
	store  *store.Store
	engine *deploy.Engine

	mu    sync.Mutex
	since time.Time                 // deploys ended until this time are counted
	seen  map[slipway.DeployID]bool // counted deploys that ended exactly at since
	ended *prometheus.CounterVec    // deploys by kind and status
	took  *prometheus.HistogramVec  // seconds by kind
}

// durations are the bucket bounds for deploys: from a few files to an image on
// many components.
var durations = []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600}

// newGauges begins to count deploys from now on.
func newGauges(st *store.Store, engine *deploy.Engine) *gauges {
	return &gauges{
		store: st, engine: engine, since: st.Now(), seen: map[slipway.DeployID]bool{},
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slipway_deploys_total", Help: "Deploys that have ended since the start.",
		}, []string{"kind", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "slipway_deploy_duration_seconds", Buckets: durations,
			Help: "From being confirmed until every connected component ran it, of deploys that got there.",
		}, []string{"kind"}),
	}
}

// describe describes a metric of the portal.
func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("slipway_"+name, help, labels, nil)
}

// Metrics from records and components.
var (
	openDesc       = describe("deploys_open", "Deploys that have not ended.", "kind", "status")
	queueDesc      = describe("queue_length", "Deploys that run or wait for their turn.", "deployment")
	versionsDesc   = describe("versions", "DAG bundle versions that are kept.", "deployment")
	packsDesc      = describe("packs", "Packs that are kept.", "deployment")
	storedDesc     = describe("stored_bytes", "Size of the packs that are kept.", "deployment")
	componentsDesc = describe("components", "Components by health: running, behind, error or silent.", "deployment", "health")
	freeDesc       = describe("disk_free_bytes", "Space left on the disk of the data folder.")
	failedDesc     = describe("metrics", "Metrics of the portal.")
)

// Describe sends the descriptions to the Prometheus registry.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{openDesc, queueDesc, versionsDesc, packsDesc, storedDesc, componentsDesc, freeDesc} {
		ch <- d
	}
	g.ended.Describe(ch)
	g.took.Describe(ch)
}

// scrapeTimeout is the limit for reading the records of one scrape.
const scrapeTimeout = 10 * time.Second

// Collect sends the metrics to the Prometheus registry. With an error, the whole
// scrape is invalid.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	g.mu.Lock()
	defer g.mu.Unlock()
	err := g.store.View(ctx, func(tx *store.Tx) error {
		if err := g.countEnded(tx); err != nil {
			return err
		}
		if err := openDeploys(tx, ch); err != nil {
			return err
		}
		return g.deployments(tx, ch)
	})
	if err == nil {
		err = g.free(ch)
	}
	if err != nil {
		ch <- prometheus.NewInvalidMetric(failedDesc, err)
		return
	}
	g.ended.Collect(ch)
	g.took.Collect(ch)
}

// countEnded counts the deploys ended since the last call.
func (g *gauges) countEnded(tx *store.Tx) error {
	all, err := tx.EndedSince(g.since)
	if err != nil {
		return err
	}
	for _, e := range all {
		if g.seen[e.ID] {
			continue
		}
		if e.EndedAt.After(g.since) {
			g.since = e.EndedAt
			clear(g.seen)
		}
		g.seen[e.ID] = true
		g.ended.WithLabelValues(string(e.Kind), string(e.Status)).Inc()
		if e.Status == slipway.Deployed {
			g.took.WithLabelValues(string(e.Kind)).Observe(e.EndedAt.Sub(e.QueuedAt).Seconds())
		}
	}
	return nil
}

// gauge returns a gauge of a fixed value.
func gauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// openDeploys sends the number of open deploys by kind and status.
func openDeploys(tx *store.Tx, ch chan<- prometheus.Metric) error {
	all, err := tx.CountOpen()
	if err != nil {
		return err
	}
	for _, o := range all {
		ch <- gauge(openDesc, float64(o.Number), string(o.Kind), string(o.Status))
	}
	return nil
}

// deployments sends the gauges of each Deployment.
func (g *gauges) deployments(tx *store.Tx, ch chan<- prometheus.Metric) error {
	all, err := tx.AllDeployments()
	if err != nil {
		return err
	}
	for _, d := range all {
		m, err := tx.Measures(d.ID)
		if err != nil {
			return err
		}
		ch <- gauge(queueDesc, float64(m.Queue), d.Namespace)
		ch <- gauge(versionsDesc, float64(m.Versions), d.Namespace)
		ch <- gauge(packsDesc, float64(m.Packs), d.Namespace)
		ch <- gauge(storedDesc, float64(m.Stored), d.Namespace)
		for health, n := range componentHealth(d, g.engine.Components(d.ID), tx.Now) {
			ch <- gauge(componentsDesc, float64(n), d.Namespace, health)
		}
	}
	return nil
}

// componentHealth counts the components of d.
func componentHealth(d slipway.Deployment, all []slipway.Component, now time.Time) map[string]int {
	n := map[string]int{"running": 0, "behind": 0, "error": 0, "silent": 0}
	for _, c := range all {
		switch {
		case c.Silent(now):
			n["silent"]++
		case c.Error != "":
			n["error"]++
		case c.Runs(d.State):
			n["running"]++
		default:
			n["behind"]++
		}
	}
	return n
}

// free sends the free space of the data disk.
func (g *gauges) free(ch chan<- prometheus.Metric) error {
	n, err := g.engine.Free()
	if err == nil {
		ch <- gauge(freeDesc, float64(n))
	}
	return err
}
