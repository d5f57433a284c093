package agent

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"slipway"
	"slipway/bundle"
)

const (
	wantedEvery = 2 * time.Second
	wantedAgain = 30 * time.Second // after one could not be had
)

// lend puts versions on disk that Airflow's runs need and that are not there:
// this worker began after them, or its disk is a new one. Nothing is turned.
func (a *Agent) lend(ctx context.Context, m *bundle.Mount) {
	tick := time.NewTicker(wantedEvery)
	defer tick.Stop()
	later, told := map[slipway.Version]time.Time{}, ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		wanted, err := m.Wanted(time.Now().Add(-keepFor))
		if err != nil && err.Error() != told {
			told = err.Error() // once: a mount works without marks
			a.log.Error("look for versions that runs need", slog.Any("error", err))
		}
		for _, v := range wanted {
			if time.Now().After(later[v]) && !a.add(ctx, m, v) {
				later[v] = time.Now().Add(wantedAgain)
			}
		}
	}
}

// add puts v on disk, and reports whether it need not be tried again.
func (a *Agent) add(ctx context.Context, m *bundle.Mount, v slipway.Version) bool {
	log := a.log.With(slog.String("version", string(v)))
	man, err := a.portal.Manifest(ctx, v)
	if isGone(err) {
		log.Warn("a run of Airflow needs a version that is no longer kept")
		return m.Unmark(v) == nil // else it is said again
	}
	if err == nil {
		err = m.Add(ctx, man, a.portal)
	}
	if err != nil && ctx.Err() == nil {
		log.Error("add a version that a run of Airflow needs", slog.Any("error", err))
	}
	if err == nil {
		log.Info("added a version that a run of Airflow needs")
	}
	return err == nil
}

func isGone(err error) bool {
	e, ok := errors.AsType[*slipway.Error](err)
	return ok && e.Kind == slipway.NotFound || errors.Is(err, fs.ErrNotExist)
}
