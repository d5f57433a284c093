package web

import (
	"errors"
	"fmt"
	"maps"
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

// auditPath is the address of the audit log of w.
func auditPath(w slipway.WorkspaceID) string { return workspacePath(w) + "/audit" }

// auditLog is an audit log on a page: of a Workspace, or of the installation.
type auditLog struct {
	of      slipway.WorkspaceID // "" for the installation
	by      slipway.Actor       // the reader
	path    string
	people  []slipway.User // offered by the filters, as are
	tokens  []store.Token
	targets []slipway.Deployment
	more    bool // there are more than the filters offer
}

// filterOptions is how many people, tokens and Deployments a filter offers each.
const filterOptions = 100

// workspaceAudit returns the audit log of a Workspace, for roles with ReadAudit.
func workspaceAudit(tx *store.Tx, w slipway.WorkspaceID, by slipway.Actor) (l auditLog, err error) {
	_, role, err := tx.Workspace(w, by)
	if err == nil {
		err = role.May(slipway.ReadAudit)
	}
	if err != nil {
		return l, err
	}
	l = auditLog{of: w, by: by, path: auditPath(w)}
	some := store.Listing{Limit: filterOptions}
	var targets, tokens, people int
	if l.targets, targets, err = tx.FindDeployments(by, store.DeploymentFilter{Workspaces: []string{string(w)}}, some); err != nil {
		return l, err
	}
	if l.tokens, tokens, err = tx.FindTokens(store.TokenFilter{Scopes: []store.TokenScope{{Workspace: w, Ones: true}}}, some); err != nil {
		return l, err
	}
	members, people, err := tx.FindMembers(w, some)
	for _, m := range members {
		l.people = append(l.people, m.User)
	}
	l.more = max(targets, tokens, people) > filterOptions
	return l, err
}

// offerChosen adds what a filters by to the offers, if it still exists.
func (l *auditLog) offerChosen(tx *store.Tx, f store.AuditFilter) error {
	if f.By != "" && !slices.ContainsFunc(l.people, func(u slipway.User) bool { return string(u.ID) == f.By }) {
		u, err := tx.User(slipway.UserID(f.By))
		if err == nil && l.of != "" {
			_, err = tx.Member(l.of, u.ID)
		}
		switch {
		case err == nil:
			l.people = append(l.people, u)
		case !errors.Is(err, slipway.ErrNotFound):
			return err
		}
	}
	if f.By != "" && !slices.ContainsFunc(l.tokens, func(t store.Token) bool { return string(t.ID) == f.By }) {
		t, err := tx.AnyToken(slipway.TokenID(f.By))
		switch {
		case err == nil && t.Workspace == l.of && t.Kind == store.APIToken:
			l.tokens = append(l.tokens, t)
		case err != nil && !errors.Is(err, slipway.ErrNotFound):
			return err
		}
	}
	if f.Deployment != "" && !slices.ContainsFunc(l.targets, func(d slipway.Deployment) bool { return d.ID == f.Deployment }) {
		found, err := l.existing(tx, []string{string(f.Deployment)})
		l.targets = append(l.targets, found...)
		return err
	}
	return nil
}

// existing returns the Deployments of ids that exist; none for the log of the
// installation.
func (l auditLog) existing(tx *store.Tx, ids []string) ([]slipway.Deployment, error) {
	if l.of == "" || len(ids) == 0 {
		return nil, nil
	}
	all, _, err := tx.FindDeployments(l.by, store.DeploymentFilter{Workspaces: []string{string(l.of)}, IDs: ids}, store.Listing{Limit: len(ids)})
	return all, err
}

// showAudit serves GET /workspaces/:workspace/audit: the events of a Workspace,
// newest first.
func (s *Server) showAudit(c echo.Context) error {
	var page views.AuditPage
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		l, err := workspaceAudit(tx, workspaceID(c), actorOf(c))
		if err != nil {
			return err
		}
		if page, err = l.page(tx, auditQueryOf(c), queryNumber(c, "before")); err != nil {
			return err
		}
		page.Page, _, err = s.frameIn(c, tx, "Audit log", workspaceID(c), views.AuditLog)
		return err
	})
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.Audit(page))
}

// auditQuery is the query of an audit log.
type auditQuery struct {
	values url.Values // of the filled fields
	filter store.AuditFilter
	wrong  string // why a field could not be read
}

// auditFields are the fields of the filters.
var auditFields = []string{"q", "what", "by", "deployment", "from", "to"}

// auditQueryOf reads the filters from the address.
func auditQueryOf(c echo.Context) auditQuery {
	a := auditQuery{values: url.Values{}}
	for _, name := range auditFields {
		if value := strings.TrimSpace(c.QueryParam(name)); value != "" {
			a.values.Set(name, value)
		}
	}
	get := a.values.Get
	if a.values.Has("q") {
		a.values.Set("q", firstWords(get("q"))) // the page shows what was looked for
	}
	for _, field := range auditFields {
		if strings.Contains(get(field), "\x00") { // where SQLite ends a text
			a.wrong = views.NulInQuery
		}
	}
	a.filter = store.AuditFilter{Deployment: slipway.DeploymentID(get("deployment")), By: get("by")}
	if a.values.Has("what") {
		a.filter.Nouns = append([]string{}, views.AuditNouns(get("what"))...)
	}
	for w := range strings.FieldsSeq(get("q")) {
		a.filter.Words = append(a.filter.Words, store.AuditWord{Text: w, Actions: views.AuditActions(w)})
	}
	a.filter.From = a.day("from")
	if a.filter.Until = a.day("to"); !a.filter.Until.IsZero() {
		a.filter.Until = a.filter.Until.AddDate(0, 0, 1)
	}
	return a
}

