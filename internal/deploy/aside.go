package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
)

// The records may be the wrong ones: somebody put an older database in place, or
// that of another installation. So what no record names is not deleted because
// of that alone. Namespaces are noted, and deleted once they were noted for
// days; and while the records are known to be older than the files, nothing at
// all is deleted that they do not name, and nothing expires.

// noteAside brings what is set aside up to date with the namespaces that there
// are, and returns it, with those that are new.
func (e *Engine) noteAside(ctx context.Context) (all, fresh []slipway.Aside, err error) {
	there, err := e.namespaces() // before the records: whoever made one has recorded it by then
	if err != nil {
		return nil, nil, err
	}
	err = e.store.Update(ctx, func(tx *store.Tx) error {
		named, err := namedIn(tx)
		if err != nil {
			return err
		}
		noted, err := tx.Asides()
		if err != nil {
			return err
		}
		for _, ns := range there {
			known := slices.ContainsFunc(noted, func(a slipway.Aside) bool { return a.Namespace == ns })
			if named[ns] || known {
				continue
			}
			fresh = append(fresh, slipway.Aside{Namespace: ns, Since: tx.Now})
			err = errors.Join(err, tx.SetAside(ns))
		}
		for _, a := range noted {
			if a.Namespace == slipway.Everything || !named[a.Namespace] && slices.Contains(there, a.Namespace) {
				all = append(all, a)
				continue
			}
			err = errors.Join(err, tx.DropAside(a.Namespace)) // a record names it again, or it is gone
		}
		all = append(all, fresh...)
		return err
	})
	return all, fresh, err
}

// namespaces returns those that have manifests, packs or images.
func (e *Engine) namespaces() ([]string, error) {
	all, err := e.cfg.Images.Namespaces()
	for ns, bad := range e.bundles.Namespaces() {
		if err = errors.Join(err, bad); err != nil {
			return nil, fmt.Errorf("list namespaces: %w", err)
		}
		if !strings.HasPrefix(ns, ".") && ns != "lost+found" { // those are no one's
			all = append(all, ns)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), err
}

// namedIn returns the namespaces that records name, also those of Deployments
// that are being removed.
func namedIn(tx *store.Tx) (map[string]bool, error) {
	all, err := tx.AllDeployments()
	if err != nil {
		return nil, err
	}
	deleted, err := tx.DeletedDeployments()
	named := map[string]bool{}
	for _, d := range append(all, deleted...) {
		named[d.Namespace] = true
	}
	return named, err
}

// resumeAside sets aside what has to be at a start, and reports whether nothing
// at all may be deleted that no record names. older says that the records are
// older than the files.
func (e *Engine) resumeAside(ctx context.Context, older bool) (held bool, err error) {
	if err := e.store.Update(ctx, func(tx *store.Tx) error { return judgeRecords(tx, older) }); err != nil {
		return false, err
	}
	asides, _, err := e.noteAside(ctx)
	if err != nil {
		return false, err
	}
	now := e.store.Now()
	for _, a := range asides {
		e.warnAside(a, now)
		held = held || !a.Over(now)
	}
	return held, nil
}

// judgeRecords sets Everything aside if the records are older than the files,
// and ends that once it has lasted long enough.
func judgeRecords(tx *store.Tx, older bool) error {
	noted, err := tx.Asides()
	if err != nil {
		return err
	}
	over := slices.ContainsFunc(noted, func(a slipway.Aside) bool {
		return a.Namespace == slipway.Everything && a.Over(tx.Now)
	})
	switch {
	case over:
		return tx.DropAside(slipway.Everything)
	case older:
		return tx.SetAside(slipway.Everything)
	}
	return nil
}

// warnAside says what is set aside, and what to do.
func (e *Engine) warnAside(a slipway.Aside, now time.Time) {
	until := slog.Time("until", a.Until().UTC())
	switch {
	case a.Namespace == slipway.Everything && !a.Over(now):
		e.log.Warn("slipway.db is not the database that this data folder was served with last. Until the time given here nothing expires, and nothing is deleted that no record names. "+
			"If there is a newer slipway.db, stop slipway and put that back. If this is the right one, do nothing.", until)
	case a.Namespace != slipway.Everything:
		e.log.Warn("No record names this namespace. It is deleted after the time given here. "+
			"If slipway.db is an older database or another one, stop slipway and put the right one back.", slog.String("namespace", a.Namespace), until)
	}
}

// retainAside notes namespaces that no record names, and deletes those that were
// set aside long enough.
func (e *Engine) retainAside(ctx context.Context) error {
	all, fresh, err := e.noteAside(ctx)
	if err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	now := e.store.Now()
	for _, a := range fresh {
		e.warnAside(a, now)
	}
	kept, err := e.deletionPaused(ctx)
	if err != nil || kept {
		return err
	}
	for _, a := range all {
		if a.Namespace != slipway.Everything && a.Over(now) {
			err = errors.Join(err, e.deleteAside(ctx, a.Namespace))
		}
	}
	return err
}

// deleteAside deletes a namespace that no record names. No Deployment gets it
// before it is forgotten.
func (e *Engine) deleteAside(ctx context.Context, ns string) error {
	if err := errors.Join(e.bundles.DropNamespace(ns), e.cfg.Images.Drop(ctx, ns)); err != nil {
		return fmt.Errorf("delete the namespace %s: %w", ns, err)
	}
	e.log.Info("a namespace was deleted that no record named", slog.String("namespace", ns))
	return e.store.Update(ctx, func(tx *store.Tx) error { return tx.DropAside(ns) })
}

// deletionPaused reports whether nothing may be deleted now but what this process
// made: a backup is being written, or the records are older than the files.
func (e *Engine) deletionPaused(ctx context.Context) (kept bool, err error) {
	err = e.store.View(ctx, func(tx *store.Tx) (err error) {
		kept, err = deletionPausedIn(tx)
		return err
	})
	return kept, err
}

// deletionPausedIn is deletionPaused in a transaction.
func deletionPausedIn(tx *store.Tx) (bool, error) {
	leased, err := tx.Leased()
	if err != nil || leased {
		return leased, err
	}
	return tx.Held()
}
