package agent

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"slipway/internal/slipway"
)

// watch keeps asking what is wanted.
func (r *Rollout) watch(ctx context.Context) {
	revision := ""
	for tries := 0; ctx.Err() == nil; {
		want, err := r.cfg.Portal.Desired(ctx, revision)
		if err != nil {
			if ctx.Err() == nil && tries%awayEvery == 0 {
				r.log.Warn("ask which image is wanted", slog.Any("error", err))
			}
			pause(ctx, tries, nil)
			tries++
			continue
		}
		tries = 0
		r.answered()
		if want.Revision == revision {
			continue
		}
		revision = want.Revision
		r.wants(want)
	}
}

// wants notes what is wanted. If it is another image, what is being applied is
// no longer. DAGs that go live meanwhile do not matter here.
func (r *Rollout) wants(want slipway.Desired) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if want.Image != r.want.Image {
		r.report.Error = "" // it is about what was wanted before
		if r.cancel != nil {
			r.cancel()
		}
	}
	r.want = want
	r.wish.set()
}

func (r *Rollout) wanted() slipway.Desired {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.want
}

// tell changes what is reported.
func (r *Rollout) tell(change func(*slipway.Report)) {
	r.mu.Lock()
	change(&r.report)
	r.mu.Unlock()
	r.fresh.set()
}

// runs notes what runs, and whether that is what want asks for. A component
// without parts that had some has left, until it has some again.
func (r *Rollout) runs(now Running, want slipway.Desired, asWanted bool) {
	r.tell(func(rep *slipway.Report) {
		if rep.Image != now.Image || r.since.IsZero() {
			r.since = time.Now()
		}
		rep.Image, rep.Leaving = now.Image, now.Parts == 0 && r.seen
		r.seen = r.seen || now.Parts > 0
		if asWanted {
			rep.Revision, rep.Step, rep.Error, rep.Done, rep.Total = want.Revision, "", now.Wrong, 0, 0
		}
	})
}

// explain notes why what is wanted does not run. It stays until it does.
func (r *Rollout) explain(err error, want slipway.Desired) {
	r.log.Error("apply image", slog.String("image", want.Image), slog.Any("error", err))
	text := rolloutSentence(err)
	r.tell(func(rep *slipway.Report) {
		rep.Error, rep.Revision, rep.Step, rep.Done, rep.Total = text, want.Revision, "", 0, 0
	})
}

// rolloutSentence returns what people are told of err.
func rolloutSentence(err error) string {
	if kind, text := slipway.Explain(err); kind != slipway.Internal {
		return text
	}
	return "The image could not be applied: " + strings.TrimSuffix(err.Error(), ".") + "."
}

// tellStep returns what notes the step that a driver is at, and how far, now
// and then.
func (r *Rollout) tellStep() func(step string, done, total int64) {
	var told time.Time
	last := ""
	return func(step string, done, total int64) {
		if step == last && time.Since(told) < tellEvery {
			return
		}
		told, last = time.Now(), step
		r.tell(func(rep *slipway.Report) { rep.Step, rep.Done, rep.Total = step, done, total })
	}
}

func (r *Rollout) snapshot() slipway.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	rep := r.report
	if !r.since.IsZero() {
		rep.Age = int64(time.Since(r.since).Seconds())
	}
	return rep
}

// Status returns how r does now.
func (r *Rollout) Status() Status {
	rep := r.snapshot()
	r.mu.Lock()
	defer r.mu.Unlock()
	return Status{rep, r.want, r.heard}
}

func (r *Rollout) answered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = time.Now()
}

// reporting sends the report whenever it changes, and as a sign of life.
func (r *Rollout) reporting(ctx context.Context) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		for tries := 0; ctx.Err() == nil; tries++ {
			err := r.cfg.Portal.Report(ctx, r.snapshot())
			if err == nil {
				r.answered()
				break
			}
			if ctx.Err() == nil && tries%awayEvery == 0 {
				r.log.Warn("report", slog.Any("error", err))
			}
			pause(ctx, tries, nil)
		}
		select {
		case <-ctx.Done():
			return
		case <-r.fresh:
		case <-tick.C:
		}
	}
}

// leave reports that nothing more will come. Run's context is over by then.
func (r *Rollout) leave(ctx context.Context) {
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	r.tell(func(rep *slipway.Report) { rep.Leaving, rep.Step, rep.Revision = true, "", "" })
	if err := r.cfg.Portal.Report(bye, r.snapshot()); err != nil {
		r.log.Warn("report leaving", slog.Any("error", err))
	}
}
