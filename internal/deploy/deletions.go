package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"slipway/internal/durable"
	"slipway/internal/slipway"
	"slipway/store"
)

// orphans notes and deletes namespaces without a record.
type orphans struct {
	*base
	deletions *deletions
}

// note compares the recorded orphaned namespaces with the namespaces on disk,
// updates the records, and returns all orphaned namespaces and the new ones.
func (o *orphans) note(ctx context.Context) (all, fresh []slipway.OrphanedNamespace, err error) {
	existing, err := o.namespaces() // before the records: by then, a namespace found here is on record
	if err != nil {
		return nil, nil, err
	}
	err = o.store.Update(ctx, func(tx *store.Tx) error {
		named, err := recordedNamespaces(tx)
		if err != nil {
			return err
		}
		noted, err := tx.OrphanedNamespaces()
		if err != nil {
			return err
		}
		for _, ns := range existing {
			known := slices.ContainsFunc(noted, func(a slipway.OrphanedNamespace) bool { return a.Namespace == ns })
			if named[ns] || known {
				continue
			}
			fresh = append(fresh, slipway.OrphanedNamespace{Namespace: ns, Since: tx.Now})
			err = errors.Join(err, tx.AddOrphanedNamespace(ns))
		}
		for _, a := range noted {
			if a.Namespace == slipway.Everything || !named[a.Namespace] && slices.Contains(existing, a.Namespace) {
				all = append(all, a)
				continue
			}
			err = errors.Join(err, tx.DropOrphanedNamespace(a.Namespace)) // a record names the namespace again, or the namespace is gone
		}
		all = append(all, fresh...)
		return err
	})
	return all, fresh, err
}

