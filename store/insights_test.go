package store_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"slipway/internal/insights"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// course makes deploys by chance, as the engine records them.
type course struct {
	t      *testing.T
	st     *store.Store
	random *rand.Rand
	now    time.Time
	of     []slipway.DeploymentID
	by     []slipway.Actor
}

func newCourse(t *testing.T, st *store.Store, seed uint64) *course {
	t.Helper()
	w := storetest.Seed(t, st)
	c := &course{t: t, st: st, random: rand.New(rand.NewPCG(seed, 1)), now: time.Date(2026, 1, 30, 12, 0, 0, 0, time.UTC)}
	c.of = []slipway.DeploymentID{w.Sales.ID}
	storetest.Update(t, st, func(tx *store.Tx) error {
		d, err := storetest.AddDeployment(tx, w.Other.ID, "second")
		c.of = append(c.of, d.ID)
		return err
	})
	c.by = []slipway.Actor{w.Eve, w.Ada, {User: w.Ada.User, Token: "01ci", Name: "ci"}}
	st.Now = func() time.Time { return c.now }
	return c
}

// update runs fn some time later.
func (c *course) update(fn func(tx *store.Tx) error) {
	c.t.Helper()
	c.now = c.now.Add(time.Duration(c.random.IntN(3*3600*1000)) * time.Millisecond)
	storetest.Update(c.t, c.st, fn)
}

// deploys returns all deploys of a Deployment, oldest first.
func (c *course) deploys(of slipway.DeploymentID) (all []slipway.Deploy) {
	c.t.Helper()
	storetest.View(c.t, c.st, func(tx *store.Tx) (err error) {
		all, err = tx.Deploys(of, 0, 1<<20)
		return err
	})
	slices.Reverse(all)
	return all
}

// step moves one deploy, or makes a new one.
func (c *course) step() {
	c.t.Helper()
	of := c.of[c.random.IntN(len(c.of))]
	all := c.deploys(of)
	open := slices.DeleteFunc(slices.Clone(all), func(w slipway.Deploy) bool { return w.Status.Ended() })
	if len(open) > 3 || len(open) > 0 && c.random.IntN(3) > 0 {
		w := open[c.random.IntN(len(open))]
		if w.Status != slipway.Queued || !slices.ContainsFunc(open, func(o slipway.Deploy) bool {
			return o.Status == slipway.Deploying || o.Status == slipway.Queued && o.Position < w.Position
		}) {
			c.move(w)
		}
		return
	}
	w := slipway.Deploy{Deployment: of, Kind: []slipway.DeployKind{slipway.DAGOnly, slipway.ImageOnly}[c.random.IntN(2)], By: c.by[c.random.IntN(len(c.by))], Status: slipway.Initialized}
	live := slices.DeleteFunc(all, func(w slipway.Deploy) bool { return !w.WentLive() })
	if len(live) > 2 && c.random.IntN(4) == 0 {
		w.ReturnTo, w.Status = live[len(live)-2-c.random.IntN(min(len(live)-1, 6))].Number, slipway.Queued
	}
	c.update(func(tx *store.Tx) error {
		_, err := tx.AddDeploy(w)
		return err
	})
}

// move takes a deploy to a next status.
func (c *course) move(w slipway.Deploy) {
	c.t.Helper()
	bad := c.random.IntN(4) == 0
	c.update(func(tx *store.Tx) (err error) {
		switch {
		case w.Status == slipway.Deploying && !w.WentLive():
			if bad {
				w.Status = slipway.Failed
				break
			}
			w.StoredAt, w.LiveAt = tx.Now.Add(-time.Second), tx.Now
			if w, err = tx.SaveDeploy(w); err == nil && w.ReturnTo > 0 {
				err = tx.Undo(w.Deployment, w.ReturnTo, w.Number)
			}
			return err
		case bad && w.Status != slipway.Deploying:
			w.Status = []slipway.Status{slipway.Failed, slipway.Cancelled}[c.random.IntN(2)]
		case w.Status == slipway.Initialized:
			w.Status, w.UploadedAt, w.Counts = slipway.Staged, tx.Now, slipway.Counts{NewBytes: c.random.Int64N(1e6)}
		case w.Status == slipway.Staged:
			w.Status = slipway.Queued
			_, err = tx.Enqueue(w)
			return err
		case w.Status == slipway.Queued:
			w.Status = slipway.Deploying
		case bad:
			w.Status = slipway.Failed
		default:
			w.Status = slipway.Deployed
		}
		_, err = tx.SaveDeploy(w)
		return err
	})
}

