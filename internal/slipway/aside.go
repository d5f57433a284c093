package slipway

import "time"

// AsideFor is how long what is set aside stays after it was noticed.
const AsideFor = 7 * 24 * time.Hour

// Everything is the namespace of an Aside that is about all Deployments: the
// records are older than the files, so that no record names what came later.
const Everything = ""

// Aside is a namespace that no record names, or Everything. The records may be
// the wrong ones, so it is kept for some days.
type Aside struct {
	Namespace string
	Since     time.Time // when it was noticed
}

// Until returns when it is over.
func (a Aside) Until() time.Time { return a.Since.Add(AsideFor) }

// Over reports whether a has lasted long enough.
func (a Aside) Over(now time.Time) bool { return !now.Before(a.Until()) }

// Stray says why no record names a manifest.
type Stray int

// The reasons.
const (
	Leftover Stray = iota // a crash left it, or an expiry that a crash cut off
	Awaited               // its deploy is about to write it again
	Foreign               // these records never had it written: they are older, or others
)

// StrayManifest judges the manifest of a version that no record names. w is the
// deploy that the version was minted for, and known says whether there is one.
// A deploy writes its manifest when its turn has come.
func StrayManifest(w Deploy, known bool) Stray {
	switch {
	case !known || w.Status == Initialized || w.Status == Staged || w.Status == Queued:
		return Foreign
	case w.Status == Deploying && !w.WentLive():
		return Awaited
	}
	return Leftover
}
