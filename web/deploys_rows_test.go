package web

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
	"slipway/views"
)

func TestFoldDiscarded(t *testing.T) {
	noon := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	row := func(number int, status slipway.Status, by string, at time.Time) views.HistoryRow {
		return views.HistoryRow{Number: number, Status: status, By: by, At: views.Moment{At: at}}
	}
	gone, failed := slipway.Cancelled, slipway.Failed
	for name, tt := range map[string]struct {
		rows []views.HistoryRow
		want []int // rows in each row of the result
	}{
		"none":                   {nil, nil},
		"one alone":              {[]views.HistoryRow{row(2, gone, "Eve", noon)}, []int{0}},
		"two":                    {[]views.HistoryRow{row(3, gone, "Eve", noon), row(2, gone, "Eve", noon), row(1, slipway.Deployed, "Eve", noon)}, []int{2, 0}},
		"failed ones":            {[]views.HistoryRow{row(3, failed, "Eve", noon), row(2, failed, "Eve", noon)}, []int{0, 0}},
		"a failed one between":   {[]views.HistoryRow{row(3, gone, "Eve", noon), row(2, failed, "Eve", noon), row(1, gone, "Eve", noon)}, []int{0, 0, 0}},
		"of two persons":         {[]views.HistoryRow{row(3, gone, "Eve", noon), row(2, gone, "Eve", noon), row(1, gone, "Ada", noon)}, []int{2, 0}},
		"around a switch":        {[]views.HistoryRow{row(3, gone, "Eve", noon), {Switch: "on", By: "Eve"}, row(1, gone, "Eve", noon)}, []int{0, 0, 0}},
		"on two days":            {[]views.HistoryRow{row(3, gone, "Eve", noon), row(2, gone, "Eve", noon.AddDate(0, 0, -1))}, []int{0, 0}},
		"another begins at once": {[]views.HistoryRow{row(4, gone, "Eve", noon), row(3, gone, "Eve", noon), row(2, gone, "Ada", noon), row(1, gone, "Ada", noon)}, []int{2, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []int
			for _, r := range foldDiscarded(tt.rows) {
				got = append(got, len(r.Folded))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("folded %v, want %v", got, tt.want)
			}
		})
	}
}

// The history tells what each deploy did, by day, with a menu of what may be done.
func TestHistoryRows(t *testing.T) {
	a := newApp(t)
	a.run(t)
	a.live(t, a.Eve, map[string]string{"a.py": dag})
	a.live(t, a.Eve, map[string]string{"a.py": dag + "#", "sales/b.py": dag})
	for range 2 {
		a.staged(t, a.Eve, map[string]string{"a.py": dag + "##"})
	}
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		for number := 3; number <= 4; number++ {
			w, err := tx.Deploy(a.Sales.ID, number)
			if err != nil {
				return err
			}
			if w, err = w.Cancel(slipway.Owner, a.Eve); err != nil {
				return err
			}
			if _, err = tx.SaveDeploy(w); err != nil {
				return err
			}
		}
		return nil
	})
	b := a.as(t, a.Eve)
	got := b.get(a.page("/deploys"))
	want(t, got, http.StatusOK, "Today", "2 deploys", "2 discarded deploys of Eve Author, #3 to #4", "1 added, 1 changed, 0 removed", "a.py, sales/b.py", "LIVE",
		"Return to #1", "Compare with what is live", "Compare with the version before", "Download", "Copy link", "Discarded by Eve Author.", "Compare #2")
	page := got.Body.String()
	if strings.Contains(page, "Return to #2") || strings.Contains(page, "Compare #3") || strings.Contains(page, "<table") {
		t.Error("the live deploy offers a return, a discarded one a comparison, or rows are a table")
	}
	if folded := b.get(a.page("/deploys?status=cancelled")).Body.String(); strings.Contains(folded, "discarded deploys of") {
		t.Error("discarded deploys stay folded when they are asked for")
	}
	want(t, b.get(a.page("")), http.StatusOK, "1 added, 1 changed, 0 removed", "a.py, sales/b.py", "2 discarded deploys of Eve Author")
}

// Ticks in the history are one address, whatever their order.
func TestCompareByTicks(t *testing.T) {
	a, w := threeVersions(t)
	b := a.as(t, a.Mia)
	for query, to := range map[string]string{
		"?with=3&with=1":        "/compare?from=1&to=3",
		"?with=2&with=2&with=3": "/compare?from=2&to=3",
		"?with=2":               "/compare?from=2",
	} {
		goesTo(t, b.get(a.page("/compare"+query)), a.page(to))
	}
	want(t, b.get(a.page("/compare?with=1&with=2&with=3")), http.StatusUnprocessableEntity, "You ticked 3 deploys, and a comparison is of two.", w[2].Version.Short())
	want(t, b.get(a.page("/compare?with=x")), http.StatusOK, "Compare versions")
}

// The strip has each of the last days as a link, and none without deploys.
func TestHistoryStrip(t *testing.T) {
	a := newApp(t)
	a.run(t)
	b := a.as(t, a.Mia)
	if page := b.get(a.page("/deploys")).Body.String(); strings.Contains(page, `class="strip"`) {
		t.Error("there are days without a deploy")
	}
	a.live(t, a.Eve, map[string]string{"a.py": dag})
	page := b.get(a.page("/deploys")).Body.String()
	day := time.Now().UTC().Format("2006-01-02")
	if n := strings.Count(page, "?from="); n != stripDays || !strings.Contains(page, "?from="+day+"&amp;to="+day) || strings.Count(page, `class="c-live" x`) != 1 {
		t.Errorf("%d days, want %d with a deploy on %s:\n%s", n, stripDays, day, page)
	}
}
