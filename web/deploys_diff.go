package web

import (
	"context"
	"errors"
	"net/url"
	"strconv"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/views"
)

// Limits of the file differences on a page.
const (
	maxFiles  = 500     // named
	openFiles = 20      // compared
	openBytes = 4 << 20 // compared, of all files together: about a second of work
	maxShown  = 3000    // lines of all files together
	foldFrom  = 80      // lines; longer files are folded
	maxFile   = 1500    // lines of one file
	maxAlone  = 20_000
)

// changes compares the files changed by r: the first ones line by line, and the
// file at open in any case.
func (s *Server) changes(ctx context.Context, r deploy.Review, open string) (views.Changes, error) {
	ch, away := views.Changes{Title: changesTitle(r), Counts: r.Plan.Counts}, r.Away
	switch {
	case away != nil:
	case r.Plan.Changes == nil && r.Plan.Counts != (slipway.Counts{}) && r.Plan.Counts.Added+r.Plan.Counts.Changed+r.Plan.Counts.Removed > 0:
		ch.Missing = views.ChangesExpired
	case len(r.Plan.Changes) == 0:
		ch.Missing = views.ChangesNone
	}
	listed, folded := slipway.FoldModes(r.Plan.Changes)
	ch.Modes = views.FoldedModes(folded, func(c slipway.Change) string { return wholeURL(r, c) })
	room, bytes := maxShown, int64(openBytes)
	for i, change := range listed {
		if i >= maxFiles && change.Path != open {
			continue
		}
		wanted := away == nil && (change.Path == open || i < openFiles && room > 0 && bytes > 0)
		f, err := s.fileChange(ctx, r, change, wanted, change.Path == open)
		if errors.Is(err, slipway.ErrUnavailable) {
			away = err
		} else if err != nil {
			return ch, err
		}
		room -= shown(f)
		bytes -= compared(change)
		ch.Files = append(ch.Files, f)
	}
	if away != nil {
		_, reason := slipway.Explain(away)
		ch.Missing = views.ChangesAway(reason)
	}
	if more := len(listed) - len(ch.Files); more > 0 {
		ch.More = views.ChangesMore(more)
	}
	return ch, nil
}

// changesTitle is the title above the changes of r.
func changesTitle(r deploy.Review) string {
	if r.BaseDeploy == nil {
		return "Changes"
	}
	return "Changes against #" + strconv.Itoa(r.BaseDeploy.Number)
}

// fileChange is the change of one file. Without compare, the file gets a link to be
// opened; the file that was opened so is alone on the page.
func (s *Server) fileChange(ctx context.Context, r deploy.Review, change slipway.Change, compare, alone bool) (views.FileChange, error) {
	f := views.FileChange{
		Op: change.Op, Path: change.Path, Mode: views.ModeText(change), ModeOnly: change.ModeOnly(), Anchor: anchor(change.Path), WholeURL: wholeURL(r, change),
	}
	if change.Op != slipway.Added || r.Deploy.WentLive() {
		f.PastURL = historyPath(r.Deployment.ID, change.Path)
	}
	if change.Old.Link != "" || change.New.Link != "" {
		f.Link = views.LinkText(change)
		return f, nil
	}
	if f.ModeOnly {
		return f, nil
	}
	if !compare {
		f.ShowURL = "?" + url.Values{"file": {change.Path}}.Encode() + "#" + f.Anchor
		return f, nil
	}
	diff, err := s.engine.Diff(ctx, r.Deployment, change)
	if err != nil {
		return f, err
	}
	limit := maxFile
	if alone {
		limit = maxAlone
	}
	f.Cut = cut(&diff, limit)
	f.Diff, f.Folded = &diff, !alone && shownLines(diff) >= foldFrom
	return f, nil
}

// anchor is a fragment id for a file, safe for every path.
func anchor(path string) string {
	return "file-" + hashed(path)
}

// wholeURL is the address of the changed file: in the new version, or for a
// removed file in the version before.
func wholeURL(r deploy.Review, change slipway.Change) string {
	switch {
	case change.Op == slipway.Removed && r.Base != "":
		return filePath(r.Deployment.ID, r.Base, change.Path)
	case change.Op != slipway.Removed && r.Deploy.WentLive() && r.Deploy.Version != "":
		return filePath(r.Deployment.ID, r.Deploy.Version, change.Path)
	}
	return ""
}

// compared returns the bytes read to compare a file, 0 for a large file and for
// a change of the mode alone.
func compared(change slipway.Change) int64 {
	if change.ModeOnly() || max(change.Old.Size, change.New.Size) > maxShownBytes {
		return 0
	}
	return change.Old.Size + change.New.Size
}

// shown counts the lines of f on the page.
func shown(f views.FileChange) int {
	if f.Diff == nil {
		return 0
	}
	return shownLines(*f.Diff)
}

// shownLines counts the lines of d.
func shownLines(d slipway.FileDiff) (n int) {
	for _, h := range d.Hunks {
		n += len(h.Lines)
	}
	return n
}

// cut shortens d to limit lines and returns the number of removed lines.
func cut(d *slipway.FileDiff, limit int) (gone int) {
	var kept []slipway.Hunk
	for _, h := range d.Hunks {
		n := min(limit, len(h.Lines))
		gone += len(h.Lines) - n
		limit -= n
		h.Lines = h.Lines[:n]
		if n > 0 {
			kept = append(kept, h)
		}
	}
	d.Hunks = kept
	return gone
}
