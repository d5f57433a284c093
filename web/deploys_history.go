package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
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
	newer, err := addNeighbours(tx, sc, ask, all, more, before, after, &p)
	if err != nil {
		return p, err
	}
	if p.Rows, err = rows(tx, sc, all, newer); err != nil {
		return p, err
	}
	if p.Filters.Count > 0 { // a switch is no deploy
		p.Rows = slices.DeleteFunc(p.Rows, func(r views.HistoryRow) bool { return r.Switch != "" })
	}
	p.CompareURL = chooseTwo(sc, p.Rows)
	p.Live, err = liveThen(tx, sc, ask)
	return p, err
}

// addNeighbours completes p with the addresses of the neighbouring pages. newer
// is above 0 if newer deploys exist.
func addNeighbours(tx *store.Tx, sc scene, ask historyQuery, all []slipway.Deploy, more bool, before, after int, p *views.HistoryPage) (newer int, err error) {
	if len(all) == 0 {
		return 0, nil
	}
	newest, oldest := all[0].Number, all[len(all)-1].Number
	if before > 0 || after > 0 { // otherwise this is the first page
		above, err := tx.FindDeploysAfter(sc.ID, ask.filter, newest, 1)
		if err != nil {
			return 0, err
		}
		if newer = len(above); newer > 0 {
			p.Newer = ask.page(sc.links().Deploys, "after", newest)
		}
	}
	if after > 0 {
		below, err := tx.FindDeploys(sc.ID, ask.filter, oldest, 1)
		if err != nil {
			return 0, err
		}
		more = len(below) > 0
	}
	if more {
		p.Older = ask.page(sc.links().Deploys, "before", oldest)
	}
	return newer, nil
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

// rows returns deploys as rows of the history, with the switches between the
// deploys. above is more than 0 if another page has newer deploys.
func rows(tx *store.Tx, sc scene, deploys []slipway.Deploy, above int) ([]views.HistoryRow, error) {
	var versions []slipway.Version
	for _, w := range deploys {
		versions = append(versions, w.Version, w.After.Version)
	}
	kept, err := tx.RetainedOf(sc.ID, versions)
	if err != nil {
		return nil, err
	}
	var all []views.HistoryRow
	for _, w := range deploys {
		all = append(all, row(sc, w, kept))
	}
	from, until := time.Time{}, tx.Now.Add(time.Minute)
	if len(deploys) > 0 && deploys[len(deploys)-1].Number > 1 {
		from = deploys[len(deploys)-1].CreatedAt
	}
	if above > 0 {
		until = deploys[0].CreatedAt
	}
	switches, err := tx.SwitchesBetween(sc.ID, from, until)
	if err != nil {
		return all, err
	}
	for _, o := range switches {
		all = append(all, views.HistoryRow{Switch: "DAG-only deploys turned " + slipway.OnOff(o.On), At: sc.at(o.AppliedAt), By: o.By.Title()})
	}
	slices.SortStableFunc(all, func(a, b views.HistoryRow) int {
		if a.Number > 0 && b.Number > 0 {
			return b.Number - a.Number
		}
		return b.At.At.Compare(a.At.At)
	})
	return all, nil
}

// row is the row of a deploy in the history. kept has the retained versions.
func row(sc scene, w slipway.Deploy, kept map[slipway.Version]bool) views.HistoryRow {
	r := views.HistoryRow{
		Number: w.Number, URL: deployPath(sc.ID, w.Number), At: sc.at(w.CreatedAt), Current: w.Number == sc.live.Number,
		Kind: w.Kind, Status: w.Status, Description: w.Description, Fix: w.Fix != "", Reason: w.Reason, By: w.By.Title(),
		ReturnURL: returnURL(sc, w, kept[w.After.Version]),
	}
	r.Commit, r.CommitURL, r.Branch = commit(w.Git)
	r.Version = bringsVersion(w)
	if kept[w.Version] {
		r.VersionURL = versionPath(sc.ID, w.Version)
	}
	if w.WentLive() && kept[w.After.Version] {
		r.Compares = 1
	}
	if w.Kind != slipway.DAGOnly {
		r.Image, r.Digest, r.Runtime = views.ImageTag(w.After), views.ShortDigest(w.After.Image), w.After.Runtime
	}
	if w.ReturnTo > 0 {
		r.Description = strings.TrimSuffix("Return to #"+strconv.Itoa(w.ReturnTo)+": "+w.Description, ": ")
	}
	return r
}

// bringsVersion returns the DAG bundle version mounted by w, "" for none.
func bringsVersion(w slipway.Deploy) slipway.Version {
	switch {
	case w.Kind == slipway.ImageOnly:
		return ""
	case w.WentLive() && w.After.Version == w.Version && w.After.Mounted, !w.WentLive() && !w.Status.Ended() && !w.Kind.HasImage():
		return w.Version
	}
	return ""
}

// returnURL is the address for returning to w, "" where the rule refuses.
func returnURL(sc scene, w slipway.Deploy, kept bool) string {
	if _, err := sc.projected.Return(w, sc.role, kept); err != nil || w.Number == sc.live.Number {
		return ""
	}
	return deployPath(sc.ID, w.Number) + "/return"
}

// commit returns a commit's short name, an address if safe to follow, and the
// branch.
func commit(g slipway.Git) (short, address, branch string) {
	address, err := slipway.CheckURL(g.URL)
	if err != nil {
		address = "" // stored by an earlier version
	}
	return g.Commit[:min(7, len(g.Commit))], address, g.Branch
}
