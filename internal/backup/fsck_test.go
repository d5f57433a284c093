package backup_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/internal/backup"
	"slipway/internal/bundle"
	"slipway/internal/deploy/deploytest"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// fsck checks a as another process does, while the engine runs.
func fsck(t *testing.T, a *deploytest.Installation) (all []backup.Damage, totals backup.FsckTotals) {
	t.Helper()
	totals, err := backup.Fsck{Store: a.Store, Bundles: bundle.Attach(a.Dir), Dir: a.Dir, Report: func(d backup.Damage) { all = append(all, d) }}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var again []backup.Damage
	inRounds, err := backup.Fsck{Store: a.Store, Bundles: bundle.Attach(a.Dir), Dir: a.Dir, Contents: 1, Report: func(d backup.Damage) { again = append(again, d) }}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if inRounds.Damages != totals.Damages || len(again) != len(all) {
		t.Errorf("in rounds: %+v, %+v; want %+v, %+v", again, inRounds, all, totals)
	}
	storetest.View(t, a.Store, func(tx *store.Tx) error {
		if leased, err := tx.Leased(); err != nil || leased {
			t.Errorf("leased after the check: %v, %v", leased, err)
		}
		return nil
	})
	return all, totals
}

// threeVersions deploys one version of two files and two that each change one
// of them; a fourth deploy waits to be confirmed.
func threeVersions(t *testing.T) (a *deploytest.Installation, v [3]slipway.Version, packs [3]string) {
	t.Helper()
	a = deploytest.Running(t)
	for i, files := range []map[string]string{
		{"dags/a.py": deploytest.DAG("a1"), "dags/b.py": deploytest.DAG("b1")}, {"a.py": deploytest.DAG("a2")}, {"b.py": deploytest.DAG("b3")},
	} {
		before := a.Packs(t)
		merge := slipway.AddFiles
		if i == 0 {
			merge = slipway.ReplaceAll
		}
		v[i] = a.Deployed(t, merge, files).Version
		for _, name := range a.Packs(t) {
			if !slices.Contains(before, name) {
				packs[i] = name
			}
		}
	}
	return a, v, packs
}

func TestFsckOfASoundFolder(t *testing.T) {
	a, _, _ := threeVersions(t)
	a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{"c.py": deploytest.DAG("c")})

	all, totals := fsck(t, a)

	if len(all) != 0 {
		t.Errorf("damages %+v, want none", all)
	}
	totals.Bytes = 0
	if want := (backup.FsckTotals{Deployments: 1, Versions: 3, Packs: 4, Contents: 5}); totals != want {
		t.Errorf("totals %+v, want %+v", totals, want)
	}
}

