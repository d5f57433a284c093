package deploy

import (
	"context"

	"slipway/internal/slipway"
)

// Sweep gives up what nobody finished in time, as Run does every hour.
func (e *Engine) Sweep(ctx context.Context) error { return e.sweep(ctx) }

// RetainAll has versions and images expire that are no longer kept, as Run does
// time and again.
func (e *Engine) RetainAll(ctx context.Context) error { return e.retainAll(ctx) }

// StageAll is one turn of the loop that stages.
func (e *Engine) StageAll(ctx context.Context, of slipway.DeploymentID) error {
	return e.stageAll(ctx, of)
}

// StoreVersion is what publishing a deploy does before it is recorded.
func (e *Engine) StoreVersion(ctx context.Context, w slipway.Deploy) ([]slipway.File, error) {
	d, r, err := e.prepare(ctx, w)
	if err == nil {
		r, err = e.storeVersion(ctx, d, w, r)
	}
	return r.files, err
}

// BreakStaging makes the staging of each archive panic.
func (e *Engine) BreakStaging() { e.stager.dagStager = nil }

// Comparisons bounds archives in requests as SameFiles does.
type Comparisons = comparisons

// The limits of comparisons.
const (
	MaxComparisons = maxComparisons
	ComparisonWait = comparisonWait
)

// NewComparisons returns the bounds of an engine.
func NewComparisons() *Comparisons { return newComparisons() }

// Begin is begin.
func (c *comparisons) Begin(ctx context.Context, who string) (end func(), err error) {
	return c.begin(ctx, who)
}

// Waiting returns how many have a turn or wait.
func (c *comparisons) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.turns)
}
