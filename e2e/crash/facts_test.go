package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"slipway/e2e/program"

	"slipway/internal/datadir"
	"slipway/internal/slipway"
	"slipway/store"
)

// facts are what the records say at a moment.
type facts struct {
	deployments []slipway.Deployment
	deploys     map[slipway.DeploymentID][]slipway.Deploy // by number
	switches    map[slipway.DeploymentID][]slipway.SwitchOrder
	waiting     map[slipway.DeploymentID]int // switches
	versions    map[slipway.DeploymentID][]store.BundleVersion
	packs       map[slipway.DeploymentID][]store.Pack
	uploads     []store.Upload
}

// many is more than there are of anything.
const many = 1_000_000

// factsOf reads everything of a store in one transaction.
func factsOf(ctx context.Context, st *store.Store) (f facts, err error) {
	f = facts{
		deploys: map[slipway.DeploymentID][]slipway.Deploy{}, switches: map[slipway.DeploymentID][]slipway.SwitchOrder{},
		waiting: map[slipway.DeploymentID]int{}, versions: map[slipway.DeploymentID][]store.BundleVersion{},
		packs: map[slipway.DeploymentID][]store.Pack{},
	}
	err = st.View(ctx, func(tx *store.Tx) (err error) {
		if f.deployments, err = tx.AllDeployments(); err != nil {
			return err
		}
		for _, d := range f.deployments {
			if err := f.read(tx, d.ID); err != nil {
				return err
			}
		}
		f.uploads, err = tx.Uploads()
		return err
	})
	return f, err
}

func (f facts) read(tx *store.Tx, of slipway.DeploymentID) (err error) {
	all, err := tx.Deploys(of, 0, many)
	if err != nil {
		return err
	}
	for i := len(all) - 1; i >= 0; i-- {
		f.deploys[of] = append(f.deploys[of], all[i])
	}
	if f.switches[of], err = tx.Switches(of, many); err != nil {
		return err
	}
	queue, err := tx.Queue(of)
	if err != nil {
		return err
	}
	for _, t := range queue {
		if t.Switch != nil {
			f.waiting[of]++
		}
	}
	if f.versions[of], err = tx.BundleVersions(of, 0, many); err != nil {
		return err
	}
	f.packs[of], err = tx.Packs(of)
	return err
}

// busy reports whether anything is on its way that goes on by itself.
func (f facts) busy() bool {
	for of, all := range f.deploys {
		for _, w := range all {
			if w.Status.Active() || w.Status == slipway.Initialized && goesOn(w) {
				return true
			}
		}
		if f.waiting[of] > 0 {
			return true
		}
	}
	return false
}

// goesOn reports whether w, of which not all is known, is being checked. An image
// is not before its deploy is finalized.
func goesOn(w slipway.Deploy) bool {
	if w.Kind.HasImage() {
		return w.Image == nil && w.Source != "" || w.WantsDAG && !w.UploadedAt.IsZero()
	}
	return !w.UploadedAt.IsZero()
}

// same reports whether nothing has expired since f was read.
func (f facts) same(now facts) bool {
	for of, all := range f.versions {
		if !slices.Equal(all, now.versions[of]) || !slices.Equal(f.packs[of], now.packs[of]) {
			return false
		}
	}
	return true
}

// afterKill returns the facts as a restart would find them, and what SQLite
// says of its file. It looks at a copy, to leave the recovery to the portal.
func afterKill(t testing.TB, data string) (facts, []string) {
	t.Helper()
	dir := t.TempDir()
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, datadir.Database)
	for _, suffix := range []string{"", "-wal"} {
		if err := program.CopyFile(filepath.Join(data, datadir.Database)+suffix, path+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	st, err := store.Attach(t.Context(), path)
	if err != nil {
		return facts{}, []string{fmt.Sprintf("the database cannot be opened: %v", err)}
	}
	defer st.Close()
	damage := program.Integrity(t, path)
	f, err := factsOf(t.Context(), st)
	if err != nil {
		damage = append(damage, err.Error())
	}
	return f, damage
}
