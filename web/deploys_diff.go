package web

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/views"
)

// changes lists the files changed by r.
func (s *Server) changes(ctx context.Context, r deploy.Review, ask fileAsk) (views.FileList, error) {
	l, err := listFiles(ctx, ask, r.Plan.Changes, r.Away, s.changedFiles(r))
	l.Title, l.Key = changesTitle(r), string(r.Deployment.ID)+"/"+strconv.Itoa(r.Deploy.Number)
	c := r.Plan.Counts
	l.Sum = slipway.ChangeSum{Added: c.Added, Changed: c.Changed, Removed: c.Removed, Modes: c.Modes}
	switch {
	case l.Missing != "":
	case r.Plan.Changes == nil && c.Added+c.Changed+c.Removed > 0:
		l.Missing = views.ChangesExpired
	case len(r.Plan.Changes) == 0:
		l.Missing = views.ChangesNone
	}
	return l, err
}

// changesTitle is the title above the changes of r.
func changesTitle(r deploy.Review) string {
	if r.BaseDeploy == nil || r.Deploy.Status == slipway.Staged {
		return "Files"
	}
	return "Changes against #" + strconv.Itoa(r.BaseDeploy.Number)
}

// changedFiles compares the files changed by r.
func (s *Server) changedFiles(r deploy.Review) fileSource {
	return fileSource{
		diff: func(ctx context.Context, c slipway.Change, look slipway.Look) (slipway.FileDiff, error) {
			return s.engine.Diff(ctx, r.Deployment, c, look)
		},
		row:    func(c slipway.Change) views.FileChange { return changedFile(r, c) },
		folder: func(string) string { return "" },
	}
}

// changedFile has the addresses of a file changed by r, and what is to be said about
// the file. A change back to an earlier content names the deploy of the present content.
func changedFile(r deploy.Review, c slipway.Change) views.FileChange {
	f := views.FileChange{WholeURL: wholeURL(r, c)}
	if c.Op != slipway.Added || r.Deploy.WentLive() {
		f.PastURL = historyPath(r.Deployment.ID, c.Path)
	}
	stops := func(d slipway.StopDAG) bool { return d.Path == c.Path }
	switch {
	case slices.Contains(r.Plan.Bidi, c.Path):
		f.Signs = append(f.Signs, views.FileSign{Tone: "bad", Text: views.SignBidi})
	case slices.Contains(r.Plan.Pointers, c.Path):
		f.Signs = append(f.Signs, views.FileSign{Tone: "bad", Text: views.SignPointer})
	case slices.Contains(r.Plan.Invisible, c.Path):
		f.Signs = append(f.Signs, views.FileSign{Tone: "bad", Text: views.SignInvisible})
	}
	switch {
	case slices.Contains(r.Plan.RemovedDAGs, c.Path):
		f.Signs = append(f.Signs, views.FileSign{Tone: "muted", Text: views.SignDAG})
	case slices.ContainsFunc(r.Plan.StoppedDAGs, stops):
		f.Signs = append(f.Signs, views.FileSign{Tone: "warn", Text: views.SignStops})
	}
	if w, ok := r.SameAs[c.Path]; ok {
		f.Signs = append(f.Signs, views.FileSign{Tone: "warn", Text: views.SignBack(w.Number)})
		f.SameAs = fmt.Sprintf("#%d (%s, %s)", w.Number, w.By.Title(), w.CreatedAt.UTC().Format("2 Jan 2006"))
		f.SameURL = deployPath(r.Deployment.ID, w.Number)
	}
	return f
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
