package slipway

import "time"

// OrphanLife is the time from finding an orphaned namespace to deletion.
const OrphanLife = 7 * 24 * time.Hour

// Everything is the namespace of an OrphanedNamespace about all Deployments:
// the records are older than the files, and newer files have no record.
const Everything = ""

// OrphanedNamespace is a namespace without a record, or Everything. The records
// may be the wrong ones, and the namespace stays for some days.
type OrphanedNamespace struct {
	Namespace string
	Since     time.Time // time of the finding
}

// Until returns the end of a.
func (a OrphanedNamespace) Until() time.Time { return a.Since.Add(OrphanLife) }

// Over reports whether a has ended at now.
func (a OrphanedNamespace) Over(now time.Time) bool { return !now.Before(a.Until()) }

// Unrecorded is the reason why a manifest has no record.
type Unrecorded int

// The reasons.
const (
	Leftover Unrecorded = iota // left by a crash, or by an expiry cut off by a crash
	Awaited                    // the deploy is about to write the manifest again
	Foreign                    // written under other records: these are older, or others
)

// UnrecordedManifest returns the reason why the manifest of a version has no
// record. w is the deploy with the version, and known tells whether w exists. A
// deploy writes the manifest at the head of the queue.
func UnrecordedManifest(w Deploy, known bool) Unrecorded {
	switch {
	case !known || w.Status == Initialized || w.Status == Staged || w.Status == Queued:
		return Foreign
	case w.Status == Deploying && !w.WentLive():
		return Awaited
	}
	return Leftover
}
