package slipway

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// walk is a Deployment in whose life things happen at random, and what has to
// hold of it whatever happens.
type walk struct {
	t     *testing.T
	r     *rand.Rand
	d     Deployment
	queue []Turn
	rows  []Deploy // that went live
	n     int      // deploys
	saved *State   // before the switch was turned; nil once anything went live since, or it was turned back
	saw   map[string]int
	trail []string

	prepared []Deploy          // safe switches that wait to be confirmed
	dags     map[string]string // what a version or an image holds, by name
}

// TestRandomWalk: nothing disappears. What runs changes only by a deploy that
// goes live; the switch moves nothing, and turned back it restores everything.
func TestRandomWalk(t *testing.T) {
	saw := map[string]int{}
	for seed := range uint64(800) {
		w := &walk{t: t, r: rand.New(rand.NewPCG(seed, 7)), saw: saw, dags: map[string]string{}, d: Deployment{State: State{DAGDeploys: true}, Settings: Settings{ImageRole: Author}}}
		for range 120 {
			w.step()
		}
		w.drain()
	}
	for _, what := range []string{
		"confirmed", "refused", "base changed", "cancelled", "switch queued", "switch called back", "return queued", "runs already",
		"turned", "restored", "failed", "refused at its turn", "return refused at its turn", "went live DAG_ONLY", "went live IMAGE_ONLY", "went live IMAGE_AND_DAG",
		"went live return", "drained",
		"downgrade refused", "downgrade by a return", "safe switch prepared", "safe switch queued", "safe switch outdated",
		"safely on", "safely off", "failed while it rolled out",
	} {
		if saw[what] < 100 {
			t.Errorf("%q happened %d times only", what, saw[what])
		}
	}
}

func (w *walk) note(what string) {
	w.saw[what]++
	w.trail = append(w.trail, what)
}

func (w *walk) check(ok bool, format string, args ...any) {
	w.t.Helper()
	if !ok {
		w.t.Fatalf("%s\nnow %+v, before %+v\nafter %q", fmt.Sprintf(format, args...), w.d.State, w.d.Before, w.trail)
	}
}

// step does one thing. All but a turn leave the Deployment as it is.
func (w *walk) step() {
	was := w.d
	switch w.r.IntN(11) {
	case 0, 1:
		w.confirm()
	case 2:
		w.call()
	case 3:
		w.turnSwitch()
	case 4:
		w.goBack()
	case 5, 6:
		w.switchSafely()
	default:
		if len(w.queue) > 0 {
			w.turn(w.r.IntN(6) > 0)
		}
		return
	}
	w.check(reflect.DeepEqual(was, w.d), "something moved without a turn: %+v", was.State)
}

// willBeOn says how the switch will be at the end of the queue.
func (w *walk) willBeOn() bool {
	on := w.d.DAGDeploys
	for i, t := range w.queue {
		switch {
		case t.Switch != nil:
			on = t.Switch.On
		case t.Deploy.Switch != nil:
			if w.d.Projected(w.queue[:i]).Takes(*t.Deploy) == nil {
				on = t.Deploy.Switch.On
			}
		case t.Deploy.ReturnTo != 0 && !misfits(w.d.Projected(w.queue[:i]).State, *t.Deploy):
			on = t.Deploy.After.DAGDeploys
		}
	}
	return on
}

func (w *walk) confirm() {
	w.n++
	next := Deploy{Number: w.n, Status: Staged, Kind: []DeployKind{DAGOnly, DAGOnly, ImageOnly, ImageAndDAG}[w.r.IntN(4)]}
	if next.Kind != ImageOnly {
		next.Version, next.UploadedAt = Version(fmt.Sprint("v", w.n)), live
		w.dags[string(next.Version)] = fmt.Sprint("DAGs ", w.n)
	}
	if next.Kind != DAGOnly {
		next.After = State{Image: fmt.Sprint("i", w.n), Runtime: fmt.Sprint("3.1-", 1+w.n/8+w.r.IntN(4))}
		w.dags[next.After.Image] = fmt.Sprint("DAGs of image ", w.n)
	}
	tail := w.d.Projected(w.queue)
	if w.r.IntN(8) == 0 {
		_, err := tail.Confirm(next, Owner, ada, "v0")
		w.check(err != nil, "deploy %+v was confirmed against a base that is not there", next)
		w.note("base changed")
		return
	}
	confirmed, err := tail.Confirm(next, Owner, ada, tail.Version)
	w.check((err == nil) == ((w.willBeOn() || next.Kind == ImageAndDAG) && !downgrades(tail.State, next)), "confirming %+v: %v", next, err)
	if err != nil && downgrades(tail.State, next) {
		w.note("downgrade refused")
	}
	if err != nil {
		w.note("refused")
		return
	}
	w.queue = append(w.queue, Turn{Deploy: &confirmed})
	w.note("confirmed")
}

// call calls something back that waits.
func (w *walk) call() {
	if len(w.queue) == 0 {
		return
	}
	i := w.r.IntN(len(w.queue))
	if t := w.queue[i]; t.Switch != nil {
		w.note("switch called back")
	} else {
		cancelled, err := t.Deploy.Cancel(Author, ada)
		w.check(err == nil && cancelled.Status == Cancelled, "cancelling: %v", err)
		w.note("cancelled")
	}
	w.queue = slices.Delete(w.queue, i, i+1)
}

func (w *walk) turnSwitch() {
	on := w.r.IntN(2) == 0
	err := w.d.Projected(w.queue).SwitchTo(on, Owner, true)
	w.check((err == nil) == (w.willBeOn() != on), "switching to %v: %v", on, err)
	if err == nil {
		w.queue = append(w.queue, Turn{Switch: &SwitchOrder{On: on}})
		w.note("switch queued")
	}
}

