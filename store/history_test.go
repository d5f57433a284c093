package store_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// past is a Deployment with four deploys, and another that must never be found.
type past struct {
	storetest.World
	st    *store.Store
	token slipway.Actor
	start time.Time
}

func newPast(t *testing.T) past {
	t.Helper()
	p := past{st: storetest.Open(t), start: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)}
	p.World = storetest.Seed(t, p.st)
	p.token = slipway.Actor{User: p.Ada.User, Token: "01tokenci", Name: "ci-sales", Via: slipway.API}
	var other slipway.Deployment
	storetest.Update(t, p.st, func(tx *store.Tx) (err error) {
		other, err = storetest.AddDeployment(tx, p.Workspace.ID, "other")
		return err
	})
	p.add(t, p.Sales.ID, 0, slipway.Deploy{By: p.Eve, Description: "Add monitor_weather", Upload: "dags.tar.gz", Git: slipway.Git{Commit: "fa047fe1234567890", Branch: "main"}})
	p.add(t, other.ID, 0, slipway.Deploy{By: p.Eve, Description: "Add monitor_weather", Git: slipway.Git{Commit: "fa047fe1234567890"}})
	p.add(t, p.Sales.ID, 24, slipway.Deploy{By: p.token, Description: "Nightly café sync 1", Git: slipway.Git{Commit: "fa047fe1999999990"}})
	p.add(t, p.Sales.ID, 48, slipway.Deploy{By: p.Eve, Kind: slipway.ImageOnly, Description: "Runtime ¤kDAGONLY"})
	p.add(t, p.Sales.ID, 72, slipway.Deploy{By: p.token, Status: slipway.Failed, Reason: "“dags/data” links outside the archive."})
	return p
}

// add records a deploy that many hours after the start.
func (p past) add(t *testing.T, of slipway.DeploymentID, hours int, w slipway.Deploy) {
	t.Helper()
	p.st.Now = func() time.Time { return p.start.Add(time.Duration(hours) * time.Hour) }
	w.Deployment = of
	if w.Kind == "" {
		w.Kind = slipway.DAGOnly
	}
	end := w.Status
	w.Status = slipway.Initialized
	storetest.Update(t, p.st, func(tx *store.Tx) (err error) {
		if w, err = tx.AddDeploy(w); err != nil {
			return err
		}
		if w.Status = slipway.Deployed; end != "" {
			w.Status = end
		}
		if w.Status == slipway.Deployed {
			w.LiveAt = tx.Now
			if w, err = tx.Enqueue(w); err != nil {
				return err
			}
		}
		_, err = tx.SaveDeploy(w)
		return err
	})
}

func numbers(all []slipway.Deploy) (list []int) {
	for _, w := range all {
		list = append(list, w.Number)
	}
	return list
}

