package slipway

import (
	"slices"
	"time"
)

// StepEnding is the step of a rollout while running tasks of the old containers
// finish, up to the agent's time limit.
const StepEnding = "waiting for running tasks to end"

// MaxEnding is how long a rollout waits for running tasks to end, whatever
// agents report.
const MaxEnding = 25 * time.Hour

// Ending reports whether a connected component waits in StepEnding.
func Ending(all []Component, now time.Time) bool {
	return slices.ContainsFunc(all, func(c Component) bool { return c.Kind == Rollout && c.Step == StepEnding && !c.Silent(now) })
}

// Connected returns the components of all that are not silent.
func Connected(all []Component, now time.Time) []Component {
	return slices.DeleteFunc(slices.Clone(all), func(c Component) bool { return c.Silent(now) })
}
