package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// pageSize is the number of rows on a page of a list.
const pageSize = 50

// showDeploys serves GET /deployments/:deployment/deploys: a page of the history,
// or only the results for htmx.
func (s *Server) showDeploys(c echo.Context) error {
	var p views.HistoryPage
	ask := historyQueryOf(c)
	err := s.viewScene(c, func(tx *store.Tx, sc scene) (err error) {
		if p, err = history(tx, sc, ask, queryNumber(c, "before"), queryNumber(c, "after")); err != nil {
			return err
		}
		if wantsPartial(c) {
			return nil
		}
		if p.Strip, err = strip(tx, sc, ask.day()); err != nil {
			return err
		}
		p.Frame, err = s.frameOf(c, tx, sc, "Deploy history", sc.links().Deploys)
		return err
	})
	if err != nil {
		return err
	}
	if wantsPartial(c) {
		c.Response().Header().Set("HX-Replace-Url", ask.path(p.Filters.Action))
		return render(c, http.StatusOK, views.HistoryResults(p))
	}
	return render(c, http.StatusOK, views.History(p))
}

// stripDays is the number of days in the strip above the history.
const stripDays = 30

// strip sums up the last days, nil without any deploy. chosen is the day that the
// filters choose.
func strip(tx *store.Tx, sc scene, chosen time.Time) (*views.Strip, error) {
	if any, err := tx.CountDeploys(sc.ID); err != nil || any == 0 {
		return nil, err
	}
	days, err := lastDays(tx, sc.ID, sc.now)
	if err != nil {
		return nil, err
	}
	var total slipway.DaySum
	most := 0
	for _, s := range days {
		total = total.Plus(s)
		most = max(most, s.Live+s.Undone+s.Failed)
	}
	p := &views.Strip{Counts: views.DayCounts(total), InsightsURL: sc.links().Insights}
	for _, s := range days {
		at := s.Day.Format(dayLayout)
		p.Days = append(p.Days, views.StripDay{
			URL: sc.links().Deploys + "?from=" + at + "&to=" + at, Label: s.Day.Format("Monday 2 January") + ": " + views.DayCounts(s),
			Date: at, Day: strconv.Itoa(s.Day.Day()), Off: s.Day.Weekday() == time.Saturday || s.Day.Weekday() == time.Sunday,
			Chosen: s.Day.Equal(chosen), Bars: views.Bars(s, most),
		})
	}
	return p, nil
}

// lastDays returns the sums of the last stripDays days, also of those without a deploy.
func lastDays(tx *store.Tx, of slipway.DeploymentID, now time.Time) ([]slipway.DaySum, error) {
	first := now.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1-stripDays)
	sums, err := tx.DaySums(of, first, now)
	days := make([]slipway.DaySum, stripDays)
	for i := range days {
		days[i].Day = first.AddDate(0, 0, i)
	}
	for _, s := range sums {
		days[int(s.Day.Sub(first)/(24*time.Hour))] = s
	}
	return days, err
}

// queryNumber returns a number of the query, 0 if absent or no number.
func queryNumber(c echo.Context, name string) int {
	n, err := strconv.Atoi(c.QueryParam(name))
	if err != nil {
		return 0 // the first page
	}
	return max(n, 0)
}

// history returns a page of the requested deploys, with numbers below before or
// above after.
func history(tx *store.Tx, sc scene, ask historyQuery, before, after int) (p views.HistoryPage, err error) {
	if p.Filters, err = filters(tx, sc, ask); err != nil {
		return p, err
	}
	if sc.projected.MayDeploy(slipway.DAGOnly, sc.role, sc.by) == nil {
		p.DeployURL = sc.links().Overview + "#new-deploy"
	}
	if p.Filters.Error != "" {
		return p, nil
	}
	all, more, err := deploysPage(tx, sc.ID, ask.filter, before, after)
	if err != nil {
		return p, err
	}
	shown, err := addNeighbours(tx, sc, ask, all, more, before, after, &p)
	if err != nil {
		return p, err
	}
	found, err := rows(tx, sc, all, shown)
	if err != nil {
		return p, err
	}
	if p.Filters.Count > ask.days() { // a switch is no deploy
		found = slices.DeleteFunc(found, func(r views.HistoryRow) bool { return r.Switch != "" })
	}
	if comparable(found) > 1 {
		p.CompareURL = comparePath(sc.ID)
	}
	if ask.filter.Status != slipway.Cancelled {
		found = foldDiscarded(found)
	}
	if p.Days, err = days(tx, sc, all, found, p.Filters.Count > ask.days()); err != nil {
		return p, err
	}
	p.Live, err = liveThen(tx, sc, ask)
	return p, err
}

// addNeighbours completes p with the addresses of the neighbouring pages, and
// returns the time between them.
func addNeighbours(tx *store.Tx, sc scene, ask historyQuery, all []slipway.Deploy, more bool, before, after int, p *views.HistoryPage) (shown times, err error) {
	shown = times{ask.filter.From, ask.filter.Until}
	if shown.until.IsZero() {
		shown.until = tx.Now.Add(time.Minute)
	}
	if len(all) == 0 {
		return shown, nil
	}
	newest, oldest := all[0].Number, all[len(all)-1].Number
	if before > 0 || after > 0 { // otherwise this is the first page
		above, err := tx.FindDeploysAfter(sc.ID, ask.filter, newest, 1)
		if err != nil {
			return shown, err
		}
		if len(above) > 0 {
			p.Newer = ask.page(sc.links().Deploys, "after", newest)
			shown.until = all[0].CreatedAt
		}
	}
	if after > 0 {
		below, err := tx.FindDeploys(sc.ID, ask.filter, oldest, 1)
		if err != nil {
			return shown, err
		}
		more = len(below) > 0
	}
	if more {
		p.Older = ask.page(sc.links().Deploys, "before", oldest)
		shown.from = all[len(all)-1].CreatedAt
	}
	return shown, nil
}

// pageOf is the address of a neighbouring page of a list, by a number in the
// query.
func pageOf(path, key string, number int) string {
	return path + "?" + url.Values{key: {strconv.Itoa(number)}}.Encode()
}

// deploysPage returns a page of deploys, newest first, and whether older ones
// exist.
func deploysPage(tx *store.Tx, of slipway.DeploymentID, f store.DeployFilter, before, after int) ([]slipway.Deploy, bool, error) {
	if after > 0 {
		all, err := tx.FindDeploysAfter(of, f, after, pageSize)
		return all, false, err
	}
	all, err := tx.FindDeploys(of, f, before, pageSize+1)
	if err != nil {
		return nil, false, err
	}
	return all[:min(len(all), pageSize)], len(all) > pageSize, nil
}
