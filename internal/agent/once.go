package agent

import (
	"context"
	"errors"
	"log/slog"

	"slipway/internal/mount"
	"slipway/internal/slipway"
)

// onceTries is how often Once tries before it goes on with what is mounted.
const onceTries = 3

// Once mounts what is wanted and returns, for what has to happen before Airflow
// starts. It waits for a portal that does not answer, unless something is
// mounted already. It reports nothing: the agent that runs beside Airflow does.
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
		case refused(err):
			return errors.New(sentence(err, a.cfg.Dir, want.Version))
		case tries+1 >= onceTries && r.DAGs != "" && m.Intact(r.Version):
			a.log.Warn("goes on with what is mounted", slog.String("version", string(r.Version)), slog.Any("error", err))
			return nil
		}
		a.away(ctx, "mount", err, tries)
		pause(ctx, tries, nil)
	}
}

// refused reports whether the portal has said no, which trying again does not
// change.
func refused(err error) bool {
	kind, _ := slipway.Explain(err)
	return kind == slipway.Unauthorized || kind == slipway.Forbidden || kind == slipway.NotFound
}
