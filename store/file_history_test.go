package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

func TestFileHistory(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	sum := strings.Repeat("ab", 32)
	storetest.Update(t, st, func(tx *store.Tx) error {
		for _, changes := range [][]slipway.Change{
			{{Op: slipway.Added, Path: "a.py", New: slipway.File{Path: "a.py", SHA256: sum}}, {Op: slipway.Added, Path: "a.py2", New: slipway.File{Path: "a.py2", SHA256: sum}}},
			{{Op: slipway.Changed, Path: "b.py", Old: slipway.File{Path: "b.py", SHA256: sum}, New: slipway.File{Path: "b.py", SHA256: sum, Exec: true}}},
			{{Op: slipway.Changed, Path: "a.py", New: slipway.File{Path: "a.py", Link: "b.py"}}},
			{{Op: slipway.Removed, Path: "a.py"}},
			nil,
		} {
			d, err := tx.AddDeploy(slipway.Deploy{Deployment: w.Sales.ID, Kind: slipway.DAGOnly, Status: slipway.Staged, By: w.Eve, Fix: "a.py"})
			if err != nil {
				return err
			}
			if err := tx.AddChanges(d, changes); err != nil {
				return err
			}
		}
		return nil
	})
	for name, tt := range map[string]struct {
		read func(*store.Tx) ([]store.FileStep, error)
		want string
	}{
		"all":         {func(tx *store.Tx) ([]store.FileStep, error) { return tx.FileHistory(w.Sales.ID, "a.py", 0, 9) }, "4 removed, 3 changed 120000, 1 added ab 100644"},
		"limited":     {func(tx *store.Tx) ([]store.FileStep, error) { return tx.FileHistory(w.Sales.ID, "a.py", 0, 2) }, "4 removed, 3 changed 120000"},
		"before":      {func(tx *store.Tx) ([]store.FileStep, error) { return tx.FileHistory(w.Sales.ID, "a.py", 3, 9) }, "1 added ab 100644"},
		"after":       {func(tx *store.Tx) ([]store.FileStep, error) { return tx.FileHistoryAfter(w.Sales.ID, "a.py", 1, 1) }, "3 changed 120000"},
		"all after":   {func(tx *store.Tx) ([]store.FileStep, error) { return tx.FileHistoryAfter(w.Sales.ID, "a.py", 1, 9) }, "4 removed, 3 changed 120000"},
		"another":     {func(tx *store.Tx) ([]store.FileStep, error) { return tx.FileHistory(w.Sales.ID, "b.py", 0, 9) }, "2 changed ab 100644 100755"},
		"unknown":     {func(tx *store.Tx) ([]store.FileStep, error) { return tx.FileHistory(w.Sales.ID, "a", 0, 9) }, ""},
		"elsewhere":   {func(tx *store.Tx) ([]store.FileStep, error) { return tx.FileHistory("other", "a.py", 0, 9) }, ""},
		"one":         {func(tx *store.Tx) ([]store.FileStep, error) { return oneStep(tx.FileStep(w.Sales.ID, "a.py", 3)) }, "3 changed 120000"},
		"none of two": {func(tx *store.Tx) ([]store.FileStep, error) { return oneStep(tx.FileStep(w.Sales.ID, "a.py", 2)) }, "There is none: Deploy #2 did nothing to the file \"a.py\"."},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			storetest.View(t, st, func(tx *store.Tx) error {
				steps, err := tt.read(tx)
				if err != nil {
					got = append(got, "There is none: "+err.Error())
				}
				for _, s := range steps {
					if s.Deploy.By.User != w.Eve.User || s.Deploy.Fix != "a.py" {
						t.Errorf("deploy %+v", s.Deploy)
					}
					got = append(got, strings.Join(strings.Fields(fmt.Sprintf("%d %s %.2s %s %s", s.Deploy.Number, s.Op, s.SHA256, s.OldMode, s.Mode)), " "))
				}
				return nil
			})
			if all := strings.Join(got, ", "); all != tt.want {
				t.Errorf("%s, want %s", all, tt.want)
			}
		})
	}
}

func oneStep(s store.FileStep, err error) ([]store.FileStep, error) {
	if err != nil {
		return nil, err
	}
	return []store.FileStep{s}, nil
}

// BenchmarkFileHistory reads the history of a file that every other deploy
// changed, of one that few did, and a page far back in it. Each pair of results
// should differ by a fifth at most:
//
//	go test ./store -run '^$' -bench FileHistory
func BenchmarkFileHistory(b *testing.B) {
	type world struct {
		*store.Store
		of      slipway.DeploymentID
		deploys int
	}
	var worlds []world
	for _, size := range []struct{ deploys, files int }{{1000, 100}, {1_000_000, 100_000}} {
		st, of := longPast(b, size.deploys)
		fillChanges(b, st, of, size.deploys, size.files)
		worlds = append(worlds, world{st, of, size.deploys})
	}
	for name, read := range map[string]func(*store.Tx, world) ([]store.FileStep, error){
		"often": func(tx *store.Tx, w world) ([]store.FileStep, error) { return tx.FileHistory(w.of, "often.py", 0, 51) },
		"seldom": func(tx *store.Tx, w world) ([]store.FileStep, error) {
			return tx.FileHistory(w.of, "folder/file_7.py", 0, 51)
		},
		"far back": func(tx *store.Tx, w world) ([]store.FileStep, error) {
			return tx.FileHistory(w.of, "often.py", w.deploys/2, 51)
		},
		"newer": func(tx *store.Tx, w world) ([]store.FileStep, error) {
			return tx.FileHistoryAfter(w.of, "often.py", w.deploys/2, 50)
		},
	} {
		for _, w := range worlds {
			b.Run(fmt.Sprintf("%s/%d", name, w.deploys), func(b *testing.B) {
				readAgain(b, w.Store, func(tx *store.Tx) ([]store.FileStep, error) { return read(tx, w) })
			})
		}
	}
}

func readAgain(b *testing.B, st *store.Store, read func(*store.Tx) ([]store.FileStep, error)) {
	n := 0
	for b.Loop() {
		err := st.View(b.Context(), func(tx *store.Tx) error {
			steps, err := read(tx)
			n = len(steps)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n), "rows")
}

// fillChanges has every other deploy change one file, and the others take
// turns with the rest.
func fillChanges(b *testing.B, st *store.Store, of slipway.DeploymentID, deploys, files int) {
	b.Helper()
	for part := range slices.Chunk(slices.Collect(upTo(deploys)), 50_000) {
		err := st.Update(context.Background(), func(tx *store.Tx) error {
			for _, n := range part {
				path := "often.py"
				if n%2 == 0 {
					path = fmt.Sprintf("folder/file_%d.py", n/2%files)
				}
				c := slipway.Change{Op: slipway.Changed, Path: path, New: slipway.File{Path: path, SHA256: fmt.Sprintf("%064x", n)}}
				if err := tx.AddChanges(slipway.Deploy{Deployment: of, Number: n}, []slipway.Change{c}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func upTo(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := 1; i <= n && yield(i); i++ {
		}
	}
}
