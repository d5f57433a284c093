package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/internal/slipway"
	"slipway/views"
)

// phase is a part of a deploy's life. from is zero before the start, to is zero
// before the end.
type phase struct {
	title, detail string
	from, to      time.Time
	person        bool // somebody took the time, not the portal
}

// waited is the title of the time in the queue.
const waited = "In the queue"

// notable reports whether a wait was long enough to be noticed.
func notable(l phase) bool {
	return !l.from.IsZero() && (l.to.IsZero() || l.to.Sub(l.from) >= time.Second)
}

// timeline tells a deploy's life in steps with durations.
func timeline(sc scene, w slipway.Deploy) views.Timeline {
	var t views.Timeline
	var titles []string
	var took []time.Duration
	for _, l := range phases(sc, w) {
		step := stepOf(sc, w, l)
		if step.Class == "" || l.title == waited && !notable(l) {
			continue
		}
		if !l.person && !l.from.IsZero() && !l.to.IsZero() {
			titles, took = append(titles, l.title), append(took, l.to.Sub(l.from))
		}
		if len(t.Steps) == 0 { // no step before, to draw the time between
			step.Detail, step.Took = strings.Trim(step.Detail+", "+step.Took, ", "), ""
		}
		t.Steps = append(t.Steps, step)
	}
	if w.Status.Ended() {
		t.Total, t.Shares = views.TookText(w), views.TimeShares(titles, took)
	}
	return t
}

// phases returns the phases of w in order, by the kind of deploy.
func phases(sc scene, w slipway.Deploy) []phase {
	mounted := phase{title: "Mounted", detail: mountedText(sc, w), from: w.LiveAt, to: w.EndedAt}
	if !sc.Local && len(sc.components) == 0 {
		mounted.title = "Published"
	}
	turn := phase{title: waited, from: w.QueuedAt, to: w.DeployingAt, person: true}
	if w.Kind.HasImage() {
		return imagePhases(sc, w, turn, mounted)
	}
	if w.Purpose() == slipway.ForReturn {
		return []phase{requestPhase(w), turn, mounted}
	}
	return []phase{
		{title: "Uploaded", detail: uploadedText(w), from: w.CreatedAt, to: w.UploadedAt},
		{title: "Checked", detail: checkedText(w), from: w.UploadedAt, to: w.StagedAt},
		{title: "Confirmed", detail: w.ConfirmedBy.Title(), from: w.StagedAt, to: w.QueuedAt, person: true},
		turn,
		{title: "Stored", detail: storedText(w), from: w.DeployingAt, to: w.StoredAt},
		mounted,
	}
}

// requestPhase is the phase from the request to the queue.
func requestPhase(w slipway.Deploy) phase {
	return phase{title: "Asked for", detail: w.By.Title(), from: w.CreatedAt, to: w.QueuedAt, person: true}
}

// imagePhases are the phases of a deploy with an image.
func imagePhases(sc scene, w slipway.Deploy, turn, mounted phase) []phase {
	rolled := phase{title: "Image rolled out", from: w.RollingAt, to: cmp.Or(w.MountingAt, w.LiveAt, w.EndedAt)}
	if !w.Status.Ended() && w.MountingAt.IsZero() {
		rolled.to = time.Time{}
	}
	stored := phase{title: "Stored", detail: storedText(w), from: w.DeployingAt, to: w.RollingAt}
	all := []phase{requestPhase(w), turn, rolled}
	if w.Purpose() != slipway.ForReturn {
		all = []phase{
			{title: "Checked", detail: imageText(w), from: w.CreatedAt, to: w.StagedAt},
			{title: "Confirmed", detail: w.ConfirmedBy.Title(), from: w.StagedAt, to: w.QueuedAt, person: true},
			turn, rolled,
		}
	}
	if w.Kind != slipway.ImageAndDAG {
		return all
	}
	if w.Purpose() != slipway.ForReturn && brings(sc, w) {
		all = slices.Insert(all, len(all)-1, stored)
	}
	mounted.from = w.MountingAt
	if !mounts(sc, w) {
		mounted.title = views.DAGsFromImage
	}
	return append(all, mounted)
}

// brings reports whether w makes a bundle version.
func brings(sc scene, w slipway.Deploy) bool {
	return w.WentLive() && bringsVersion(w) != "" || !w.WentLive() && sc.Brings(w)
}

// mounts reports whether a version is mounted after w.
func mounts(sc scene, w slipway.Deploy) bool {
	return w.WentLive() && w.After.Mounted || !w.WentLive() && sc.State.With(w).Mounted
}

// imageText gives the size of the checked image and the number of files.
func imageText(w slipway.Deploy) string {
	if w.Image == nil {
		return ""
	}
	text := views.Bytes(w.Image.Size)
	if w.HasDAGs() {
		text += ", " + views.Count(w.Counts.Files, "file")
	}
	return text
}

// stepOf returns the step of a phase. The class is "" for a phase without a
// step.
func stepOf(sc scene, w slipway.Deploy, l phase) views.Step {
	step := views.Step{Title: l.title, Detail: l.detail}
	stopped := w.Status == slipway.Failed || w.Status == slipway.Cancelled
	switch {
	case l.from.IsZero() && stopped:
		return views.Step{}
	case l.from.IsZero():
		step.Class, step.Detail = "waiting", ""
	case l.to.IsZero() && stopped, l.to.Equal(w.EndedAt) && stopped:
		step.Class = "failed"
	case l.to.IsZero():
		step.Class, step.Took = "busy", views.Duration(sc.now.Sub(l.from))
	default:
		step.Class, step.Took = "done", views.Duration(l.to.Sub(l.from))
	}
	if l.title == "Confirmed" && step.Class == "busy" {
		step.Class, step.Title, step.Took = "waiting", "To be confirmed", ""
	}
	return step
}

// uploadedText is the name and size of the upload, with the number of resumes.
func uploadedText(w slipway.Deploy) string {
	text := views.Bytes(w.Bytes)
	switch {
	case w.Resumes == 1:
		text += ", 1 resume"
	case w.Resumes > 1:
		text += fmt.Sprintf(", %d resumes", w.Resumes)
	}
	if w.Upload != "" {
		text = slipway.Visible(w.Upload) + ", " + text
	}
	return text
}

// checkedText counts the files after staging.
func checkedText(w slipway.Deploy) string {
	if w.StagedAt.IsZero() {
		return ""
	}
	text := views.Count(w.Counts.Files, "file")
	if w.Counts.LeftOut > 0 {
		text += ", " + views.Count(w.Counts.LeftOut, "file") + " left out"
	}
	return text
}

// storedText is the size of the contents new to the store.
func storedText(w slipway.Deploy) string {
	if w.StoredAt.IsZero() {
		return ""
	}
	return views.Bytes(w.Counts.NewBytes) + " compressed"
}

// mountedText counts the components on a deploy, if the deploy is the live one.
func mountedText(sc scene, w slipway.Deploy) string {
	if w.Number != sc.live.Number || len(sc.components) == 0 {
		return ""
	}
	p := slipway.NewProgress(sc.State, sc.components, sc.now)
	return fmt.Sprintf("%d of %s", p.Running, views.Count(p.Of, "component"))
}
