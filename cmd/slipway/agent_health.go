package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"slipway/agent"
)

// serveHealth serves how one does where --health says, if anywhere, until ctx
// ends.
func (a agentCommand) serveHealth(ctx context.Context, one *agent.Agent, log *slog.Logger) error {
	if a.Health == "" {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.Health)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", a.Health, err)
	}
	log.Info("health", "address", "http://"+l.Addr().String())
	server := newHTTPServer(healthOf(one), log)
	context.AfterFunc(ctx, func() {
		server.cut()
		_ = server.Close() // what is left of it is cut off
	})
	go func() {
		if err := server.serve(l); err != nil {
			log.Error("health", "error", err)
		}
	}()
	return nil
}

// healthOf answers probes and Prometheus. The agent is healthy while it runs,
// and ready once something is mounted, whether the portal answers or not:
// Airflow can go on with that.
func healthOf(one *agent.Agent) http.Handler {
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(agentGauges{one}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if s := one.Status(); s.Report.DAGs == "" {
			http.Error(w, "nothing is mounted yet. "+s.Report.Error, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	return mux
}

// agentGauges looks at the agent whenever it is asked.
type agentGauges struct{ one *agent.Agent }

func describeAgent(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("slipway_agent_"+name, help, labels, nil)
}

var (
	mountedDesc = describeAgent("mounted", "What is mounted: a DAG bundle version, or the image's DAGs.", "dags", "version")
	behindDesc  = describeAgent("behind", "1 while something else is wanted than what is mounted.")
	errorDesc   = describeAgent("error", "1 while what is wanted cannot be mounted.")
	ageDesc     = describeAgent("mounted_seconds", "For how long what is mounted has been.")
	heardDesc   = describeAgent("portal_seconds", "Since the portal answered last. Not there before it first did.")
)

// Describe is for the registry.
func (agentGauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{mountedDesc, behindDesc, errorDesc, ageDesc, heardDesc} {
		ch <- d
	}
}

// Collect is for the registry.
func (g agentGauges) Collect(ch chan<- prometheus.Metric) {
	s := g.one.Status()
	send := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if s.Report.DAGs != "" {
		send(mountedDesc, 1, string(s.Report.DAGs), string(s.Report.Version))
		send(ageDesc, float64(s.Report.Age))
	}
	send(behindDesc, truth(s.Want.Revision != "" && (s.Want.DAGs != s.Report.DAGs || s.Want.Version != s.Report.Version)))
	send(errorDesc, truth(s.Report.Error != ""))
	if !s.Heard.IsZero() {
		send(heardDesc, time.Since(s.Heard).Seconds())
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
