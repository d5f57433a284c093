// Package deploytest has an engine for tests, on a real database and real files,
// with real agents.
package deploytest

import (
	"strings"
	"testing"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
)

// DAGTicks consents to the removal of DAG files, to a deploy without any, to
// pointers of Git LFS, to bidirectional controls, to invisible names and to patterns
// that nobody can judge.
var DAGTicks = slipway.Ticks{RemoveDAGs: true, NoDAGs: true, Pointers: true, Bidi: true, Invisible: true, Unjudged: true}

// DAG returns the text of a DAG file.
func DAG(text string) string { return "from airflow import DAG  # " + text + "\n" }

// WantKind fails the test unless err is of a kind and the text contains part.
func WantKind(t *testing.T, err error, kind slipway.Kind, part string) {
	t.Helper()
	got, text := slipway.Explain(err)
	if err == nil || got != kind || !strings.Contains(text, part) {
		t.Fatalf("%v, want kind %v and %q", err, kind, part)
	}
}

// ticksFor is DAGTicks with the name to type for a plan that wipes.
func ticksFor(r deploy.Review) slipway.Ticks {
	t := DAGTicks
	t.Name = r.Plan.Deployment
	return t
}
