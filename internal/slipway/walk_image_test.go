package slipway

import "fmt"

// downgrades reports whether w's image has an older Runtime than that of s.
func downgrades(s State, w Deploy) bool {
	return w.Kind != DAGOnly && w.ReturnTo == 0 && Release(w.After.Runtime).Compare(Release(s.Runtime)) < 0
}

// misfits reports whether the return w, on s, would change more than its kind
// says, by which it was judged: an image without a rollout, or DAGs unasked.
func misfits(s State, w Deploy) bool {
	next := s.With(w)
	image, dags := next.Image != s.Image, next.Mounted != s.Mounted || next.Version != s.Version
	carried := image && !next.Mounted && !next.DAGDeploys
	return image && w.Kind == DAGOnly || (dags || carried) && w.Kind == ImageOnly
}

// switchSafely prepares a safe switch, or confirms one that was prepared.
func (w *walk) switchSafely() {
	tail := w.d.Projected(w.queue)
	if n := len(w.prepared); n > 0 && w.r.IntN(2) == 0 {
		next := w.prepared[n-1]
		w.prepared = w.prepared[:n-1]
		fits := sameCode(tail.State, next.Switch.From)
		confirmed, err := tail.Confirm(next, Owner, ada, tail.Version)
		w.check((err == nil) == (fits && tail.MaySwitchSafely(next.Switch.On, Owner) == nil), "confirming %+v: %v", next, err)
		if err != nil {
			w.note("safe switch outdated")
			return
		}
		w.queue = append(w.queue, Turn{Deploy: &confirmed})
		w.note("safe switch queued")
		return
	}
	on := tail.DAGDeploys == (w.r.IntN(5) == 0)
	may := tail.Image != "" && (tail.DAGDeploys != on || tail.NeedsImage) && !tail.switchesBack(on)
	w.check((tail.MaySwitchSafely(on, Owner) == nil) == may, "switching to %v safely from %+v", on, tail.State)
	if may {
		w.prepare(tail.State, on)
	}
}

// prepare does what the engine does before a safe switch can be confirmed: what
// Airflow has now goes into a version, or into an image.
func (w *walk) prepare(from State, on bool) {
	w.n++
	next := Deploy{
		Number: w.n, Kind: ImageAndDAG, Status: Staged, Version: Version(fmt.Sprint("v", w.n)),
		Switch: &SafeSwitch{On: on, From: from}, After: State{Image: from.Image, Runtime: from.Runtime},
	}
	switch {
	case on:
		next.UploadedAt = live
		w.dags[string(next.Version)] = w.sees(from)
	case from.Mounted:
		next.After.Image = fmt.Sprint("i", w.n)
		w.dags[next.After.Image] = w.sees(from)
	}
	w.prepared = append(w.prepared, next)
	w.note("safe switch prepared")
}

// sees returns the DAGs that Airflow has in a state.
func (w *walk) sees(s State) string {
	if s.Mounted {
		return w.dags[string(s.Version)]
	}
	return w.dags[s.Image]
}

// fail has a deploy fail at its turn: before its image, or with it on its way.
func (w *walk) fail(next Deploy) {
	w.note("failed")
	next.Status = Deploying
	w.check(w.d.Wanted(&next) == w.d.State, "something is wanted before its time: %+v", w.d.Wanted(&next))
	if next.Kind == DAGOnly {
		return
	}
	next.RollingAt = live
	got := w.d.Wanted(&next)
	w.check(got.Image == w.d.State.With(next).Image && got.Version == w.d.Version && got.Mounted == w.d.Mounted, "while the image rolls out %+v is wanted", got)
	next.MountingAt = live
	w.check(w.d.Wanted(&next) == w.d.State.With(next), "while it is mounted %+v is wanted", w.d.Wanted(&next))
	next.Reason = "It failed."
	w.check(w.d.Wanted(&next) == w.d.State, "it does not go back: %+v", w.d.Wanted(&next))
	w.note("failed while it rolled out")
}
