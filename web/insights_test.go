package web

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// insightsDay is the day on which the tests of Insights look.
var insightsDay = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// ended records a deploy that began some days ago and ended as told, an hour later.
func (a *app) ended(t *testing.T, of slipway.DeploymentID, daysAgo int, by slipway.Actor, status slipway.Status) {
	t.Helper()
	w := slipway.Deploy{Deployment: of, Kind: slipway.DAGOnly, By: by, Status: slipway.Initialized}
	a.store.Now = func() time.Time { return insightsDay.AddDate(0, 0, -daysAgo) }
	storetest.Update(t, a.store, func(tx *store.Tx) (err error) {
		w, err = tx.AddDeploy(w)
		return err
	})
	a.store.Now = func() time.Time { return insightsDay.AddDate(0, 0, -daysAgo).Add(time.Hour) }
	storetest.Update(t, a.store, func(tx *store.Tx) (err error) {
		w.Counts = slipway.Counts{Files: 12, NewBytes: 4000}
		if w, err = tx.Enqueue(w); err == nil {
			w.Status, w.LiveAt = status, tx.Now
			w, err = tx.SaveDeploy(w)
		}
		return err
	})
	a.store.Now = func() time.Time { return insightsDay }
}

// counted counts all deploys for Insights.
func (a *app) counted(t *testing.T) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = a.store.CountInsights(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// busy has deploys of two Workspaces: ten good ones and a failed one of this period
// in sales-prod, and one of the period before.
func busy(t *testing.T) *app {
	t.Helper()
	a := newApp(t)
	a.ended(t, a.Sales.ID, 100, a.Eve, slipway.Deployed)
	a.ended(t, a.Sales.ID, 20, a.Ada, slipway.Failed)
	for i := range 10 {
		a.ended(t, a.Sales.ID, 10-i, a.Eve, slipway.Deployed)
	}
	var other slipway.Deployment
	storetest.Update(t, a.store, func(tx *store.Tx) (err error) {
		other, err = storetest.AddDeployment(tx, a.Other.ID, "secret-prod")
		return err
	})
	a.ended(t, other.ID, 3, a.Sam, slipway.Deployed)
	return a
}

func TestInsights(t *testing.T) {
	a := busy(t)
	eve := a.as(t, a.Eve)
	want(t, eve.get(a.page("/insights")), http.StatusOK, "12 deploys are still to be counted", "Not counted yet")
	a.counted(t)
	w := eve.get(a.page("/insights"))
	want(t, w, http.StatusOK, "1 September to 29 November 2026", "1 of 11 failed or were undone", "9.1 %", "Half of all deploys are live after", "10 d",
		"Show as a table", "Eve Author", "Ada Lovelace", "By kind", `aria-current="page"`)
	for _, never := range []string{"still to be counted", "secret-prod", "Sam Stranger"} {
		if strings.Contains(w.Body.String(), never) {
			t.Errorf("the page of sales-prod has %q", never)
		}
	}
	// The period of 30 days has no deploy of the period before to compare with.
	want(t, eve.get(a.page("/insights?days=30")), http.StatusOK, "31 October to 29 November 2026", "none in the 30 days before", "Deploys each day")
	want(t, eve.get(a.page("/insights?days=365")), http.StatusOK, "30 November 2025 to 29 November 2026", "Deploys each month", "1 of 12 failed or were undone")
	want(t, eve.get(a.page("/insights?days=x")), http.StatusOK, "1 September to 29 November 2026")
	want(t, eve.get(a.page("/deploys")), http.StatusOK, a.page("/insights"))
}

func TestInsightsOfAWorkspaceAndTheInstallation(t *testing.T) {
	a := busy(t)
	a.counted(t)
	w := a.as(t, a.Mia).get(workspacePath(a.Workspace.ID) + "/insights")
	want(t, w, http.StatusOK, "Data Platform, 1 Deployment", "Each Deployment", a.page("/insights?days=90"), "1 of 11 failed or were undone")
	if strings.Contains(w.Body.String(), "Sam Stranger") || strings.Contains(w.Body.String(), "secret-prod") {
		t.Error("the page of a Workspace tells of another one")
	}
	want(t, a.as(t, a.Root).get("/admin/insights"), http.StatusOK, "2 Workspaces, 2 Deployments", "Each Workspace", workspacePath(a.Other.ID)+"/insights?days=90", "1 of 12 failed or were undone", "Sam Stranger")
}

func TestInsightsWithoutDeploys(t *testing.T) {
	a := newApp(t)
	want(t, a.as(t, a.Eve).get(a.page("/insights")), http.StatusOK, "No deploy ended in this time", "Show the deploy history")
	want(t, a.as(t, a.Eve).get(workspacePath(a.Workspace.ID)+"/insights"), http.StatusOK, "No deploy ended in this time")
}

// The CSV has the figures of the page, by day.
func TestInsightsExport(t *testing.T) {
	a := busy(t)
	a.counted(t)
	for name, tt := range map[string]struct {
		by                 slipway.Actor
		path               string
		days, live, failed int
	}{
		"Deployment":   {a.Eve, a.page("/insights/export?days=90"), 11, 10, 1},
		"a month":      {a.Eve, a.page("/insights/export?days=30"), 11, 10, 1},
		"a year":       {a.Eve, a.page("/insights/export?days=365"), 12, 11, 1},
		"Workspace":    {a.Mia, workspacePath(a.Workspace.ID) + "/insights/export", 11, 10, 1},
		"installation": {a.Root, "/admin/insights/export", 12, 11, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := a.as(t, tt.by).get(tt.path)
			rows, err := csv.NewReader(w.Body).ReadAll()
			if err != nil || len(rows) != tt.days+1 || !slices.Equal(rows[0], insightColumns) {
				t.Fatalf("%d rows, want %d: %v, %v", len(rows), tt.days+1, rows, err)
			}
			if got := w.Header().Get("Content-Disposition"); got != "attachment; filename=insights-2026-11-29.csv" {
				t.Errorf("it is %q", got)
			}
			sum := map[string]int{}
			for _, row := range rows[1:] {
				for i, column := range insightColumns {
					var n int
					if _, err := fmt.Sscan(row[i], &n); err == nil {
						sum[column] += n
					}
				}
			}
			if sum["live"] != tt.live || sum["failed"] != tt.failed || sum["undone"] != 0 || sum["restored"] != 1 || sum["stored_bytes"] != 4000*(tt.live+tt.failed) {
				t.Errorf("sums %v, want %d live and %d failed", sum, tt.live, tt.failed)
			}
		})
	}
}
