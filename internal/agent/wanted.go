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
	maxLent  = 10   // versions at a time
	maxLater = 1000 // versions that wait for their retry
)

// lender downloads versions that runs of Airflow need and this disk lacks,
// because the worker or its disk is newer than the run. The current version
// stays current.
type lender struct {
	*Agent
	mount *mount.Mount
	later map[slipway.Version]time.Time // when to retry a failed version
	lent  []slipway.Version             // versions on disk
	told  string                        // the last error: a mount works without marks
	swept time.Time                     // when the log last reported removed entries
}

// look removes entries of in-use that are no marks, and adds the marked versions.
func (l *lender) look(ctx context.Context, now time.Time) error {
	removed, err := l.mount.SweepMarks()
	if removed > 0 && now.Sub(l.swept) >= sweptEvery {
		l.swept = now
		l.log.Warn("removed from in-use what is no mark of a version; only Airflow is to write there, and empty files", slog.Int("entries", removed))
	}
	return errors.Join(err, l.addWanted(ctx, now))
}

// addWanted adds the marked versions, at most maxLent at a time.
func (l *lender) addWanted(ctx context.Context, now time.Time) error {
	maps.DeleteFunc(l.later, func(_ slipway.Version, at time.Time) bool { return now.After(at) })
	wanted, err := l.mount.Wanted(keepFor, now)
	if err != nil || len(wanted) == 0 {
		return err
	}
	if err := l.count(); err != nil {
		return err
	}
	for _, v := range wanted {
		if _, waits := l.later[v]; waits || len(l.later) >= maxLater {
			continue
		}
		if len(l.lent) >= maxLent {
			return slipway.Errorf(slipway.Conflict, "Runs of Airflow need more than %d versions that were replaced. Others are added when these are no longer needed.", maxLent)
		}
		if again := l.add(ctx, v); again > 0 {
			l.later[v] = now.Add(again)
		}
	}
	return nil
}

// count drops versions from lent that were removed or are current now.
func (l *lender) count() error {
	on, err := l.mount.Versions()
	if err != nil {
		return err
	}
	l.lent = slices.DeleteFunc(l.lent, func(v slipway.Version) bool {
		return !slices.ContainsFunc(on, func(o mount.MountedVersion) bool { return o.Version == v && !o.Current })
	})
	return nil
}

// add puts v on disk, and returns after how long to retry; 0 after success.
func (l *lender) add(ctx context.Context, v slipway.Version) (again time.Duration) {
	log := l.log.With(slog.String("version", string(v)))
	man, err := l.portal.Manifest(ctx, v)
	if isGone(err) {
		_ = l.mount.Unmark(v) // a mark that stays costs one request every goneAgain
		log.Warn("a run of Airflow needs a version that is no longer kept")
		return goneAgain
	}
	if err == nil {
		err = l.mount.Prefetch(ctx, man, l.portal)
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
	l.lent = append(l.lent, v)
	return 0
}

func isGone(err error) bool {
	return errors.Is(err, slipway.ErrNotFound) || errors.Is(err, fs.ErrNotExist)
}
