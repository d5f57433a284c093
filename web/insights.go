package web

import (
	"cmp"
	"encoding/csv"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/insights"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// insightPeople is how many people and tokens a page of Insights names.
const insightPeople = 10

// insightScene is what a page of Insights is about.
type insightScene struct {
	scope       store.InsightScope
	path        string
	deployments []slipway.Deployment
	workspaces  []slipway.Workspace // of the installation, each a line of the page; nil elsewhere
}

// insightsOf returns the Deployment in the address.
func insightsOf(sc scene) insightScene {
	return insightScene{scope: store.InsightScope{Deployment: sc.ID}, path: sc.links().Insights, deployments: []slipway.Deployment{sc.Deployment}}
}

// insightsIn returns the Deployments of the Workspace in the address, for members.
func insightsIn(c echo.Context, tx *store.Tx) (s insightScene, w slipway.Workspace, err error) {
	if w, _, err = tx.Workspace(workspaceID(c), actorOf(c)); err != nil {
		return s, w, err
	}
	s = insightScene{scope: store.InsightScope{Workspace: w.ID}, path: workspacePath(w.ID) + "/insights"}
	s.deployments, err = tx.Deployments(w.ID)
	return s, w, err
}

// showInsights serves GET /deployments/:deployment/insights.
func (s *Server) showInsights(c echo.Context) error {
	var p views.InsightsPage
	err := s.viewScene(c, func(tx *store.Tx, sc scene) (err error) {
		if p, err = insightsOf(sc).page(tx, insightDays(c)); err != nil {
			return err
		}
		p.HistoryURL = sc.links().Deploys
		p.Deployment, err = s.frameOf(c, tx, sc, "Insights", sc.links().Insights)
		return err
	})
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.DeploymentInsights(p))
}

// showWorkspaceInsights serves GET /workspaces/:workspace/insights.
func (s *Server) showWorkspaceInsights(c echo.Context) error {
	var p views.InsightsPage
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		in, w, err := insightsIn(c, tx)
		if err != nil {
			return err
		}
		if p, err = in.page(tx, insightDays(c)); err != nil {
			return err
		}
		p.About = w.Name + ", " + views.Count(len(in.deployments), "Deployment")
		p.Page, _, err = s.frameIn(c, tx, "Insights", w.ID, views.Insights)
		return err
	})
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.WorkspaceInsights(p))
}

// installationInsights returns all Deployments, for Organization admins.
func installationInsights(c echo.Context, tx *store.Tx) (s insightScene, err error) {
	if err = administrator(c); err != nil {
		return s, err
	}
	s.path = "/admin/insights"
	if s.deployments, err = tx.AllDeployments(); err != nil {
		return s, err
	}
	s.workspaces, err = tx.SeenWorkspaces(actorOf(c))
	return s, err
}

// showInstallationInsights serves GET /admin/insights.
func (s *Server) showInstallationInsights(c echo.Context) error {
	var p views.InsightsPage
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		in, err := installationInsights(c, tx)
		if err != nil {
			return err
		}
		if p, err = in.page(tx, insightDays(c)); err != nil {
			return err
		}
		p.About = views.Count(len(in.workspaces), "Workspace") + ", " + views.Count(len(in.deployments), "Deployment")
		p.Page, err = s.adminFrame(c, tx, views.AdminInsights)
		return err
	})
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.InstallationInsights(p))
}

// insightDays returns the length of the period in the address.
func insightDays(c echo.Context) int { return queryNumber(c, "days") }

// added are the sums of a page.
type added struct {
	now, then insights.Sums
	parts     []insights.Sums
	each      map[slipway.DeploymentID]*insights.Sums
	kinds     map[slipway.DeployKind]*insights.Sums
}

// partKey names the sums of a part of a period.
type partKey struct {
	of   slipway.DeploymentID
	kind slipway.DeployKind
	part int
}

// add reads the sums of a period and of the one before. Each row is decoded once,
// into the sums of its part; what the page shows is merged from those.
func (s insightScene) add(tx *store.Tx, p insights.Period, parts []int) (*added, error) {
	a := &added{parts: make([]insights.Sums, len(parts)), each: map[slipway.DeploymentID]*insights.Sums{}, kinds: map[slipway.DeployKind]*insights.Sums{}}
	all := map[partKey]*insights.Sums{}
	err := tx.InsightSums(s.scope, p.Before().First, p.Last, func(d slipway.DeploymentID, day int, kind slipway.DeployKind, encoded []byte) error {
		if day < p.First {
			return a.then.MergeEncoded(encoded)
		}
		i, begins := slices.BinarySearch(parts, day)
		if !begins {
			i--
		}
		key := partKey{d, kind, i}
		if all[key] == nil {
			all[key] = &insights.Sums{}
		}
		return all[key].MergeEncoded(encoded)
	})
	for key, one := range all {
		a.parts[key.part].Merge(one)
		merge(a.each, key.of, one)
		merge(a.kinds, key.kind, one)
	}
	for i := range a.parts {
		a.now.Merge(&a.parts[i])
	}
	return a, err
}

