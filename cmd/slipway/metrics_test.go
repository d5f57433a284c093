package main

import (
	"net/http"
	"regexp"
	"testing"
)

var metricsLine = regexp.MustCompile(`msg=metrics address=(http://\S+)`)

func TestMetricsListen(t *testing.T) {
	s := start(t, t.TempDir(), "--metrics-listen", "127.0.0.1:0")
	m := metricsLine.FindStringSubmatch(s.out.String())
	if m == nil {
		t.Fatalf("no address of metrics:\n%s", s.out.String())
	}
	if got := status(t, http.DefaultClient, m[1]); got != http.StatusOK {
		t.Errorf("metrics: answer %d", got)
	}
	if got := status(t, http.DefaultClient, s.base+"/metrics"); got != http.StatusNotFound {
		t.Errorf("metrics beside the pages: answer %d, want 404", got)
	}
	s.stop()
	s.wait(t)
	if resp, err := http.Get(m[1]); err == nil {
		_ = resp.Body.Close() // that it answers is the error
		t.Error("metrics are served after the end")
	}
}