func TestFsckFindsDamage(t *testing.T) {
	for name, tt := range map[string]struct {
		harm     func(t *testing.T, a *deploytest.Installation, v [3]slipway.Version, packs [3]string)
		says     []string // one for each damage
		versions []int    // that are affected, by index
		deploys  []int
		leftover bool
	}{
		"flipped byte in a pack of the first": {
			harm: func(t *testing.T, a *deploytest.Installation, _ [3]slipway.Version, packs [3]string) {
				flip(t, a.Pack(packs[0]), 100)
			},
			says: []string{"The pack is damaged: its SHA-256 is "}, versions: []int{0, 1},
		},
		"flipped byte in a pack of the last": {
			harm: func(t *testing.T, a *deploytest.Installation, _ [3]slipway.Version, packs [3]string) {
				flip(t, a.Pack(packs[2]), -20)
			},
			says: []string{"The pack is damaged"}, versions: []int{2},
		},
		"pack missing": {
			harm: func(t *testing.T, a *deploytest.Installation, _ [3]slipway.Version, packs [3]string) {
				remove(t, a.Pack(packs[1]))
			},
			says: []string{"The pack is missing."}, versions: []int{1, 2},
		},
		"pack of a waiting deploy missing": {
			harm: func(t *testing.T, a *deploytest.Installation, _ [3]slipway.Version, packs [3]string) {
				for _, name := range a.Packs(t) {
					if !slices.Contains(packs[:], name) {
						remove(t, a.Pack(name))
					}
				}
			},
			says: []string{"The pack is missing."}, deploys: []int{4},
		},
		"manifest missing": {
			harm: func(t *testing.T, a *deploytest.Installation, v [3]slipway.Version, _ [3]string) {
				remove(t, a.Manifest(v[1]))
			},
			says: []string{"The manifest is missing."}, versions: []int{1},
		},
		"flipped byte in a manifest": {
			harm: func(t *testing.T, a *deploytest.Installation, v [3]slipway.Version, _ [3]string) {
				flip(t, a.Manifest(v[0]), 30)
			},
			says: []string{"The manifest is damaged: "}, versions: []int{0},
		},
		"manifest of another version": {
			harm: func(t *testing.T, a *deploytest.Installation, v [3]slipway.Version, _ [3]string) {
				b, err := os.ReadFile(a.Manifest(v[0]))
				if err == nil {
					err = os.WriteFile(a.Manifest(v[2]), b, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			},
			says: []string{"The manifest is damaged: "}, versions: []int{2},
		},
		"claim lost": {
			harm: func(t *testing.T, a *deploytest.Installation, v [3]slipway.Version, _ [3]string) {
				storetest.Update(t, a.Store, func(tx *store.Tx) error {
					w, err := tx.Deploy(a.Sales.ID, 3)
					if err != nil {
						return err
					}
					failed := w
					failed.Status, failed.LiveAt = slipway.Failed, time.Time{}
					if _, err := tx.SaveDeploy(failed); err != nil { // which gives its claims back
						return err
					}
					_, err = tx.SaveDeploy(w)
					return err
				})
			},
			says: []string{"It relies on 2 packs that it has not claimed"}, versions: []int{2},
		},
		"record of the current version lost": {
			harm: func(t *testing.T, a *deploytest.Installation, v [3]slipway.Version, _ [3]string) {
				storetest.Update(t, a.Store, func(tx *store.Tx) error { return tx.DropVersion(a.Sales.ID, v[2]) })
			},
			says: []string{"The version that is wanted now has no record."}, versions: []int{2},
		},
		"pack that no record names": {
			harm: func(t *testing.T, a *deploytest.Installation, _ [3]slipway.Version, packs [3]string) {
				old := a.Pack(strings.Repeat("a", 64) + ".tar.zst")
				if err := os.WriteFile(old, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				ageFile(t, old)
			},
			says: []string{"No record names it."}, leftover: true,
		},
		"file that is about to be recorded": {
			harm: func(t *testing.T, a *deploytest.Installation, _ [3]slipway.Version, packs [3]string) {
				young := a.Pack(strings.Repeat("a", 64) + ".tar.zst")
				if err := os.WriteFile(young, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, v, packs := threeVersions(t)
			a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{"c.py": deploytest.DAG("c")})
			a.Stop()
			tt.harm(t, a, v, packs)

			all, totals := fsck(t, a)

			if len(all) != len(tt.says) {
				t.Fatalf("damages %+v, want %q", all, tt.says)
			}
			for i, d := range all {
				var want []slipway.Version
				for _, n := range tt.versions {
					want = append(want, v[n])
				}
				if !strings.Contains(d.Problem, tt.says[i]) || !slices.Equal(d.Versions, want) || !slices.Equal(d.Deploys, tt.deploys) || d.Leftover != tt.leftover {
					t.Errorf("damage %+v, want %q of %v, deploys %v", d, tt.says[i], want, tt.deploys)
				}
				if d.Deployment != "sales-prod" || d.Namespace != a.Sales.Namespace {
					t.Errorf("damage is of %q, %q", d.Deployment, d.Namespace)
				}
			}
			if leftovers := totals.Leftovers == 1; leftovers != tt.leftover || totals.Damages+totals.Leftovers != len(tt.says) {
				t.Errorf("totals %+v", totals)
			}
		})
	}
}

// Beside an engine that deploys all the time, nothing is taken for damage.
func TestFsckBesideDeploys(t *testing.T) {
	a, _, _ := threeVersions(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 12 {
			all, _ := fsck(t, a)
			if len(all) > 0 {
				t.Errorf("damages %+v, want none", all)
			}
		}
	}()
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		default:
		}
		w := a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{"c.py": deploytest.DAG(strings.Repeat("c", i))})
		if i%3 == 0 {
			if _, err := a.Engine.Cancel(t.Context(), a.Sales.ID, w.Number, a.Eve); err != nil {
				t.Fatal(err)
			}
			continue
		}
		a.Confirm(t, w.Number, a.Eve)
	}
}

// flip turns the bits of a byte of a file, counted from its end if negative.
func flip(t *testing.T, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 0xff
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func ageFile(t *testing.T, path string) {
	t.Helper()
	then := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
}