func TestFindDeploys(t *testing.T) {
	p := newPast(t)
	for name, tt := range map[string]struct {
		f    store.DeployFilter
		want []int
	}{
		"all":                      {store.DeployFilter{}, []int{4, 3, 2, 1}},
		"kind":                     {store.DeployFilter{Kind: slipway.ImageOnly}, []int{3}},
		"status":                   {store.DeployFilter{Status: slipway.Failed}, []int{4}},
		"status as it was":         {store.DeployFilter{Status: slipway.Initialized}, nil},
		"person":                   {store.DeployFilter{By: string(p.Eve.User)}, []int{3, 1}},
		"token":                    {store.DeployFilter{By: string(p.token.Token)}, []int{4, 2}},
		"who a token belongs to":   {store.DeployFilter{By: string(p.Ada.User)}, nil},
		"not an id":                {store.DeployFilter{By: `x" OR "y`}, nil},
		"kind and person":          {store.DeployFilter{Kind: slipway.DAGOnly, By: string(p.Eve.User)}, []int{1}},
		"all three":                {store.DeployFilter{Kind: slipway.DAGOnly, Status: slipway.Failed, By: string(p.token.Token)}, []int{4}},
		"status and person":        {store.DeployFilter{Status: slipway.Deployed, By: string(p.token.Token)}, []int{2}},
		"a word":                   {store.DeployFilter{Text: "weather"}, []int{1}},
		"a word's beginning":       {store.DeployFilter{Text: "WEA"}, []int{1}},
		"without accent":           {store.DeployFilter{Text: "cafe"}, []int{2}},
		"accent of its own letter": {store.DeployFilter{Text: "cafe\u0301"}, []int{2}},
		"two words":                {store.DeployFilter{Text: "sync nightly"}, []int{2}},
		"two words of two deploys": {store.DeployFilter{Text: "sync weather"}, nil},
		"a reason":                 {store.DeployFilter{Text: "links outside"}, []int{4}},
		"an upload":                {store.DeployFilter{Text: "dags.tar.gz"}, []int{1}},
		"a name":                   {store.DeployFilter{Text: "Eve"}, []int{3, 1}},
		"a token's name":           {store.DeployFilter{Text: "ci-sales"}, []int{4, 2}},
		"a branch":                 {store.DeployFilter{Text: "main"}, []int{1}},
		"a commit as text":         {store.DeployFilter{Text: "fa047fe1"}, []int{2, 1}},
		"a number":                 {store.DeployFilter{Text: "#2"}, []int{2}},
		"a number or a word":       {store.DeployFilter{Text: "1"}, []int{2, 1}},
		"no number":                {store.DeployFilter{Text: "#9"}, nil},
		"no word":                  {store.DeployFilter{Text: "***"}, nil},
		"quotes":                   {store.DeployFilter{Text: `"weather" OR "x*`}, nil},
		"a key":                    {store.DeployFilter{Text: "¤kDAGONLY"}, []int{3}},
		"commit":                   {store.DeployFilter{Commit: "FA047FE"}, []int{2, 1}},
		"whole commit":             {store.DeployFilter{Commit: "fa047fe1234567890"}, []int{1}},
		"no commit":                {store.DeployFilter{Commit: "f%"}, nil},
		"since":                    {store.DeployFilter{From: p.start.Add(30 * time.Hour)}, []int{4, 3}},
		"until":                    {store.DeployFilter{Until: p.start.Add(48 * time.Hour)}, []int{2, 1}},
		"between, of a person":     {store.DeployFilter{From: p.start.Add(time.Hour), Until: p.start.Add(50 * time.Hour), By: string(p.Eve.User)}, []int{3}},
		"before the first":         {store.DeployFilter{Until: p.start}, nil},
		"after the last":           {store.DeployFilter{From: p.start.Add(100 * time.Hour)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.View(t, p.st, func(tx *store.Tx) error {
				got, err := tx.FindDeploys(p.Sales.ID, tt.f, 0, 10)
				if !slices.Equal(numbers(got), tt.want) {
					t.Errorf("found %v, want %v", numbers(got), tt.want)
				}
				return err
			})
		})
	}
}

func TestFindDeploysByPages(t *testing.T) {
	p := newPast(t)
	f := store.DeployFilter{Kind: slipway.DAGOnly}
	storetest.View(t, p.st, func(tx *store.Tx) error {
		page, err := tx.FindDeploys(p.Sales.ID, f, 4, 1)
		if err != nil || !slices.Equal(numbers(page), []int{2}) {
			t.Errorf("before #4: %v, %v", numbers(page), err)
		}
		page, err = tx.FindDeploysAfter(p.Sales.ID, f, 1, 2)
		if !slices.Equal(numbers(page), []int{4, 2}) {
			t.Errorf("after #1: %v", numbers(page))
		}
		return err
	})
}

func TestEveryLetterCanBeLookedFor(t *testing.T) {
	p := newPast(t)
	storetest.View(t, p.st, func(tx *store.Tx) error {
		var text []string
		for r := range unicode.MaxRune + 1 {
			if unicode.In(r, unicode.L, unicode.N, unicode.M) && (r < 0x2e80 || r%256 == 0) { // beyond, one of many alike
				text = append(text, "a"+string(r)+"a")
			}
			if len(text) < 10 && r < unicode.MaxRune {
				continue
			}
			if _, err := tx.FindDeploys(p.Sales.ID, store.DeployFilter{Text: strings.Join(text, " ")}, 0, 1); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			text = nil
		}
		return nil
	})
}

func TestDeployersAreNamedOnce(t *testing.T) {
	p := newPast(t)
	eve := p.Eve
	eve.Name = "Eve Renamed"
	p.add(t, p.Sales.ID, 80, slipway.Deploy{By: eve})
	storetest.View(t, p.st, func(tx *store.Tx) error {
		got, err := tx.Deployers(p.Sales.ID)
		want := []store.Deployer{{string(eve.User), "Eve Renamed", false}, {"01tokenci", "ci-sales", true}}
		if !slices.Equal(got, want) {
			t.Errorf("deployers %+v, want %+v", got, want)
		}
		return err
	})
}

// numberOf is 0 for no deploy.
func numberOf(w *slipway.Deploy) int {
	if w == nil {
		return 0
	}
	return w.Number
}

