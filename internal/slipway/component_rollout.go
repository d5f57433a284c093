package slipway

import (
	"slices"
	"time"
)

// StepEnding is the step of a rollout that waits until the tasks of the
// containers before have ended, for as long as its agent lets them.
const StepEnding = "waiting for running tasks to end"

// Ending reports whether a component of all that is connected waits for that.
func Ending(all []Component, now time.Time) bool {
	return slices.ContainsFunc(all, func(c Component) bool { return c.Kind == Rollout && c.Step == StepEnding && !c.Silent(now) })
}

// Connected returns those of all that are not silent.
func Connected(all []Component, now time.Time) []Component {
	return slices.DeleteFunc(slices.Clone(all), func(c Component) bool { return c.Silent(now) })
}
