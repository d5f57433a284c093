package views

import "time"

// Moment is a time as seen from another, usually the time of the request: views
// do not read the clock.
type Moment struct{ At, Now time.Time }

// Known reports whether m is a time at all.
func (m Moment) Known() bool { return !m.At.IsZero() }

// Past reports whether m is before the time that it is seen from.
func (m Moment) Past() bool { return m.Known() && m.At.Before(m.Now) }