func (w *walk) goBack() {
	if len(w.rows) == 0 {
		return
	}
	old := w.rows[w.r.IntN(len(w.rows))]
	tail := w.d.Projected(w.queue)
	next, err := tail.Return(old, Owner, true)
	if err != nil {
		w.check(runs(tail.State, old.After), "returning to %+v from %+v: %v", old, tail.State, err)
		w.note("runs already")
		return
	}
	w.n++
	next.Number = w.n
	w.queue = append(w.queue, Turn{Deploy: &next})
	w.note("return queued")
}

// runs reports whether now runs what then did, with the same setting.
func runs(now, then State) bool {
	if then.Image == "" {
		then.Image, then.Runtime = now.Image, now.Runtime
	}
	if !then.Mounted && !now.Mounted {
		then.Version = now.Version
	}
	then.NeedsImage = now.NeedsImage
	return now == then
}

// turn gives the first of the queue its turn; a deploy may fail at it.
func (w *walk) turn(succeeds bool) {
	first, was := w.queue[0], w.d
	w.queue = w.queue[1:]
	if first.Deploy != nil && first.Deploy.ReturnTo != 0 {
		misfit := misfits(was.State, *first.Deploy)
		w.check((was.Takes(*first.Deploy) != nil) == misfit, "from %+v takes %+v", was.State, first.Deploy)
		if misfit {
			w.note("return refused at its turn")
			return
		}
	}
	switch {
	case first.Switch != nil:
		w.turned(first.Switch.On)
	case w.d.Takes(*first.Deploy) != nil:
		stale := first.Deploy.Switch != nil && !sameCode(w.d.State, first.Deploy.Switch.From)
		w.check(stale || downgrades(w.d.State, *first.Deploy) || !w.d.DAGDeploys && first.Deploy.Kind != ImageAndDAG && first.Deploy.ReturnTo == 0, "refused %+v", first.Deploy)
		w.note("refused at its turn")
	case !succeeds:
		w.fail(*first.Deploy)
	default:
		w.goLive(*first.Deploy, was.State)
	}
	w.check(w.d.Before == nil || w.d.NeedsImage && w.d.Before.DAGDeploys != w.d.DAGDeploys, "what was before outlived its use")
}

func (w *walk) turned(on bool) {
	was := w.d
	if was.DAGDeploys == on {
		return
	}
	w.d = was.Switched(on)
	w.check(w.d.DAGDeploys == on, "the switch was not turned to %v", on)
	w.check(w.d.Version == was.Version && w.d.Mounted == was.Mounted && w.d.Image == was.Image, "the switch moved %+v", was.State)
	w.note("turned")
	if w.saved != nil {
		w.check(w.d.State == *w.saved && w.d.Before == nil, "switching back restored other than %+v", *w.saved)
		w.saved = nil
		w.note("restored")
		return
	}
	if w.d.Before != nil {
		w.check(w.d.NeedsImage && *w.d.Before == was.State, "the switch forgot %+v", was.State)
		w.saved = &was.State
	}
}

func (w *walk) goLive(next Deploy, was State) {
	next.Status = Deploying
	_, err := next.Cancel(Owner, ada)
	w.check(err != nil, "cancelled while it ran")
	w.d, w.saved = w.d.Deployed(next), nil
	switch {
	case next.Switch != nil:
		w.check(w.d.DAGDeploys == next.Switch.On && !w.d.NeedsImage && w.d.Mounted == next.Switch.On, "the safe switch left %+v", w.d.State)
		w.check(w.sees(w.d.State) == w.sees(was), "the safe switch changed the DAGs from %q to %q", w.sees(was), w.sees(w.d.State))
		w.note("safely " + OnOff(next.Switch.On))
	case next.ReturnTo != 0:
		row := w.rows[slices.IndexFunc(w.rows, func(old Deploy) bool { return old.Number == next.ReturnTo })]
		w.check(runs(w.d.State, row.After), "returned to other than %+v", row.After)
		if Release(w.d.Runtime).Compare(Release(was.Runtime)) < 0 {
			w.note("downgrade by a return")
		}
		w.note("went live return")
	default:
		want := wanted(was, next)
		w.check(w.d.State == want, "from %+v came other than %+v", was, want)
		w.note("went live " + string(next.Kind))
	}
	next.After, next.LiveAt, next.Status = w.d.State, live, Deployed
	w.rows = append(w.rows, next)
	_, err = w.d.Return(next, Owner, true)
	w.check(err != nil, "offers a return to what runs")
}

// wanted is the table "What may be deployed" once more.
func wanted(s State, w Deploy) State {
	dags := w.Kind != ImageOnly && s.DAGDeploys
	return State{
		Image:      map[bool]string{true: w.After.Image, false: s.Image}[w.Kind != DAGOnly],
		Runtime:    map[bool]string{true: w.After.Runtime, false: s.Runtime}[w.Kind != DAGOnly],
		Version:    map[bool]Version{true: w.Version, false: s.Version}[dags],
		Mounted:    dags || s.Mounted && w.Kind != ImageAndDAG,
		DAGDeploys: s.DAGDeploys,
		NeedsImage: s.NeedsImage && w.Kind != ImageAndDAG,
	}
}

// drain lets the whole queue go live: it ends as it was foreseen.
func (w *walk) drain() {
	foreseen := w.d.Projected(w.queue)
	for len(w.queue) > 0 {
		w.turn(true)
	}
	w.check(reflect.DeepEqual(w.d, foreseen), "foreseen was %+v, before %+v", foreseen.State, foreseen.Before)
	w.note("drained")
}