func merge[K slipway.DeploymentID | slipway.DeployKind | slipway.WorkspaceID](all map[K]*insights.Sums, key K, one *insights.Sums) {
	if all[key] == nil {
		all[key] = &insights.Sums{}
	}
	all[key].Merge(one)
}

// page returns the page but for its frame.
func (s insightScene) page(tx *store.Tx, days int) (p views.InsightsPage, err error) {
	period := insights.PeriodOf(days, tx.Now)
	parts := period.Parts()
	sums, err := s.add(tx, period, parts)
	if err != nil {
		return p, err
	}
	p = views.InsightsPage{
		Days: period.Days, Span: views.DaySpan(insights.DayAt(period.First), insights.DayAt(period.Last)),
		CSVURL: s.path + "/export?days=" + strconv.Itoa(period.Days),
		Unit:   [...]string{insights.ByDay: "day", insights.ByWeek: "week", insights.ByMonth: "month"}[period.Unit],
		Now:    totals(period, &sums.now), Then: totals(period, &sums.then), Files: s.scope.Deployment != "",
	}
	for _, n := range insights.Periods {
		p.Periods = append(p.Periods, views.InsightPeriod{Text: views.Count(n, "day"), URL: s.path + "?days=" + strconv.Itoa(n), Chosen: n == period.Days})
	}
	for i := range parts {
		p.Parts = append(p.Parts, insightPart(period, parts[i], &sums.parts[i]))
	}
	if err := s.files(tx, period, parts, p.Parts); err != nil {
		return p, err
	}
	old, fresh, err := tx.InsightsUncounted(s.scope)
	if err != nil {
		return p, err
	}
	p.Uncounted = old + fresh
	for _, k := range []slipway.DeployKind{slipway.DAGOnly, slipway.ImageOnly, slipway.ImageAndDAG} {
		if sums.kinds[k] != nil {
			p.Kinds = append(p.Kinds, views.InsightShare{Name: k.Title(), InsightTotals: totals(period, sums.kinds[k])})
		}
	}
	s.rows(&p, period, sums)
	names, err := tx.InsightNames(s.scope)
	p.By, p.Others = people(&sums.now, names)
	return p, err
}

// totals returns the figures of sums over a period.
func totals(p insights.Period, s *insights.Sums) views.InsightTotals {
	return views.InsightTotals{
		Live: int(s.Live), Undone: int(s.Undone), Failed: int(s.Failed), Weekly: p.Weekly(s.All()),
		Took: s.Took.Quantile(0.5), Took90: s.Took.Quantile(0.9),
		Restores: int(s.Restored.Count()), Restored: s.Restored.Quantile(0.5),
	}
}

// insightPart returns the figures of the part of a period that begins on a day.
func insightPart(p insights.Period, day int, s *insights.Sums) views.InsightPart {
	return views.InsightPart{
		Name: views.ShortDay(insights.DayAt(day)), InsightTotals: totals(p, s), Slowest: s.Restored.Quantile(1), Stored: s.Stored, Files: -1,
		Steps: views.InsightSteps{
			Upload: s.Mean(insights.Upload), Check: s.Mean(insights.Check), Confirm: s.Mean(insights.Confirm),
			Wait: s.Mean(insights.Wait), Store: s.Mean(insights.Store), Mount: s.Mean(insights.Mount),
		},
	}
}

// files fills in the numbers of files of a Deployment's versions.
func (s insightScene) files(tx *store.Tx, p insights.Period, parts []int, into []views.InsightPart) error {
	if s.scope.Deployment == "" {
		return nil
	}
	var ends []time.Time
	for i := range parts {
		next := p.Last + 1
		if i+1 < len(parts) {
			next = parts[i+1]
		}
		ends = append(ends, insights.DayAt(next))
	}
	all, err := tx.FilesAt(s.scope.Deployment, ends)
	for i, n := range all {
		into[i].Files = n
	}
	return err
}

// rows fills in the lines of the Deployments of a Workspace, or of the Workspaces of
// the installation: the busiest first.
func (s insightScene) rows(p *views.InsightsPage, period insights.Period, sums *added) {
	days := "?days=" + strconv.Itoa(period.Days)
	line := func(name, url string, s *insights.Sums) {
		if s == nil {
			s = &insights.Sums{}
		}
		p.Each = append(p.Each, views.InsightRow{Name: name, URL: url + "/insights" + days, InsightTotals: totals(period, s)})
	}
	switch {
	case s.workspaces != nil:
		p.EachTitle = "Workspace"
		of := map[slipway.WorkspaceID]*insights.Sums{}
		for _, d := range s.deployments {
			if one := sums.each[d.ID]; one != nil {
				merge(of, d.Workspace, one)
			}
		}
		for _, w := range s.workspaces {
			line(w.Name, workspacePath(w.ID), of[w.ID])
		}
	case s.scope.Workspace != "":
		p.EachTitle = "Deployment"
		for _, d := range s.deployments {
			line(d.Name, deploymentPath(d.ID), sums.each[d.ID])
		}
	}
	slices.SortStableFunc(p.Each, func(a, b views.InsightRow) int { return b.Deploys() - a.Deploys() })
}

