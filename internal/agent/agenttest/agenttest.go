// Package agenttest has the helpers common to the tests of agents and of their
// drivers.
package agenttest

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Record keeps the progress of an Apply. The zero Record is empty.
type Record struct {
	mu    sync.Mutex
	lines []string
	steps []string
}

// Step keeps a step.
func (r *Record) Step(step string, _, _ int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, step)
}

// Log keeps a line.
func (r *Record) Log(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

// Text returns the lines.
func (r *Record) Text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

// Steps returns the steps.
func (r *Record) Steps() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.steps)
}

// Eventually fails the test unless is returns true within 20 seconds.
func Eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("not within 20 seconds: %s", what)
		}
	}
}
