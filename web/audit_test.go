package web

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

func (a *app) auditPath() string { return auditPath(a.Workspace.ID) }

// noted records events of the Workspace as Eve.
func (a *app) noted(t *testing.T, all ...slipway.Event) {
	t.Helper()
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		for _, e := range all {
			e.Workspace = a.Workspace.ID
			if err := tx.Audit(a.Eve, e); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestAuditLogIsForOwners(t *testing.T) {
	a := newApp(t)
	a.noted(t, slipway.Event{Action: "workspace.rename", Target: "Data", Detail: "Now Data Platform."})
	for name, tt := range map[string]struct {
		who    slipway.Actor
		status int
		link   bool // in the navigation of other pages
	}{
		"Owner": {a.Ada, http.StatusOK, true}, "admin": {a.Root, http.StatusOK, true},
		"Operator": {a.Oli, http.StatusForbidden, false}, "Author": {a.Eve, http.StatusForbidden, false},
		"Member": {a.Mia, http.StatusForbidden, false}, "stranger": {a.Sam, http.StatusNotFound, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := a.as(t, tt.who)
			w := b.get(a.auditPath())
			if shown := strings.Contains(w.Body.String(), "Now Data Platform."); w.Code != tt.status || shown != (tt.status == http.StatusOK) {
				t.Errorf("answer %d, the event is shown: %v", w.Code, shown)
			}
			linked := strings.Contains(b.get(peoplePath(a.Workspace.ID)).Body.String(), a.auditPath()) || strings.Contains(b.get(a.page("")).Body.String(), a.auditPath())
			if linked != tt.link {
				t.Errorf("linked to: %v, want %v", linked, tt.link)
			}
		})
	}
}

func TestAuditLogInWords(t *testing.T) {
	a := newApp(t)
	base := deploymentPath(a.Sales.ID)
	for name, tt := range map[string]struct {
		e         slipway.Event
		want, url string
		detail    string
	}{
		"deploy":              {slipway.Event{Deployment: a.Sales.ID, Action: "deploy.confirm", Target: "sales-prod", Detail: "#7"}, "confirmed deploy #7 of sales-prod", base + "/deploys/7", ""},
		"return":              {slipway.Event{Deployment: a.Sales.ID, Action: "deploy.return", Target: "sales-prod", Detail: "#7, to #2"}, "returned by deploy #7 of sales-prod", base + "/deploys/7", "to #2"},
		"deploy that is gone": {slipway.Event{Deployment: "gone", Action: "deploy.cancel", Target: "old-prod", Detail: "#7"}, "cancelled deploy #7 of old-prod", "", ""},
		"deleted Deployment":  {slipway.Event{Deployment: "gone", Action: "deployment.delete", Target: "old-prod", Detail: "ns-1"}, "deleted the Deployment old-prod", "", "ns-1"},
		"settings":            {slipway.Event{Deployment: a.Sales.ID, Action: "deployment.edit", Target: "sales-prod"}, "edited the settings of sales-prod", base, ""},
		"switch":              {slipway.Event{Deployment: a.Sales.ID, Action: "switch.apply", Target: "sales-prod", Detail: "off"}, "turned DAG-only deploys off for sales-prod", base, ""},
		"API token":           {slipway.Event{Deployment: a.Sales.ID, Action: "token.create", Target: "API token ci", Detail: "As Author."}, "made the API token ci", a.tokensPath(), "As Author."},
		"agent token":         {slipway.Event{Deployment: a.Sales.ID, Action: "token.revoke", Target: "agent token workers"}, "revoked the agent token workers", base, ""},
		"member":              {slipway.Event{Action: "member.remove", Target: "mia@example.com"}, "removed from the Workspace mia@example.com", peoplePath(a.Workspace.ID), ""},
		"invitation":          {slipway.Event{Action: "invitation.remove"}, "revoked an invitation", "", ""},
		"registry":            {slipway.Event{Action: "registry.set", Target: "ghcr.example", Detail: "bot"}, "set the login at the registry ghcr.example", registriesPath(a.Workspace.ID), "bot"},
		"without words":       {slipway.Event{Action: "moon.land", Target: "Eagle", Detail: "First."}, "moon.land Eagle", "", "First."},
	} {
		t.Run(name, func(t *testing.T) {
			row := auditRow(store.AuditEntry{By: a.Eve, Event: withWorkspace(tt.e, a.Workspace.ID)}, tt.e.Deployment == a.Sales.ID)
			if got := strings.TrimSpace(row.Verb + " " + row.Subject); got != tt.want || row.URL != tt.url || row.Detail != tt.detail {
				t.Errorf("got %q at %q with %q, want %q at %q with %q", got, row.URL, row.Detail, tt.want, tt.url, tt.detail)
			}
			if row.By != "Eve Author" || row.From != "portal, 127.0.0.1" {
				t.Errorf("by %q from %q", row.By, row.From)
			}
		})
	}
}

func withWorkspace(e slipway.Event, w slipway.WorkspaceID) slipway.Event {
	e.Workspace = w
	return e
}

func TestAuditLogHasPages(t *testing.T) {
	a := newApp(t)
	want(t, a.as(t, a.Ada).get(a.auditPath()), http.StatusOK, "Nothing yet")
	var all []slipway.Event
	for n := range 2*pageSize + 1 {
		all = append(all, slipway.Event{Action: "registry.set", Target: fmt.Sprintf("host-%d.", n)})
	}
	a.noted(t, all...)
	b, path := a.as(t, a.Ada), a.auditPath()
	for page, size := range []int{pageSize, pageSize, 1} {
		w := b.get(path)
		text := w.Body.String()
		if got := strings.Count(text, `data-testid="event"`); w.Code != http.StatusOK || got != size {
			t.Fatalf("page %d: answer %d with %d events, want %d", page, w.Code, got, size)
		}
		newest := len(all) - 1 - page*pageSize
		first, last := strings.Index(text, all[newest].Target), strings.Index(text, all[newest-size+1].Target)
		if first < 0 || last < first {
			t.Errorf("page %d does not go from %s to %s", page, all[newest].Target, all[newest-size+1].Target)
		}
		_, older, found := strings.Cut(text, `rel="next" href="`)
		if found != (page < 2) || strings.Contains(text, `rel="prev"`) != (page > 0) {
			t.Errorf("page %d: older %v", page, found)
		}
		path, _, _ = strings.Cut(older, `"`)
	}
}

// filterWorld has one event of each sort for the filters.
func filterWorld(t *testing.T) *app {
	t.Helper()
	a := newApp(t)
	for _, e := range []struct {
		day int
		by  slipway.Actor
		slipway.Event
	}{
		{1, a.Eve, slipway.Event{Deployment: a.Sales.ID, Action: "deploy.upload", Target: "sales-prod", Detail: "#7"}},
		{2, slipway.Actor{User: a.Eve.User, Token: "t-1", Name: "ci", Via: slipway.API, IP: "192.0.2.7"}, slipway.Event{Deployment: a.Sales.ID, Action: "deploy.confirm", Target: "sales-prod", Detail: "#7"}},
		{3, a.Ada, slipway.Event{Action: "registry.set", Target: "50%_off.example", Detail: "=cmd()"}},
	} {
		a.now = time.Date(2026, 11, e.day, 18, 2, 1, 0, time.UTC)
		storetest.Update(t, a.store, func(tx *store.Tx) error {
			e.Workspace = a.Workspace.ID
			return tx.Audit(e.by, e.Event)
		})
	}
	return a
}

func TestAuditLogFilters(t *testing.T) {
	a := filterWorld(t)
	b := a.as(t, a.Ada)
	for query, want := range map[string]string{
		"": "321", "q=confirmed": "2", "q=CI": "2", "q=192.0.2.7": "2", "q=%237+sales": "21", "q=50%25_off": "3", "q=_______": "",
		"what=deploy": "21", "what=workspace": "3", "what=moon": "", "by=t-1": "2", "by=" + string(a.Eve.User): "1", "deployment=" + string(a.Sales.ID): "21",
		"from=2026-11-02": "32", "to=2026-11-02": "21", "from=2026-11-02&to=2026-11-02": "2", "what=deploy&q=uploaded": "1", "deployment=gone": "",
	} {
		text := b.get(a.auditPath() + "?" + query).Body.String()
		days := ""
		for _, m := range regexp.MustCompile(`datetime="2026-11-0(\d)T18:02:01Z"`).FindAllStringSubmatch(text, -1) {
			days += m[1]
		}
		if days != want {
			t.Errorf("%q shows the events of the days %q, want %q", query, days, want)
		}
		if cleared := strings.Contains(text, `>Clear<`); cleared != (query != "") {
			t.Errorf("%q: a way to clear the filters: %v", query, cleared)
		}
		if said := strings.Contains(text, "No entry is like this"); said != (want == "") {
			t.Errorf("%q: it says that nothing is found: %v", query, said)
		}
	}
	want(t, b.get(a.auditPath()+"?q=sales&by=gone"), http.StatusOK, `value="sales"`, `value="gone" selected>No longer there`)
	want(t, b.get(a.auditPath()+"?from=yesterday"), http.StatusOK, "“yesterday” is no day.")
	want(t, b.get(a.auditPath()+"?q=%00"), http.StatusOK, "a character that no entry can have")
	want(t, b.get(a.auditPath()+"/export?format=csv&q=%00"), http.StatusUnprocessableEntity, "a character that no entry can have")
	want(t, b.get(a.auditPath()), http.StatusOK, "18:02:01", "Tuesday, 3 November 2026")
}

func TestAuditLogExports(t *testing.T) {
	a := filterWorld(t)
	b := a.as(t, a.Ada)
	w := b.get(a.auditPath() + "/export?format=csv")
	rows, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(rows) != 4 || !slices.Equal(rows[0], auditColumns) {
		t.Fatalf("CSV of %d rows, begins with %q: %v", len(rows), rows[0], err)
	}
	if got := rows[1][1:]; !slices.Equal(got, []string{"2026-11-03T18:02:01Z", "Ada Lovelace", "portal", "127.0.0.1", "registry.set", "50%_off.example", "'=cmd()", ""}) {
		t.Errorf("the newest row is %q", got)
	}
	if got := w.Header().Get("Content-Disposition"); got != "attachment; filename=audit-2026-11-03.csv" {
		t.Errorf("it is sent as %q", got)
	}
	w = b.get(a.auditPath() + "/export?format=ndjson&what=deploy&q=ci")
	var line auditLine
	if err := json.Unmarshal(w.Body.Bytes(), &line); err != nil || line.By != "token ci" || line.Token != "t-1" || line.Detail != "#7" || line.At != "2026-11-02T18:02:01Z" {
		t.Errorf("the only line is %+v: %v", line, err)
	}
	want(t, b.get(a.auditPath()+"/export?format=xml"), http.StatusUnprocessableEntity, "There is no format")
	want(t, b.get(a.auditPath()+"/export?format=csv&from=x"), http.StatusUnprocessableEntity, "is no day")
}

// An export has all entries, also those of further batches.
func TestAuditLogExportsInBatches(t *testing.T) {
	a := newApp(t)
	all := make([]slipway.Event, 2*exportBatch+1)
	for n := range all {
		all[n] = slipway.Event{Action: "registry.set", Target: fmt.Sprint(n)}
	}
	a.noted(t, all...)
	lines := strings.Split(strings.TrimSpace(a.as(t, a.Ada).get(a.auditPath()+"/export?format=ndjson").Body.String()), "\n")
	if len(lines) != len(all) || !strings.Contains(lines[0], `"target":"1000"`) || !strings.Contains(lines[len(lines)-1], `"target":"0"`) {
		t.Errorf("%d lines from %s to %s", len(lines), lines[0], lines[len(lines)-1])
	}
}