// day reads a field as a day, zero if empty. An unreadable field sets a.wrong.
func (a *auditQuery) day(name string) time.Time {
	text := a.values.Get(name)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() < 1970 {
		a.wrong = fmt.Sprintf(views.NotDay, text)
		return time.Time{}
	}
	return t
}

// path returns the address of path with the query and further values.
func (a auditQuery) path(path string, pairs ...string) string {
	at := maps.Clone(a.values)
	for i := 0; i < len(pairs); i += 2 {
		at.Set(pairs[i], pairs[i+1])
	}
	if len(at) == 0 {
		return path
	}
	return path + "?" + at.Encode()
}

// page returns the events that a selects before the one with the id given; 0 for
// the newest. The frame is the caller's.
func (l auditLog) page(tx *store.Tx, a auditQuery, before int) (p views.AuditPage, err error) {
	if err := l.offerChosen(tx, a.filter); err != nil {
		return p, err
	}
	p.Filters = l.filters(a)
	if a.wrong != "" {
		return p, nil
	}
	trail, err := tx.FindAudit(l.of, a.filter, int64(before), pageSize+1)
	if err != nil {
		return p, err
	}
	if len(trail) > pageSize {
		trail = trail[:pageSize]
		p.Older = a.path(l.path, "before", strconv.FormatInt(trail[len(trail)-1].ID, 10))
	}
	if before > 0 {
		p.Newer = a.path(l.path)
	}
	var ids []string
	for _, e := range trail {
		if e.Deployment != "" && !slices.Contains(ids, string(e.Deployment)) {
			ids = append(ids, string(e.Deployment))
		}
	}
	existing, err := l.existing(tx, ids)
	if err != nil {
		return p, err
	}
	for _, e := range trail {
		day := e.At.UTC().Truncate(24 * time.Hour)
		if n := len(p.Days); n == 0 || !p.Days[n-1].Day.Equal(day) {
			p.Days = append(p.Days, views.AuditDay{Day: day})
		}
		last := &p.Days[len(p.Days)-1]
		last.Rows = append(last.Rows, auditRow(e, slices.ContainsFunc(existing, func(d slipway.Deployment) bool { return d.ID == e.Deployment })))
	}
	return p, nil
}

// filters returns the form, filled in with the query.
func (l auditLog) filters(a auditQuery) views.AuditFilters {
	get := a.values.Get
	f := views.AuditFilters{
		Action: l.path, Text: get("q"), From: get("from"), Until: get("to"), Count: len(a.values), Error: a.wrong, More: l.more,
		What: views.AuditGroups(get("what")), By: []views.Option{{Text: "Everyone"}}, Deployments: []views.Option{{Text: "All"}},
		CSVURL: a.path(l.path+"/export", "format", "csv"), NDJSONURL: a.path(l.path+"/export", "format", "ndjson"),
	}
	for _, u := range l.people {
		f.By = append(f.By, views.Option{Value: string(u.ID), Text: u.Title()})
	}
	for _, t := range l.tokens {
		f.By = append(f.By, views.Option{Value: string(t.ID), Text: "token " + slipway.Visible(t.Name)})
	}
	for _, d := range l.targets {
		f.Deployments = append(f.Deployments, views.Option{Value: string(d.ID), Text: d.Name})
	}
	f.By = choose(f.By, get("by"), views.NoLonger)
	f.Deployments = choose(f.Deployments, get("deployment"), views.NoLonger)
	return f
}

// choose marks the option of a value as chosen. A value without an option gets
// one with the text missing.
func choose(all []views.Option, value, missing string) []views.Option {
	for i := range all {
		if all[i].Value == value {
			all[i].Chosen = true
			return all
		}
	}
	return append(all, views.Option{Value: value, Text: missing, Chosen: true})
}

// auditRow puts e into words. exists says whether the Deployment of e still
// exists and can be linked.
func auditRow(e store.AuditEntry, exists bool) views.AuditRow {
	row := views.AuditRow{At: e.At, By: e.By.Title(), From: string(e.By.Via), Subject: e.Target}
	row.Verb, row.Detail = views.AuditVerb(e.Action, e.Detail)
	if e.By.IP != "" {
		row.From += ", " + e.By.IP
	}
	number, rest, isDeploy := auditedDeploy(e)
	if isDeploy {
		row.Subject, row.Detail = "deploy #"+number+" of "+e.Target, rest
	}
	noun, _, _ := strings.Cut(e.Action, ".")
	switch {
	case e.Target == "": // then there is no word to link
	case noun == "token" && strings.HasPrefix(e.Target, "API "):
		row.URL = tokensPath(e.Workspace)
	case noun == "member" || noun == "invitation":
		row.URL = peoplePath(e.Workspace)
	case noun == "registry":
		row.URL = registriesPath(e.Workspace)
	case !exists:
	case isDeploy:
		row.URL = deploymentPath(e.Deployment) + "/deploys/" + number
	default:
		row.URL = deploymentPath(e.Deployment)
	}
	return row
}

// auditedDeploy returns the number of the deploy in e's detail and the rest of
// the detail: "#5" or "#5, to #2". ok is false for an event about anything
// else.
func auditedDeploy(e store.AuditEntry) (number, rest string, ok bool) {
	if !strings.HasPrefix(e.Action, "deploy.") && e.Action != "switch.prepare" {
		return "", "", false
	}
	number, ok = strings.CutPrefix(e.Detail, "#")
	number, rest, _ = strings.Cut(number, ", ")
	return number, rest, ok
}
