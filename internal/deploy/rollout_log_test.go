package deploy_test

import (
	"strings"
	"testing"

	"slipway/internal/deploy/deploytest"
	"slipway/internal/slipway"
)

// What agents say while an image rolls out is the deploy's log, within bounds.
func TestAgentsSayInTheLog(t *testing.T) {
	a := applying(t)
	p := a.Engine.Portal(a.Sales)
	report := slipway.Report{Component: "worker", Kind: slipway.Rollout}
	say := func(lines ...string) {
		t.Helper()
		if err := p.Log(t.Context(), "worker", lines); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Report(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	say("nobody hears this")
	report.Image = a.Push(t, "1", deploytest.Runtime1.Build(t))
	w := a.StagedImage(t, slipway.ImageOnly, "1")
	a.Confirm(t, w.Number, a.Eve)
	a.Eventually(t, "it rolls out", func() bool { return strings.Contains(a.logOf(t, w.Number), "applied") })
	say("pulling", "\x1b[31mred\x1b[0m\r")
	if text := a.logOf(t, w.Number); !strings.HasSuffix(text, "worker: pulling\nworker: red\n") {
		t.Errorf("log %q", text)
	}
	for range 60 {
		say(make([]string, 100)...)
	}
	if err := p.Report(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	a.Await(t, w.Number, slipway.Deployed)
	say("nor this")
	if n := strings.Count(a.logOf(t, w.Number), "\n"); n < 4900 || n > 5200 {
		t.Errorf("%d lines are kept", n)
	}
	if text := a.logOf(t, w.Number); strings.Contains(text, "nobody") || strings.Contains(text, "nor this") {
		t.Errorf("log %q", text)
	}
}

// logOf returns all lines of a deploy's log.
func (a *app) logOf(t *testing.T, number int) string {
	t.Helper()
	var text strings.Builder
	for last := 0; ; {
		lines, err := a.Engine.Log(t.Context(), a.Sales.ID, number, a.Eve, last)
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) == 0 {
			return text.String()
		}
		for _, l := range lines {
			text.WriteString(l.Text + "\n")
			last = l.Line
		}
	}
}
