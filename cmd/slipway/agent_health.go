package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"slipway/internal/agent"
)

// health answers for the parts of an agent: at least one is not nil.
type health struct {
	mounts *agent.Agent
	images *agent.Rollout
}

// handler serves probes and metrics. Healthy: the process runs. Ready: DAGs are
// mounted, even if the portal is unreachable, as Airflow can work with the
// mounted ones. Without DAGs: ready after the first desired state from the
// portal.
func (h health) handler() http.Handler {
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(h, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if why := h.notReady(); why != "" {
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	return mux
}

// notReady returns the reason why the agent is not ready, or "".
func (h health) notReady() string {
	if h.mounts == nil {
		if s := h.images.Status(); s.Want.Revision == "" {
			return strings.TrimSpace("the portal has not said yet which image is wanted. " + s.Lost)
		}
		return ""
	}
	if s := h.mounts.Status(); s.Report.DAGs == "" {
		return strings.Join(strings.Fields("nothing is mounted yet. "+s.Report.Error+" "+s.Lost), " ")
	}
	return ""
}

// describeAgent returns the description of a metric of the agent.
func describeAgent(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("slipway_agent_"+name, help, labels, nil)
}

var (
	mountedDesc = describeAgent("mounted", "What is mounted: a DAG bundle version, or the image's DAGs.", "dags", "version")
	behindDesc  = describeAgent("behind", "1 while something else is wanted than what is mounted.")
	errorDesc   = describeAgent("error", "1 while what is wanted cannot be mounted.")
	ageDesc     = describeAgent("mounted_seconds", "For how long what is mounted has been.")

	imageDesc       = describeAgent("image", "The image that all containers of the component run.", "digest")
	imageBehindDesc = describeAgent("image_behind", "1 while another image is wanted than what runs.")
	imageErrorDesc  = describeAgent("image_error", "1 while what is wanted does not run, or something that should run does not.")
	imageAgeDesc    = describeAgent("image_seconds", "For how long the image that runs has.")

	heardDesc = describeAgent("portal_seconds", "Since the portal answered last. Not there before it first did.")
)

// Describe implements prometheus.Collector.
func (health) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		mountedDesc, behindDesc, errorDesc, ageDesc, imageDesc, imageBehindDesc, imageErrorDesc, imageAgeDesc, heardDesc,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector with the current status of the agent.
func (h health) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	var heard time.Time
	if h.mounts != nil {
		s := h.mounts.Status()
		heard = s.Heard
		if s.Report.DAGs != "" {
			send(mountedDesc, 1, string(s.Report.DAGs), string(s.Report.Version))
			send(ageDesc, float64(s.Report.Age))
		}
		send(behindDesc, boolValue(s.Want.Revision != "" && (s.Want.DAGs != s.Report.DAGs || s.Want.Version != s.Report.Version)))
		send(errorDesc, boolValue(s.Report.Error != ""))
	}
	if h.images != nil {
		s := h.images.Status()
		if s.Heard.After(heard) {
			heard = s.Heard
		}
		if s.Report.Image != "" {
			send(imageDesc, 1, s.Report.Image)
			send(imageAgeDesc, float64(s.Report.Age))
		}
		_, wanted, _ := strings.Cut(s.Want.Image, "@")
		away := s.Report.Leaving // no error to report while the component scales down
		send(imageBehindDesc, boolValue(!away && wanted != "" && wanted != s.Report.Image))
		send(imageErrorDesc, boolValue(!away && s.Report.Error != ""))
	}
	if !heard.IsZero() {
		send(heardDesc, time.Since(heard).Seconds())
	}
}

// boolValue returns 1 for true, 0 for false.
func boolValue(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