func TestLiveAt(t *testing.T) {
	p := newPast(t)
	for name, tt := range map[string]struct {
		hours     int
		was, next int
	}{
		"before the first": {-1, 0, 1},
		"at the first":     {0, 1, 2},
		"between":          {30, 2, 3},
		"failed since":     {100, 3, 0},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.View(t, p.st, func(tx *store.Tx) error {
				was, next, err := tx.LiveAt(p.Sales.ID, p.start.Add(time.Duration(tt.hours)*time.Hour))
				if numberOf(was) != tt.was || numberOf(next) != tt.next {
					t.Errorf("#%d until #%d, want #%d until #%d", numberOf(was), numberOf(next), tt.was, tt.next)
				}
				return err
			})
		})
	}
}

func TestARemovedDeploymentIsNotFoundAnyMore(t *testing.T) {
	dir := t.TempDir()
	st := storetest.OpenAt(t, filepath.Join(dir, "slipway.db"))
	w := storetest.Seed(t, st)
	storetest.Update(t, st, func(tx *store.Tx) error {
		if _, err := tx.AddDeploy(slipway.Deploy{Deployment: w.Sales.ID, Kind: slipway.DAGOnly, Status: slipway.Initialized, By: w.Eve}); err != nil {
			return err
		}
		if err := tx.MarkDeleted(w.Sales.ID); err != nil {
			return err
		}
		return tx.RemoveDeployment(w.Sales.ID)
	})
	for _, query := range []string{`SELECT COUNT(*) FROM histories`, `SELECT COUNT(*) FROM deployers`, `SELECT COUNT(*) FROM deploys_words WHERE deploys_words MATCH '"eve"'`} {
		if n := count(t, dir, query); n != 0 {
			t.Errorf("%s: %d, want 0", query, n)
		}
	}
}

func count(t *testing.T, dir, query string) (n int) {
	t.Helper()
	db := openRaw(t, dir)
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func openRaw(t testing.TB, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "slipway.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// What a connection remembers of the index, while others write to it, is not
// taken for damage.
func TestDamageBesideDeploys(t *testing.T) {
	p := newPast(t)
	for range 40 {
		p.add(t, p.Sales.ID, 100, slipway.Deploy{By: p.Eve, Description: "Nightly sync"})
		damage, err := p.st.Damage(t.Context())
		if err != nil || len(damage) > 0 {
			t.Fatalf("damage %v, %v", damage, err)
		}
	}
}

// TestDaySums counts what a day had, and nothing of the days around.
func TestDaySums(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	day := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	add := func(at time.Time, status slipway.Status, live bool, undoneBy int) {
		t.Helper()
		st.Now = func() time.Time { return at }
		storetest.Update(t, st, func(tx *store.Tx) error {
			d, err := tx.AddDeploy(slipway.Deploy{Deployment: w.Sales.ID, Kind: slipway.DAGOnly, Status: slipway.Initialized, By: w.Eve})
			if err != nil {
				return err
			}
			d.Status, d.UndoneBy = status, undoneBy
			if live {
				d.LiveAt = at
			}
			_, err = tx.SaveDeploy(d)
			return err
		})
	}
	add(day.Add(-time.Millisecond), slipway.Deployed, true, 0)
	add(day, slipway.Deployed, true, 0)
	add(day.Add(time.Hour), slipway.Deployed, true, 5)
	add(day.Add(2*time.Hour), slipway.Failed, false, 0)
	add(day.Add(3*time.Hour), slipway.Failed, true, 5)
	add(day.Add(4*time.Hour), slipway.Cancelled, false, 0)
	add(day.Add(24*time.Hour-time.Millisecond), slipway.Staged, false, 0)
	add(day.Add(24*time.Hour), slipway.Deployed, true, 0)
	for name, tt := range map[string]struct {
		from, until time.Time
		want        []slipway.DaySum
	}{
		"a day":         {day, day.Add(23 * time.Hour), []slipway.DaySum{{Day: day, Deploys: 5, Live: 1, Undone: 1, Failed: 2, Staged: 1}}},
		"the day after": {day.Add(24 * time.Hour), day.Add(48 * time.Hour), []slipway.DaySum{{Day: day.AddDate(0, 0, 1), Deploys: 1, Live: 1}}},
		"none":          {day.AddDate(0, 0, 2), day.AddDate(0, 0, 9), nil},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.View(t, st, func(tx *store.Tx) error {
				got, err := tx.DaySums(w.Sales.ID, tt.from, tt.until)
				if !slices.Equal(got, tt.want) {
					t.Errorf("sums %+v, want %+v", got, tt.want)
				}
				return err
			})
		})
	}
}