// countAll counts all that is to be counted.
func countAll(t *testing.T, st *store.Store) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = st.CountInsights(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	storetest.View(t, st, func(tx *store.Tx) error {
		if old, fresh, err := tx.InsightsUncounted(store.InsightScope{}); err != nil || old+fresh > 0 {
			t.Errorf("%d old and %d changed deploys are left: %v", old, fresh, err)
		}
		return nil
	})
}

// kept are the sums that the store keeps, by Deployment, day and kind.
func kept(t *testing.T, st *store.Store) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	storetest.View(t, st, func(tx *store.Tx) error {
		return tx.InsightSums(store.InsightScope{}, 0, 1<<20, func(d slipway.DeploymentID, day int, kind slipway.DeployKind, encoded []byte) error {
			all[fmt.Sprint(d, day, kind)] = bytes.Clone(encoded)
			return nil
		})
	})
	return all
}

// counted are the sums of the whole history, deploy by deploy.
func (c *course) counted() map[string][]byte {
	c.t.Helper()
	sums := map[string]*insights.Sums{}
	for _, of := range c.of {
		all := c.deploys(of)
		for _, w := range all {
			var before []slipway.Deploy
			next, nextAt := 0, int64(1<<40)
			for _, o := range all {
				if o.WentLive() && w.WentLive() && o.Position < w.Position {
					before = append(before, o)
				}
				if o.WentLive() && w.WentLive() && o.Position > w.Position && o.Position < nextAt {
					next, nextAt = o.Number, o.Position
				}
			}
			slices.SortFunc(before, func(a, b slipway.Deploy) int { return int(b.Position - a.Position) })
			var run []insights.Before
			for _, o := range before {
				run = append(run, insights.Before{Number: o.Number, UndoneBy: o.UndoneBy, Status: o.Status, LiveAt: o.LiveAt})
			}
			weight := insights.WeightOf(w, run, next)
			if !weight.Counts() {
				continue
			}
			key := fmt.Sprint(of, weight.Day, weight.Kind)
			if sums[key] == nil {
				sums[key] = &insights.Sums{}
			}
			sums[key].Add(weight)
		}
	}
	encoded := map[string][]byte{}
	for key, s := range sums {
		encoded[key] = s.Encode()
	}
	return encoded
}

// sameSums compares what the store keeps with the whole history, counted again.
func (c *course) sameSums(when string) {
	c.t.Helper()
	got, want := kept(c.t, c.st), c.counted()
	for key, w := range want {
		if !bytes.Equal(got[key], w) {
			c.t.Fatalf("%s: the sums of %s are % x, and the history gives % x", when, key, got[key], w)
		}
	}
	if len(got) != len(want) {
		c.t.Fatalf("%s: there are sums of %d days and kinds, and the history gives %d", when, len(got), len(want))
	}
}

// After any events the sums are those that counting the whole history gives,
// whenever deploys were counted in between.
func TestInsightsEqualTheHistory(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			c := newCourse(t, storetest.Open(t), seed)
			for i := range 400 {
				c.step()
				if c.random.IntN(5) == 0 {
					if _, err := c.st.CountInsights(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if i%100 == 99 {
					countAll(t, c.st)
					c.sameSums(fmt.Sprintf("after %d events", i+1))
				}
			}
			var total insights.Sums
			for _, b := range kept(t, c.st) {
				if err := total.MergeEncoded(b); err != nil {
					t.Fatal(err)
				}
			}
			if total.Live+total.Undone < 10 || total.Undone < 2 || total.Failed < 10 || total.Restored.Count() < 2 || len(total.By) != len(c.by) {
				t.Errorf("these events prove little: %+v, %d restored, by %d", total.Outcomes, total.Restored.Count(), len(total.By))
			}
		})
	}
}

