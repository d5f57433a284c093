package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"slipway/internal/bundle"
	"slipway/internal/datadir"
	"slipway/internal/slipway"
	"slipway/store"
)

// Damage is one difference between the records and the files.
type Damage struct {
	Deployment string            `json:"deployment,omitempty"` // name
	Namespace  string            `json:"namespace,omitempty"`
	Path       string            `json:"path,omitempty"` // relative to the data folder
	Problem    string            `json:"problem"`        // a sentence
	Versions   []slipway.Version `json:"versions,omitempty"`
	Deploys    []int             `json:"deploys,omitempty"`  // numbers of queued deploys in need of the file
	Leftover   bool              `json:"leftover,omitempty"` // an unrecorded file; nothing is lost
}

// FsckTotals counts the checked objects.
type FsckTotals struct {
	Deployments int   `json:"deployments"`
	Versions    int   `json:"versions"`
	Packs       int   `json:"packs"`
	Contents    int   `json:"contents"`
	Images      int   `json:"images"` // images of deploys in the portal's registry
	Bytes       int64 `json:"bytes"`  // of packs
	Damages     int   `json:"damages"`
	Leftovers   int   `json:"leftovers"`
}

const (
	// fsckContents limits the contents held in memory, at about 100 bytes each.
	// Above the limit, manifests are read repeatedly.
	fsckContents = 200_000

	// inFlight is the age from which an unrecorded file is a leftover: the
	// record of a younger file may follow.
	inFlight = time.Hour
)

// Fsck is a check of a data folder against its database.
type Fsck struct {
	Store    *store.Store
	Bundles  *bundle.Store
	Dir      string       // the data folder
	Contents int          // held in memory at a time; 0 for the default
	Report   func(Damage) // called for each damage, in one goroutine
}

// Run compares every manifest, pack and image with the database and with its
// checksum. An engine may run meanwhile, in any process: Run ignores records
// newer than its start.
func (c Fsck) Run(ctx context.Context) (FsckTotals, error) {
	f := &fsck{store: c.Store, bundles: c.Bundles, dir: c.Dir, started: c.Store.Now(), limit: cmp.Or(c.Contents, fsckContents), damaged: c.Report}
	err := withLease(ctx, c.Store, "fsck", f.run)
	return f.totals, err
}

// fsck is a check in progress.
type fsck struct {
	ctx     context.Context
	store   *store.Store
	bundles *bundle.Store
	dir     string
	started time.Time
	limit   int // of contents in memory
	damaged func(Damage)
	totals  FsckTotals
}

// run checks the database, then the files of each Deployment, then images, and
// last unrecorded files.
func (f *fsck) run(ctx context.Context) error {
	f.ctx = ctx
	damage, err := f.store.Damage(ctx)
	if err != nil {
		return err
	}
	for _, text := range damage {
		f.report(Damage{Path: datadir.Database, Problem: "The database is damaged: " + text + "."})
	}
	all, err := deploymentsOf(ctx, f.store)
	if err != nil {
		return err
	}
	for _, d := range all {
		f.totals.Deployments++
		if err := f.deployment(d); err != nil {
			return fmt.Errorf("check %s: %w", d.Namespace, err)
		}
	}
	if err := f.images(); err != nil {
		return fmt.Errorf("check images: %w", err)
	}
	return f.leftovers()
}

// report counts a damage and passes the damage on.
func (f *fsck) report(d Damage) {
	if d.Leftover {
		f.totals.Leftovers++
	} else {
		f.totals.Damages++
	}
	f.damaged(d)
}

// deployment checks one Deployment, in batches of packs below the limit.
func (f *fsck) deployment(d slipway.Deployment) error {
	b := f.newBatch(d)
	b.first = true
	for p, err := range packsIn(f.ctx, f.store, d.ID, f.started) {
		if err == nil {
			err = b.pack(p)
		}
		if err != nil {
			return err
		}
		if len(b.places) < f.limit {
			continue
		}
		if err := b.finish(); err != nil {
			return err
		}
		b = f.newBatch(d)
	}
	if err := b.finish(); err != nil {
		return err
	}
	return f.current(d)
}

