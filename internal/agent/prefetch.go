package agent

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"time"

	"slipway/internal/mount"
	"slipway/internal/slipway"
)

const (
	wantedEvery = 2 * time.Second
	wantedAgain = 30 * time.Second // after a download failed
	goneAgain   = 10 * time.Minute // after the portal answered that the version is gone
	sweptEvery  = time.Hour        // between two log lines about removed entries of in-use
)

// Limits, because any code in Airflow may write marks.
const (
	maxPrefetched = 10   // versions at a time
	maxRetrying   = 1000 // versions that wait for their retry
)

// prefetcher downloads versions that runs of Airflow need and this disk lacks,
// because the worker or its disk is newer than the run. The current version
// stays current.
type prefetcher struct {
	*Agent
	mount       *mount.Mount
	retryAt     map[slipway.Version]time.Time // when to retry a failed version
	prefetched  []slipway.Version             // versions on disk
	lastError   string                        // the last error: a mount works without marks
	sweepLogged time.Time                     // when the log last reported removed entries
}

// sweepAndAdd removes entries of in-use that are no marks, and adds the marked versions.
func (p *prefetcher) sweepAndAdd(ctx context.Context, now time.Time) error {
	removed, err := p.mount.SweepMarks()
	if removed > 0 && now.Sub(p.sweepLogged) >= sweptEvery {
		p.sweepLogged = now
		p.log.Warn("removed from in-use what is no mark of a version; only Airflow is to write there, and empty files", slog.Int("entries", removed))
	}
	return errors.Join(err, p.addWanted(ctx, now))
}

// addWanted adds the marked versions, at most maxPrefetched at a time.
func (p *prefetcher) addWanted(ctx context.Context, now time.Time) error {
	maps.DeleteFunc(p.retryAt, func(_ slipway.Version, at time.Time) bool { return now.After(at) })
	wanted, err := p.mount.Wanted(keepFor, now)
	if err != nil || len(wanted) == 0 {
		return err
	}
	if err := p.dropRemoved(); err != nil {
		return err
	}
	for _, v := range wanted {
		if _, waits := p.retryAt[v]; waits || len(p.retryAt) >= maxRetrying {
			continue
		}
		if len(p.prefetched) >= maxPrefetched {
			return slipway.Errorf(slipway.Conflict, "Runs of Airflow need more than %d versions that were replaced. Others are added when these are no longer needed.", maxPrefetched)
		}
		if again := p.add(ctx, v); again > 0 {
			p.retryAt[v] = now.Add(again)
		}
	}
	return nil
}

// dropRemoved drops versions from prefetched that were removed or are current now.
func (p *prefetcher) dropRemoved() error {
	on, err := p.mount.Versions()
	if err != nil {
		return err
	}
	p.prefetched = slices.DeleteFunc(p.prefetched, func(v slipway.Version) bool {
		return !slices.ContainsFunc(on, func(o mount.MountedVersion) bool { return o.Version == v && !o.Current })
	})
	return nil
}

// add puts v on disk, and returns after how long to retry; 0 after success.
func (p *prefetcher) add(ctx context.Context, v slipway.Version) (again time.Duration) {
	log := p.log.With(slog.String("version", string(v)))
	src := &listed{Source: p.portal, asked: func() {}}
	err := p.mount.Prefetch(ctx, v, src)
	if isGone(src.failed) {
		_ = p.mount.Unmark(v) // a mark that stays costs one request every goneAgain
		log.Warn("a run of Airflow needs a version that is no longer kept")
		return goneAgain
	}
	if errors.Is(err, mount.ErrPreempted) {
		log.Info("adds a version that a run of Airflow needs later, as another is mounted first")
		return wantedEvery
	}
	if err != nil {
		if ctx.Err() == nil {
			log.Error("add a version that a run of Airflow needs", slog.Any("error", err))
		}
		return wantedAgain
	}
	log.Info("added a version that a run of Airflow needs")
	p.prefetched = append(p.prefetched, v)
	return 0
}

func isGone(err error) bool {
	return errors.Is(err, slipway.ErrNotFound) || errors.Is(err, fs.ErrNotExist)
}
