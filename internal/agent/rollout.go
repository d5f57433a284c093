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

// Images is the portal of a rollout agent.
type Images interface {
	DesiredState

	// Log adds lines to the log of the deploy in rollout, if there is one.
	Log(ctx context.Context, component string, lines []string) error
}

// RolloutConfig configures NewRollout.
type RolloutConfig struct {
	Component string
	Driver    Driver
	Portal    Images
	Registry  string                // host of the portal's own registry, for image names without a host
	Login     func() (Login, error) // for Registry
	Log       *slog.Logger
	Version   string // of this program
	Ephemeral bool   // silence means that the component has left
}

// Rollout applies the desired images of one component.
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
	lookEvery = 5 * time.Second // between two reads of the running containers
	lookOnce  = time.Second     // before a read is repeated after an error
	tendEvery = time.Second

	firstRetry = 5 * time.Second
	longRetry  = 2 * time.Minute
)

// Run applies the desired state until ctx ends. After a failure, Run reports
// the error and tries again.
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

// rolling applies the desired state at every change, and retries after a
// failure.
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

// step applies the desired state, if the portal has sent one.
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

// settle makes the component run the desired image.
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

// look returns the running image, after a second try for an error: a passing
// error is no reason to undo a rollout.
func (r *Rollout) look(ctx context.Context, at Place, i Image) (Running, error) {
	now, err := r.cfg.Driver.Running(ctx, at, i)
	if err == nil || Sleep(ctx, lookOnce) != nil {
		return now, err
	}
	return r.cfg.Driver.Running(ctx, at, i)
}

// move applies i and returns the running image. After a failure, move reports
// the running image, as the driver may have been unable to undo.
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

// order translates the desired state for a driver. Ref is "" while the desired
// image is not known by a name to pull.
func (r *Rollout) order(want slipway.Desired) (at Place, i Image, err error) {
	at = Place{Deployment: want.Deployment, Component: r.cfg.Component}
	name, _, pinned := strings.Cut(want.Image, "@")
	if !pinned || name == "" {
		return at, i, nil
	}
	i = Image{Ref: want.Image, Runtime: want.Runtime}
	if slipway.RegistryHost(name) != "" {
		return at, i, nil
	}
	i.Ref = r.cfg.Registry + "/" + want.Image
	if i.Login, err = r.cfg.Login(); err != nil {
		return at, i, fmt.Errorf("read the token: %w", err)
	}
	return at, i, nil
}

// apply has the driver apply i. The portal receives the driver's log before the
// outcome.
func (r *Rollout) apply(ctx context.Context, at Place, i Image) error {
	r.log.Info("apply image", slog.String("image", i.Ref))
	err := r.cfg.Driver.Apply(ctx, at, i, Tell{Step: r.tellStep(), Log: r.say})
	if err != nil && ctx.Err() == nil {
		r.say(rolloutSentence(err))
	}
	r.flushWithin(ctx, flushTime)
	return err
}

// tending has the driver finish the work left for later.
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

// logging sends log lines.
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

// flush sends all waiting lines.
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

// flushWithin sends all waiting lines within d.
func (r *Rollout) flushWithin(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d)
	defer cancel()
	if err := r.flush(ctx); err != nil {
		r.log.Warn("send the deploy's log", slog.Any("error", err))
	}
}

// Sleep waits for d, or returns the error of ctx.
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

// runs reports the running image; asWanted tells whether the desired state is
// reached. A component that had parts and has none is reported as leaving until
// parts are back.
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

// explain reports why the desired image does not run. The error stays in the
// report until the image runs.
func (r *Rollout) explain(err error, want slipway.Desired) {
	r.log.Error("apply image", slog.String("image", want.Image), slog.Any("error", err))
	text := rolloutSentence(err)
	r.tell(func(rep *slipway.Report) {
		rep.Error, rep.Revision, rep.Step, rep.Done, rep.Total = text, want.Revision, "", 0, 0
	})
}

// rolloutSentence returns an error for people.
func rolloutSentence(err error) string {
	if kind, text := slipway.Explain(err); kind != slipway.Internal {
		return text
	}
	return "The image could not be applied: " + strings.TrimSuffix(err.Error(), ".") + "."
}

// tellStep returns a function that reports the step of a driver, with its
// progress, now and then.
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