// current checks for a record of d's desired version.
func (f *fsck) current(d slipway.Deployment) error {
	if d.Version == "" {
		return nil
	}
	ok, err := f.retained(d, d.Version)
	if err != nil || ok {
		return err
	}
	now := d
	err = f.store.View(f.ctx, func(tx *store.Tx) (err error) {
		now, err = tx.LoadDeployment(d.ID)
		return err
	})
	if errors.Is(err, slipway.ErrNotFound) {
		return nil // deleted meanwhile
	}
	if err == nil && now.Version == d.Version {
		f.report(Damage{
			Deployment: d.Name, Namespace: d.Namespace, Versions: []slipway.Version{d.Version},
			Problem: "The version that is wanted now has no record.",
		})
	}
	return err
}

// retained reports whether version v of d is recorded.
func (f *fsck) retained(d slipway.Deployment, v slipway.Version) (ok bool, err error) {
	err = f.store.View(f.ctx, func(tx *store.Tx) (err error) {
		ok, err = tx.Retained(d.ID, v)
		return err
	})
	return ok, err
}

// recorded reports whether a pack of d is recorded, by sha256.
func (f *fsck) recorded(d slipway.Deployment, pack string) (known bool, err error) {
	err = f.store.View(f.ctx, func(tx *store.Tx) (err error) {
		known, err = tx.HasPack(d.ID, pack)
		return err
	})
	return known, err
}

// leftovers reports unrecorded files. A running portal removes leftovers.
func (f *fsck) leftovers() error {
	known := map[string]slipway.Deployment{}
	err := f.store.View(f.ctx, func(tx *store.Tx) error {
		all, err := tx.AllDeployments()
		if err != nil {
			return err
		}
		for _, d := range all {
			known[d.Namespace] = d
		}
		return nil
	})
	if err != nil {
		return err
	}
	deleted, err := f.deleted()
	if err != nil {
		return err
	}
	for ns, err := range f.bundles.Namespaces() {
		if err != nil {
			return err
		}
		d, ok := known[ns]
		switch {
		case ok:
			err = f.leftoversOf(d)
		case !deleted[ns]:
			f.report(Damage{Namespace: ns, Problem: "No record names this namespace.", Leftover: true})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deleted returns the namespaces of Deployments in removal.
func (f *fsck) deleted() (map[string]bool, error) {
	namespaces := map[string]bool{}
	err := f.store.View(f.ctx, func(tx *store.Tx) error {
		all, err := tx.DeletedDeployments()
		if err != nil {
			return err
		}
		for _, d := range all {
			namespaces[d.Namespace] = true
		}
		return nil
	})
	return namespaces, err
}

// leftoversOf reports the unrecorded packs and manifests of a Deployment.
func (f *fsck) leftoversOf(d slipway.Deployment) error {
	for p, err := range f.bundles.Packs(d.Namespace) {
		if err != nil {
			return err
		}
		known, err := f.recorded(d, p.SHA256)
		if err == nil && !known {
			err = f.leftover(storedFile{of: d, pack: store.Pack{SHA256: p.SHA256}})
		}
		if err != nil {
			return err
		}
	}
	for v, err := range f.bundles.Manifests(d.Namespace) {
		if err != nil {
			return err
		}
		ok, err := f.retained(d, v)
		if err == nil && !ok {
			err = f.leftover(storedFile{of: d, version: store.BundleVersion{Version: v}})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// leftover reports an unrecorded file, unless the file is young or removed.
func (f *fsck) leftover(n storedFile) error {
	file, err := n.open(f.bundles)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && f.started.Sub(info.ModTime()) >= inFlight {
		f.report(Damage{Deployment: n.of.Name, Namespace: n.of.Namespace, Path: n.path(), Problem: "No record names it.", Leftover: true})
	}
	return err
}
