package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

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
		"invitation":          {slipway.Event{Action: "invitation.remove"}, "took an invitation back", "", ""},
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
