package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"slipway/internal/slipway"
)

// Images is the side of a portal that a rollout talks to.
type Images interface {
	DesiredState

	// Log adds lines to the log of the deploy that goes live now, if one does.
	Log(ctx context.Context, component string, lines []string) error
}

// RolloutConfig is what NewRollout needs to know.
type RolloutConfig struct {
	Component string
	Driver    Driver
	Portal    Images
	Registry  string                // host of the portal's own registry, for images whose names have none
	Login     func() (Login, error) // for that registry
	Log       *slog.Logger
	Version   string // of this program
	Ephemeral bool   // it has left when it falls silent
}

// Rollout applies the images that the portal wants of one component.
type Rollout struct {
	*reporter
	cfg  RolloutConfig
	log  *slog.Logger
	said signal // lines wait to be sent
	seen bool   // the component has had parts; guarded by the reporter's lock
	book book
}

// NewRollout returns a Rollout. Nothing happens before Run.
func NewRollout(cfg RolloutConfig) *Rollout {
	log := cfg.Log.With(slog.String("component", cfg.Component))
	first := slipway.Report{Component: cfg.Component, Kind: slipway.Rollout, Agent: cfg.Version, Ephemeral: cfg.Ephemeral}
	return &Rollout{reporter: newReporter(cfg.Portal, log, first), cfg: cfg, log: log, said: make(signal, 1)}
}

// outdatedRollout reports whether a rollout in progress is of no use any more. A
// change of DAGs alone does not matter.
func outdatedRollout(old, want slipway.Desired) bool { return want.Image != old.Image }

const (
	lookEvery = 5 * time.Second // at what runs: containers come and go
	lookOnce  = time.Second     // before it is looked again, after an error
	tendEvery = time.Second

	firstRetry = 5 * time.Second
	longRetry  = 2 * time.Minute
)

// Run applies what is wanted until ctx ends. It goes on whatever fails, and
// reports it.
func (r *Rollout) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { r.reporting(ctx) })
	wg.Go(func() { r.logging(ctx) })
	wg.Go(func() { r.watch(ctx, outdatedRollout) })
	wg.Go(func() { r.tending(ctx) })
	r.rolling(ctx)
	wg.Wait()
	r.leave(ctx, func(rep *slipway.Report) { rep.Step, rep.Revision = "", "" })
	return nil
}

// rolling makes true what is wanted, each time that changes, and tries again
// what fails.
func (r *Rollout) rolling(ctx context.Context) {
	for tries := 0; ctx.Err() == nil; {
		after := lookEvery
		if err := r.step(ctx); err != nil {
			after = min(firstRetry<<min(tries, 10), longRetry)
			tries++
		} else {
			tries = 0
		}
		t := time.NewTimer(after)
		select {
		case <-ctx.Done():
		case <-r.wish:
			tries = 0
		case <-t.C:
		}
		t.Stop()
	}
}

// step makes true what is wanted now, if anything is known to be.
func (r *Rollout) step(ctx context.Context) error {
	want, stepCtx, cancel := r.next(ctx)
	defer cancel()
	if want.Revision == "" {
		return nil
	}
	err := r.settle(stepCtx, want)
	if stepCtx.Err() != nil {
		return nil // something else is wanted: the signal is set
	}
	if err != nil {
		r.explain(err, want)
	}
	return err
}

// settle sees to it that the component runs the image that is wanted.
func (r *Rollout) settle(ctx context.Context, want slipway.Desired) error {
	at, i, err := r.order(want)
	if err != nil {
		return err
	}
	now, err := r.look(ctx, at, i)
	if err != nil {
		return err
	}
	if now.Parts > 0 && i.Ref != "" && now.Image != i.Digest() {
		r.runs(now, want, false)
		if now, err = r.move(ctx, at, i, want); err != nil {
			return err
		}
	}
	r.runs(now, want, true)
	return nil
}