// A database of before the sums were kept is counted after the migration, while
// deploys go on.
func TestInsightsOfAnOldDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slipway.db")
	st := storetest.OpenAt(t, path)
	c := newCourse(t, st, 99)
	for range 1200 {
		c.step()
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	before(t, path)
	c.st = storetest.OpenAt(t, path)
	c.st.Now = func() time.Time { return c.now }
	if n := len(kept(t, c.st)); n > 0 {
		t.Fatalf("the migration itself counted %d days", n)
	}
	storetest.View(t, c.st, func(tx *store.Tx) error {
		old, _, err := tx.InsightsUncounted(store.InsightScope{Deployment: c.of[0]})
		if want := len(c.deploys(c.of[0])); err != nil || old != want {
			t.Errorf("%d deploys are to be counted, want %d: %v", old, want, err)
		}
		return nil
	})
	for range 6 { // batches, between events
		if _, err := c.st.CountInsights(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			c.step()
		}
	}
	countAll(t, c.st)
	c.sameSums("afterwards")
}

var (
	addedIndex  = regexp.MustCompile(`(?m)^CREATE INDEX (\w+)`)
	addedColumn = regexp.MustCompile(`(?m)^ALTER TABLE (\w+) ADD COLUMN (\w+)`)
)

// before takes the sums out of a database, as it was before their migration, and what
// later ones added.
func before(t *testing.T, path string) {
	t.Helper()
	var later []string
	files, err := filepath.Glob(filepath.Join("migrations", "*.sql"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(name) < "00022" {
			continue
		}
		for _, m := range addedIndex.FindAllStringSubmatch(string(text), -1) {
			later = append(later, "DROP INDEX "+m[1])
		}
		for _, m := range addedColumn.FindAllStringSubmatch(string(text), -1) {
			later = append(later, "ALTER TABLE "+m[1]+" DROP COLUMN "+m[2])
		}
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range append(later,
		`DROP TRIGGER deploys_count`, `DROP TRIGGER deploys_count_again`,
		`DROP TABLE insights`, `DROP TABLE insights_counted`, `DROP TABLE insights_changed`, `DROP TABLE insights_fill`,
		`DELETE FROM goose_db_version WHERE version_id >= 21`,
	) {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// The sums of a Deployment go with it, and those of others stay.
func TestInsightsOfADeletedDeployment(t *testing.T) {
	c := newCourse(t, storetest.Open(t), 5)
	for range 300 {
		c.step()
	}
	countAll(t, c.st)
	c.update(func(tx *store.Tx) error { return tx.MarkDeleted(c.of[0]) })
	for key := range kept(t, c.st) {
		if key[:len(c.of[0])] == string(c.of[0]) {
			t.Fatalf("%s is in the sums of the installation although its Deployment is being deleted", key)
		}
	}
	c.update(func(tx *store.Tx) error { return tx.RemoveDeployment(c.of[0]) })
	c.of = c.of[1:]
	countAll(t, c.st)
	c.sameSums("without the Deployment")
}

// A scope has the sums of its Deployments alone, on the asked days.
func TestInsightScopes(t *testing.T) {
	st := storetest.Open(t)
	c := newCourse(t, st, 7)
	for range 300 {
		c.step()
	}
	countAll(t, st)
	var sales, other slipway.Deployment
	storetest.View(t, st, func(tx *store.Tx) (err error) {
		if sales, err = tx.LoadDeployment(c.of[0]); err == nil {
			other, err = tx.LoadDeployment(c.of[1])
		}
		return err
	})
	first := insights.Day(time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC))
	for name, tt := range map[string]struct {
		scope store.InsightScope
		want  []slipway.DeploymentID
	}{
		"Deployment":   {store.InsightScope{Deployment: sales.ID}, c.of[:1]},
		"Workspace":    {store.InsightScope{Workspace: other.Workspace}, c.of[1:]},
		"installation": {store.InsightScope{}, c.of},
	} {
		found := map[slipway.DeploymentID]bool{}
		storetest.View(t, st, func(tx *store.Tx) error {
			return tx.InsightSums(tt.scope, first, first+3, func(d slipway.DeploymentID, day int, _ slipway.DeployKind, _ []byte) error {
				found[d] = true
				if day < first || day > first+3 {
					t.Errorf("%s: day %d is not asked for", name, day)
				}
				return nil
			})
		})
		if len(found) != len(tt.want) || !found[tt.want[0]] {
			t.Errorf("%s: sums of %v, want those of %v", name, found, tt.want)
		}
		storetest.View(t, st, func(tx *store.Tx) error {
			names, err := tx.InsightNames(tt.scope)
			if err != nil || names["01ci"] != "token ci" || names[string(c.by[0].User)] != "Eve Author" {
				t.Errorf("%s: names %v, %v", name, names, err)
			}
			return nil
		})
	}
}