// namespaces returns the namespaces with manifests, packs or images.
func (o *orphans) namespaces() ([]string, error) {
	all, err := o.cfg.Images.Namespaces()
	for ns, bad := range o.bundles.Namespaces() {
		if err = errors.Join(err, bad); err != nil {
			return nil, fmt.Errorf("list namespaces: %w", err)
		}
		if !strings.HasPrefix(ns, ".") && ns != "lost+found" { // no namespace of Slipway
			all = append(all, ns)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), err
}

// recordedNamespaces returns the namespaces in the records, with the
// Deployments in removal.
func recordedNamespaces(tx *store.Tx) (map[string]bool, error) {
	all, err := tx.AllDeployments()
	if err != nil {
		return nil, err
	}
	deleted, err := tx.DeletedDeployments()
	if err != nil {
		return nil, err
	}
	named := map[string]bool{}
	for _, d := range append(all, deleted...) {
		named[d.Namespace] = true
	}
	return named, nil
}

// resumeOrphans records orphaned namespaces at a start. held forbids any
// deletion of unrecorded files. older marks records as older than the files.
func (o *orphans) resumeOrphans(ctx context.Context, older bool) (held bool, err error) {
	if err := o.store.Update(ctx, func(tx *store.Tx) error { return checkRecords(tx, older) }); err != nil {
		return false, err
	}
	asides, _, err := o.note(ctx)
	if err != nil {
		return false, err
	}
	now := o.store.Now()
	for _, a := range asides {
		o.warn(a, now)
		held = held || !a.Over(now)
	}
	return held, nil
}

// checkRecords sets a hold on all deletions of unrecorded files if the records
// are older than the files, and ends the hold after its time.
func checkRecords(tx *store.Tx, older bool) error {
	noted, err := tx.OrphanedNamespaces()
	if err != nil {
		return err
	}
	over := slices.ContainsFunc(noted, func(a slipway.OrphanedNamespace) bool {
		return a.Namespace == slipway.Everything && a.Over(tx.Now)
	})
	switch {
	case over:
		return tx.DropOrphanedNamespace(slipway.Everything)
	case older:
		return tx.AddOrphanedNamespace(slipway.Everything)
	}
	return nil
}

// warn logs an orphaned namespace or a hold on deletions, with the steps to
// take.
func (o *orphans) warn(a slipway.OrphanedNamespace, now time.Time) {
	until := slog.Time("until", a.Until().UTC())
	switch {
	case a.Namespace == slipway.Everything && !a.Over(now):
		o.log.Warn("slipway.db is not the database that this data folder was served with last. Until the time given here nothing expires, and nothing is deleted that no record names. "+
			"If there is a newer slipway.db, stop slipway and put that back. If this is the right one, do nothing.", until)
	case a.Namespace != slipway.Everything:
		o.log.Warn("No record names this namespace. It is deleted after the time given here. "+
			"If slipway.db is an older database or another one, stop slipway and put the right one back.", slog.String("namespace", a.Namespace), until)
	}
}

// deleteOrphans records orphaned namespaces, and deletes the ones whose time is
// over.
func (o *orphans) deleteOrphans(ctx context.Context) error {
	all, fresh, err := o.note(ctx)
	if err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	now := o.store.Now()
	for _, a := range fresh {
		o.warn(a, now)
	}
	paused, err := o.deletions.deletionPaused(ctx)
	if err != nil || paused {
		return err
	}
	for _, a := range all {
		if a.Namespace != slipway.Everything && a.Over(now) {
			err = errors.Join(err, o.deleteOrphan(ctx, a.Namespace))
		}
	}
	return err
}

// deleteOrphan deletes an orphaned namespace. No Deployment receives the name
// before the record of the orphan is dropped.
func (o *orphans) deleteOrphan(ctx context.Context, ns string) error {
	if err := errors.Join(o.bundles.DropNamespace(ns), o.cfg.Images.Drop(ctx, ns)); err != nil {
		return fmt.Errorf("delete the namespace %s: %w", ns, err)
	}
	o.log.Info("a namespace was deleted that no record named", slog.String("namespace", ns))
	return o.store.Update(ctx, func(tx *store.Tx) error { return tx.DropOrphanedNamespace(ns) })
}

// deletions deletes Deployments and packs, unless a lease or an older database
// forbids deletion.
type deletions struct {
	*base
	components  *components
	uploadFiles *uploadFiles
}

// deletionPaused reports whether only files made by this process may be deleted
// now: a backup is being written, or the records are older than the files.
func (e *deletions) deletionPaused(ctx context.Context) (paused bool, err error) {
	err = e.store.View(ctx, func(tx *store.Tx) (err error) {
		paused, err = deletionPausedIn(tx)
		return err
	})
	return paused, err
}

// deletionPausedIn is deletionPaused in a transaction.
func deletionPausedIn(tx *store.Tx) (bool, error) {
	leased, err := tx.Leased()
	if err != nil || leased {
		return leased, err
	}
	return tx.EverythingOrphaned()
}

// releaseEnded drops the records of a Deployment's unused packs, and returns
// the packs. A lease, or records older than the packs, delay the drop.
func (e *deletions) releaseEnded(tx *store.Tx, of slipway.DeploymentID) (unused []string, err error) {
	leased, err := tx.Leased()
	if err != nil {
		return nil, err
	}
	if leased {
		time.AfterFunc(store.LeaseLife, func() { e.wakers.wakeStage(of) })
		return nil, nil
	}
	if held, err := tx.EverythingOrphaned(); err != nil || held {
		return nil, err
	}
	return tx.DropUnusedPacks(of)
}

// waitLeases waits until nobody holds a lease. Later leases do not cover
// Deployments marked as deleted before.
func (e *deletions) waitLeases(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		leased := false
		err := e.store.View(ctx, func(tx *store.Tx) (err error) {
			leased, err = tx.Leased()
			return err
		})
		if err != nil || !leased {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// remove deletes all records and files of d, marked as deleted, and retries
// until success or the end of ctx.
func (e *deletions) remove(ctx context.Context, d slipway.Deployment) {
	for ctx.Err() == nil {
		err := e.removeOnce(ctx, d)
		if err == nil || ctx.Err() != nil {
			return
		}
		e.log.Error("remove", slog.String("deployment", d.Namespace), slog.Any("error", err))
		select {
		case <-ctx.Done():
		case <-time.After(retryAfter):
		}
	}
}

func (e *deletions) removeOnce(ctx context.Context, d slipway.Deployment) error {
	var uploads []store.Upload
	err := e.store.View(ctx, func(tx *store.Tx) (err error) {
		uploads, err = tx.UploadsOf(d.ID)
		return err
	})
	if err != nil {
		return err
	}
	for _, u := range uploads {
		e.uploadFiles.removeUpload(u.ID)
	}
	e.components.reports.forget(d.ID)
	if err := e.waitLeases(ctx); err != nil {
		return err
	}
	if err := durable.RemoveTree(e.MountDir(d)); err != nil {
		return fmt.Errorf("remove mount: %w", err)
	}
	if err := e.bundles.DropNamespace(d.Namespace); err != nil {
		return fmt.Errorf("remove bundles: %w", err)
	}
	if err := e.cfg.Images.Drop(ctx, d.Namespace); err != nil {
		return fmt.Errorf("remove images: %w", err)
	}
	e.uploadFiles.ledger.EndAll(d.ID)
	return e.store.Update(ctx, func(tx *store.Tx) error { return tx.RemoveDeployment(d.ID) })
}