// look says what runs. Before it fails it looks again: an error that goes by
// itself is no reason to give an image back.
func (r *Rollout) look(ctx context.Context, at Place, i Image) (Running, error) {
	now, err := r.cfg.Driver.Running(ctx, at, i)
	if err == nil || Sleep(ctx, lookOnce) != nil {
		return now, err
	}
	return r.cfg.Driver.Running(ctx, at, i)
}

// move applies i and returns what runs then. If that fails it notes it, as the
// driver may not have been able to go back.
func (r *Rollout) move(ctx context.Context, at Place, i Image, want slipway.Desired) (Running, error) {
	failed := r.apply(ctx, at, i)
	now, err := r.cfg.Driver.Running(ctx, at, i)
	switch {
	case failed != nil && err == nil:
		r.runs(now, want, false)
		return now, failed
	case failed != nil:
		return now, failed
	case err == nil && now.Parts > 0 && now.Image != i.Digest():
		return now, slipway.Errorf(slipway.Conflict, "Not everything runs the new image yet: something changed meanwhile.")
	}
	return now, err
}

// order returns what want says, as a driver understands it. Its Ref is "" while
// no image is known that could be pulled.
func (r *Rollout) order(want slipway.Desired) (at Place, i Image, err error) {
	at = Place{Deployment: want.Deployment, Component: r.cfg.Component}
	name, _, pinned := strings.Cut(want.Image, "@")
	if !pinned || name == "" {
		return at, i, nil
	}
	i = Image{Ref: want.Image, Runtime: want.Runtime}
	if foreign(name) {
		return at, i, nil
	}
	i.Ref = r.cfg.Registry + "/" + want.Image
	if i.Login, err = r.cfg.Login(); err != nil {
		return at, i, fmt.Errorf("read the token: %w", err)
	}
	return at, i, nil
}

// foreign reports whether a repository's name begins with a registry's host.
func foreign(name string) bool {
	first, _, found := strings.Cut(name, "/")
	return found && (strings.ContainsAny(first, ".:") || first == "localhost")
}

// apply has the driver apply i. Its log is with the portal before the outcome
// is.
func (r *Rollout) apply(ctx context.Context, at Place, i Image) error {
	r.log.Info("apply image", slog.String("image", i.Ref))
	err := r.cfg.Driver.Apply(ctx, at, i, Tell{Step: r.tellStep(), Log: r.say})
	if err != nil && ctx.Err() == nil {
		r.say(rolloutSentence(err))
	}
	r.flushWithin(ctx, flushTime)
	return err
}

// tending has the driver go on with what is left for later.
func (r *Rollout) tending(ctx context.Context) {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for failed := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		want := r.wanted()
		if want.Revision == "" {
			continue
		}
		err := r.cfg.Driver.Tend(ctx, Place{Deployment: want.Deployment, Component: r.cfg.Component})
		if err == nil {
			failed = 0
			continue
		}
		if ctx.Err() == nil && failed%awayEvery == 0 {
			r.log.Error("look after what was replaced", slog.Any("error", err))
		}
		failed++
	}
}

// say puts a line into the deploy's log.
func (r *Rollout) say(line string) {
	r.book.add(line)
	r.said.set()
}

// logging sends lines as they come.
func (r *Rollout) logging(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.said:
		}
		for tries := 0; r.flush(ctx) != nil && ctx.Err() == nil; tries++ {
			pause(ctx, tries, nil)
		}
	}
}

// flush sends all lines that wait.
func (r *Rollout) flush(ctx context.Context) error {
	r.book.sending.Lock()
	defer r.book.sending.Unlock()
	for {
		lines := r.book.batch()
		if len(lines) == 0 {
			return nil
		}
		if err := r.cfg.Portal.Log(ctx, r.cfg.Component, lines); err != nil {
			return err
		}
		r.book.sent(len(lines))
	}
}

// flushWithin sends all lines that wait, unless that takes too long.
func (r *Rollout) flushWithin(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d)
	defer cancel()
	if err := r.flush(ctx); err != nil {
		r.log.Warn("send the deploy's log", slog.Any("error", err))
	}
}

// Sleep waits, or says that ctx is over.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return errors.Join(ctx.Err(), context.Cause(ctx))
	case <-t.C:
		return nil
	}
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