// people returns who deployed most, and the number of the others.
func people(s *insights.Sums, names map[string]string) (all []views.InsightShare, others int) {
	for id, o := range s.By {
		all = append(all, views.InsightShare{Name: cmp.Or(names[id], views.NoLonger), InsightTotals: views.InsightTotals{Live: int(o.Live), Undone: int(o.Undone), Failed: int(o.Failed)}})
	}
	slices.SortFunc(all, func(a, b views.InsightShare) int {
		return cmp.Or(b.Deploys()-a.Deploys(), cmp.Compare(a.Name, b.Name))
	})
	others = max(len(all)-insightPeople, 0)
	return all[:len(all)-others], others
}

// insightColumns are the columns of the figures as CSV. Times are in seconds.
var insightColumns = []string{
	"day", "deployment", "name", "kind", "live", "undone", "failed", "took_median", "took_p90", "restored", "restored_median", "restored_longest",
	"upload_mean", "check_mean", "confirm_mean", "queue_mean", "store_mean", "mount_mean", "stored_bytes",
}

// exportInsights serves GET /deployments/:deployment/insights/export: the figures of
// a Deployment by day and kind.
func (s *Server) exportInsights(c echo.Context) error {
	return s.sendInsights(c, func(tx *store.Tx) (insightScene, error) {
		sc, err := s.sceneOf(c, tx)
		return insightsOf(sc), err
	})
}

// exportWorkspaceInsights serves GET /workspaces/:workspace/insights/export.
func (s *Server) exportWorkspaceInsights(c echo.Context) error {
	return s.sendInsights(c, func(tx *store.Tx) (insightScene, error) {
		in, _, err := insightsIn(c, tx)
		return in, err
	})
}

// exportInstallationInsights serves GET /admin/insights/export.
func (s *Server) exportInstallationInsights(c echo.Context) error {
	return s.sendInsights(c, func(tx *store.Tx) (insightScene, error) { return installationInsights(c, tx) })
}

// sendInsights sends the figures of a period as CSV: a row for each day, Deployment
// and kind with an ended deploy.
func (s *Server) sendInsights(c echo.Context, load func(*store.Tx) (insightScene, error)) error {
	var rows [][]string
	var now time.Time
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		in, err := load(tx)
		if err != nil {
			return err
		}
		now = tx.Now
		rows, err = in.table(tx, insights.PeriodOf(insightDays(c), now))
		return err
	})
	if err != nil {
		return err
	}
	attach(c.Response().Header(), "insights-"+now.UTC().Format(time.DateOnly)+".csv")
	c.Response().Header().Set(echo.HeaderContentType, "text/csv; charset=utf-8; header=present")
	c.Response().WriteHeader(http.StatusOK)
	w := csv.NewWriter(c.Response())
	w.UseCRLF = true                                            // as in RFC 4180
	_ = w.WriteAll(append([][]string{insightColumns}, rows...)) // the reader has gone
	return nil
}

// table returns the rows of a period.
func (s insightScene) table(tx *store.Tx, p insights.Period) (rows [][]string, err error) {
	names := map[slipway.DeploymentID]string{}
	for _, d := range s.deployments {
		names[d.ID] = slipway.Cell(d.Name)
	}
	err = tx.InsightSums(s.scope, p.First, p.Last, func(d slipway.DeploymentID, day int, kind slipway.DeployKind, encoded []byte) error {
		var sums insights.Sums
		if err := sums.MergeEncoded(encoded); err != nil {
			return err
		}
		row := []string{insights.DayAt(day).Format(time.DateOnly), string(d), names[d], string(kind)}
		for _, n := range []int64{sums.Live, sums.Undone, sums.Failed} {
			row = append(row, strconv.FormatInt(n, 10))
		}
		row = append(row, seconds(sums.Took.Quantile(0.5), sums.Took.Count()), seconds(sums.Took.Quantile(0.9), sums.Took.Count()))
		restored := sums.Restored.Count()
		row = append(row, strconv.FormatInt(restored, 10), seconds(sums.Restored.Quantile(0.5), restored), seconds(sums.Restored.Quantile(1), restored))
		for step := insights.Upload; step <= insights.Mount; step++ {
			row = append(row, seconds(sums.Mean(step), sums.Took.Count()))
		}
		rows = append(rows, append(row, strconv.FormatInt(sums.Stored, 10)))
		return nil
	})
	return rows, err
}

// seconds returns d for a cell, "" if it is the time of no deploy.
func seconds(d time.Duration, of int64) string {
	if of == 0 {
		return ""
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 3, 64)
}
