package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"slipway/internal/bundle"
	"slipway/internal/slipway"
	"slipway/store"
)

// Damage is something that is not as the records say.
type Damage struct {
	Deployment string            `json:"deployment,omitempty"` // its name
	Namespace  string            `json:"namespace,omitempty"`
	Path       string            `json:"path,omitempty"` // of the file in the data folder
	Problem    string            `json:"problem"`        // a sentence
	Versions   []slipway.Version `json:"versions,omitempty"`
	Deploys    []int             `json:"deploys,omitempty"`  // numbers of those that wait and rely on it
	Leftover   bool              `json:"leftover,omitempty"` // nothing is lost: no record names it
}

// FsckTotals says what was looked at.
type FsckTotals struct {
	Deployments int   `json:"deployments"`
	Versions    int   `json:"versions"`
	Packs       int   `json:"packs"`
	Contents    int   `json:"contents"`
	Images      int   `json:"images"` // in the portal's registry, that deploys need
	Bytes       int64 `json:"bytes"`  // of packs
	Damages     int   `json:"damages"`
	Leftovers   int   `json:"leftovers"`
}

const (
	// fsckContents is how many contents are kept in mind at a time: some
	// 100 bytes each. With more of them, the manifests are read repeatedly.
	fsckContents = 200_000

	// inFlight is how old a file must be that no record names: younger ones
	// may be about to get theirs.
	inFlight = time.Hour
)

// Fsck compares every manifest, pack and image of the data folder dir with the
// records and with its sums, and calls report with what is wrong. The engine may go on meanwhile: what
// was recorded later is left for the next time.
func Fsck(ctx context.Context, st *store.Store, bundles *bundle.Store, dir string, report func(Damage)) (FsckTotals, error) {
	f := &fsck{store: st, bundles: bundles, dir: dir, started: st.Now(), limit: fsckContents, tell: report}
	err := withLease(ctx, st, "fsck", f.run)
	return f.totals, err
}

// fsck is a check that is going on.
type fsck struct {
	ctx     context.Context
	store   *store.Store
	bundles *bundle.Store
	dir     string
	started time.Time
	limit   int
	tell    func(Damage)
	totals  FsckTotals
}

func (f *fsck) run(ctx context.Context) error {
	f.ctx = ctx
	damage, err := f.store.Damage(ctx)
	if err != nil {
		return err
	}
	for _, text := range damage {
		f.report(Damage{Path: databaseName, Problem: "The database is damaged: " + text + "."})
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

func (f *fsck) report(d Damage) {
	if d.Leftover {
		f.totals.Leftovers++
	} else {
		f.totals.Damages++
	}
	f.tell(d)
}

// deployment checks all of d, as many packs at a time as limit allows.
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

// current checks that the version that is wanted of d is kept.
func (f *fsck) current(d slipway.Deployment) error {
	if d.Version == "" {
		return nil
	}
	kept, err := f.retained(d, d.Version)
	if err != nil || kept {
		return err
	}
	now := d
	err = f.store.View(f.ctx, func(tx *store.Tx) (err error) {
		now, err = tx.LoadDeployment(d.ID)
		return err
	})
	if kind, _ := slipway.Explain(err); err != nil && kind == slipway.NotFound {
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

func (f *fsck) retained(d slipway.Deployment, v slipway.Version) (kept bool, err error) {
	err = f.store.View(f.ctx, func(tx *store.Tx) (err error) {
		kept, err = tx.Retained(d.ID, v)
		return err
	})
	return kept, err
}

func (f *fsck) recorded(d slipway.Deployment, pack string) (known bool, err error) {
	err = f.store.View(f.ctx, func(tx *store.Tx) (err error) {
		known, err = tx.HasPack(d.ID, pack)
		return err
	})
	return known, err
}

// leftovers reports the files that no record names. The portal removes them in
// the end.
func (f *fsck) leftovers() error {
	known := map[string]slipway.Deployment{}
	err := f.store.View(f.ctx, func(tx *store.Tx) error {
		all, err := tx.AllDeployments()
		for _, d := range all {
			known[d.Namespace] = d
		}
		return err
	})
	if err != nil {
		return err
	}
	gone, err := f.deleted()
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
		case !gone[ns]:
			f.report(Damage{Namespace: ns, Problem: "No record names this namespace.", Leftover: true})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deleted returns the namespaces that are being removed.
func (f *fsck) deleted() (map[string]bool, error) {
	gone := map[string]bool{}
	err := f.store.View(f.ctx, func(tx *store.Tx) error {
		all, err := tx.DeletedDeployments()
		for _, d := range all {
			gone[d.Namespace] = true
		}
		return err
	})
	return gone, err
}

func (f *fsck) leftoversOf(d slipway.Deployment) error {
	for p, err := range f.bundles.Packs(d.Namespace) {
		if err != nil {
			return err
		}
		known, err := f.recorded(d, p.SHA256)
		if err == nil && !known {
			err = f.leftover(named{of: d, pack: store.Pack{SHA256: p.SHA256}})
		}
		if err != nil {
			return err
		}
	}
	for v, err := range f.bundles.Manifests(d.Namespace) {
		if err != nil {
			return err
		}
		kept, err := f.retained(d, v)
		if err == nil && !kept {
			err = f.leftover(named{of: d, version: store.BundleVersion{Version: v}})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// leftover reports a file, unless it is new or gone.
func (f *fsck) leftover(n named) error {
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
