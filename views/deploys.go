package views

import (
	"strconv"
	"strings"
	"time"

	"slipway/internal/slipway"
)

// HistoryRow is a deploy in a list, a switch of DAG-only deploys between two
// deploys, or a run of discarded deploys.
type HistoryRow struct {
	Switch string       // "DAG-only deploys turned on"; "" for a deploy
	Folded []HistoryRow // discarded deploys of one person; empty for other rows

	Number      int
	URL         string
	At          Moment
	Current     bool
	Kind        slipway.DeployKind
	Status      slipway.Status
	Description string
	Fix         bool   // made in the portal
	Commit      string // short
	CommitURL   string // "" without an address that is safe to link
	Branch      string
	Reason      string
	Version     slipway.Version // "" when the deploy brings none
	VersionURL  string          // "" for a version no longer retained
	Image       string          // "" for a deploy without an image
	Digest      string          // of the image, short
	Runtime     string
	By          string
	UndoneBy    int // number of the return; 0 for none
	UndoneURL   string
	ReturnTo    int // number of the earlier deploy; 0 unless the deploy is a return
	ReturnToURL string
	Files       []string // names of changed files; nil where the names are not at hand
	More        int      // number of changed files after Files
	Counts      *slipway.Counts
	Took        string // from the confirmation to the end; "" before
	Ticks       bool   // the deploy can be compared with another

	ReturnURL   string // "" where the rule refuses a return
	CompareURL  string // with the live deploy; "" without a retained version
	DownloadURL string // "" for a version no longer retained
}

// DaySection is a day of the history.
type DaySection struct {
	ID, Title string
	Counts    string // "6 deploys, 1 failed"
	Rows      []HistoryRow
}

// DayTitle names a day as seen from now.
func DayTitle(at, now time.Time) string {
	switch today := now.UTC().Truncate(day); {
	case at.Equal(today):
		return "Today"
	case at.Equal(today.Add(-day)):
		return "Yesterday"
	case at.Year() == today.Year():
		return at.Format("Monday 2 January")
	}
	return at.Format("Monday 2 January 2006")
}

// DayCounts sums up a day in words: "6 deploys, 1 undone, 1 failed".
func DayCounts(s slipway.DaySum) string {
	if s.Deploys == 0 {
		return "no deploys"
	}
	text := Count(s.Deploys, "deploy")
	for _, part := range []struct {
		n    int
		word string
	}{{s.Undone, "undone"}, {s.Failed, "failed"}, {s.Staged, "to confirm"}} {
		if part.n > 0 {
			text += ", " + Number(part.n) + " " + part.word
		}
	}
	return text
}

// sign is the state in front of a row: a class, an icon and a word.
type sign struct{ class, icon, word string }

// sign returns the state of a deploy in a list.
func (r HistoryRow) sign() sign {
	switch {
	case r.Status == slipway.Deployed && r.Current:
		return sign{"live", "check", "Live"}
	case r.Status == slipway.Deployed && r.UndoneBy > 0:
		return sign{"undone", "rotate-ccw", "Undone"}
	}
	return signs[r.Status]
}

// StatusWord is the status of a deploy as lists name the status.
func StatusWord(s slipway.Status) string { return signs[s].word }

var signs = map[slipway.Status]sign{
	slipway.Initialized: {"staged", "upload", "Arriving"},
	slipway.Staged:      {"staged", "clock", "To confirm"},
	slipway.Queued:      {"queued", "clock", "Queued"},
	slipway.Deploying:   {"deploying", "loader", "Deploying"},
	slipway.Deployed:    {"deployed", "check", "Deployed"},
	slipway.Failed:      {"failed", "x", "Failed"},
	slipway.Cancelled:   {"cancelled", "minus", "Discarded"},
}

// fileNames lists the changed files: "a.py, b.py and 3 more".
func (r HistoryRow) fileNames() string {
	text := strings.Join(r.Files, ", ")
	if r.More > 0 {
		text += " and " + Number(r.More) + " more"
	}
	return text
}

// image is the image of a deploy in words.
func (r HistoryRow) image() string {
	if r.Runtime == "" {
		return r.Image
	}
	return r.Image + " · Runtime " + r.Runtime
}

// compareText is the name of the link to CompareURL.
func (r HistoryRow) compareText() string {
	if r.Current {
		return "Compare with the version before"
	}
	return "Compare with what is live"
}

// span names the deploys of a run: "#36 to #40".
func (r HistoryRow) span() string {
	return "#" + strconv.Itoa(r.Folded[len(r.Folded)-1].Number) + " to #" + strconv.Itoa(r.Folded[0].Number)
}
