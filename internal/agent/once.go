package agent

import (
	"context"
	"errors"
	"log/slog"

	"slipway/internal/mount"
	"slipway/internal/slipway"
)

// onceTries is how often Once tries before the mounted version has to do.
const onceTries = 3

// Once mounts the desired version and returns, for a step before the start of
// Airflow. While the portal does not answer, Once waits, unless an intact
// version is mounted already. Reports are left to the agent beside Airflow.
func (a *Agent) Once(ctx context.Context) error {
	m, err := a.openOnce()
	if err != nil {
		return errors.New(sentence(err, a.cfg.Dir, ""))
	}
	err = a.onceIn(ctx, m)
	return errors.Join(err, m.Close())
}

func (a *Agent) onceIn(ctx context.Context, m *mount.Mount) error {
	for tries := 0; ; tries++ {
		want, err := a.portal.Desired(ctx, "")
		if err == nil {
			err = a.apply(ctx, m, want)
		}
		r := a.snapshot()
		switch {
		case err == nil:
			a.log.Info("mounted", slog.String("dags", string(r.DAGs)), slog.String("version", string(r.Version)))
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case refused(err), isMoved(err) && r.DAGs == "":
			return errors.New(sentence(err, a.cfg.Dir, want.Version))
		case tries+1 >= onceTries && r.DAGs != "" && m.Intact(r.Version):
			a.log.Warn("goes on with what is mounted", slog.String("version", string(r.Version)), slog.Any("error", err))
			return nil
		}
		a.away(ctx, "mount", err, tries)
		pause(ctx, tries, nil)
	}
}

// isMoved reports whether requests for the portal are redirected elsewhere.
func isMoved(err error) bool {
	_, is := errors.AsType[*movedError](err)
	return is
}

// refused reports whether err is a refusal of the portal, where a retry is in
// vain.
func refused(err error) bool {
	return errors.Is(err, slipway.ErrUnauthorized) || errors.Is(err, slipway.ErrForbidden) || errors.Is(err, slipway.ErrNotFound)
}
