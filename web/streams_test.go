package web

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// listener reads a live page's events over a real connection.
type listener struct {
	t      *testing.T
	events chan string // closed when the stream ends
}

func (b *browser) listen(path string) *listener {
	b.t.Helper()
	server := httptest.NewServer(b.handler)
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	resp, err := server.Client().Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		cancel()
		if err := resp.Body.Close(); err != nil {
			b.t.Error(err)
		}
		server.Close()
	})
	if h := resp.Header; resp.StatusCode != http.StatusOK || h.Get("Content-Type") != "text/event-stream" || h.Get("Content-Encoding") != "" {
		b.t.Fatalf("answer %d %v", resp.StatusCode, h)
	}
	l := &listener{t: b.t, events: make(chan string)}
	go func() {
		defer close(l.events)
		var event strings.Builder
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if data, isData := strings.CutPrefix(lines.Text(), "data: "); isData {
				event.WriteString(data + "\n")
			} else if lines.Text() == "" && event.Len() > 0 {
				l.events <- event.String()
				event.Reset()
			}
		}
	}()
	return l
}

// until reads events until one holds all parts.
func (l *listener) until(parts ...string) string {
	l.t.Helper()
	for {
		event, more := <-l.events
		if !more {
			l.t.Fatalf("the stream ended before %q", parts)
		}
		missing := false
		for _, p := range parts {
			missing = missing || !strings.Contains(event, p)
		}
		if !missing {
			return event
		}
	}
}

func TestLiveOverview(t *testing.T) {
	a := newApp(t)
	a.run(t)
	b := a.as(t, a.Eve)
	l := b.listen(a.page("/live?view=overview"))
	first := l.until(`hx-target="#facts"`, `hx-target="#now"`, `hx-target="#newest"`, `hx-target="#new-deploy"`, `hx-swap="outerMorph"`)
	if !strings.Contains(first, "No deploys yet") {
		t.Error("the first snapshot lacks the list")
	}

	w := a.live(t, a.Eve, map[string]string{"a.py": dag})

	for event := l.until("LIVE"); !strings.Contains(event, w.Version.Short()); {
		event = l.until(w.Version.Short())
	}
	want(t, b.get(a.page("")), http.StatusOK, "LIVE", w.Version.Short())
}

// The form in which somebody may be typing is sent only when it is another.
func TestLiveLeavesTheForm(t *testing.T) {
	a := newApp(t)
	a.run(t)
	b := a.as(t, a.Ada)
	page := b.get(a.page("")).Body.String()
	_, rest, _ := strings.Cut(page, `hx-sse:connect="`)
	address, _, _ := strings.Cut(rest, `"`)
	l := b.listen(strings.ReplaceAll(address, "&amp;", "&"))
	if first := l.until("#facts"); strings.Contains(first, "#new-deploy") {
		t.Error("the form is replaced by the same form")
	}
	if _, err := a.engine.Switch(t.Context(), a.Sales.ID, false, a.Ada, true); err != nil {
		t.Fatal(err)
	}
	l.until(`hx-target="#new-deploy"`, "DAG-only deploys are not enabled")
}

func TestLiveDeploy(t *testing.T) {
	a := newApp(t)
	a.run(t)
	a.staged(t, a.Eve, map[string]string{"a.py": dag})
	l := a.as(t, a.Eve).listen(a.page("/live?view=deploy&number=1&status=initialized"))
	l.until("TO CONFIRM", `hx-target="#deploy-review"`, "What this deploy will do", "#deploy-changes")

	a.confirmed(t, a.Eve, 1)

	if event := l.until("DEPLOYED"); strings.Contains(event, "Deploy DAGs") {
		t.Error("what is done can still be confirmed")
	}
}

func TestLiveDeployments(t *testing.T) {
	a := newApp(t)
	l := a.as(t, a.Mia).listen(workspacePath(a.Workspace.ID) + "/live")
	l.until(`hx-target="#deployments"`, "sales-prod")
	d, err := slipway.NewDeployment(a.Workspace.ID, "another", true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.engine.Create(t.Context(), d, a.Ada); err != nil {
		t.Fatal(err)
	}
	l.until("another")
}

// A stream ends with the session and with the role.
func TestLiveEnds(t *testing.T) {
	for name, end := range map[string]func(*app, *store.Tx) error{
		"session": func(a *app, tx *store.Tx) error { return tx.EndSessions(a.Eve.User) },
		"role":    func(a *app, tx *store.Tx) error { return tx.RemoveMember(a.Workspace.ID, a.Eve.User) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			a.run(t)
			l := a.as(t, a.Eve).listen(a.page("/live?view=overview"))
			l.until("#facts", "#newest")
			storetest.Update(t, a.store, func(tx *store.Tx) error { return end(a, tx) })
			a.staged(t, a.Ada, map[string]string{"a.py": dag}) // a change
			for event := range l.events {
				if strings.Contains(event, "TO CONFIRM") {
					t.Fatal("told what happened afterwards")
				}
			}
		})
	}
}

// The list is rendered once for all readers of a role, who all see the change.
func TestListIsRenderedOnceForARole(t *testing.T) {
	a := newApp(t)
	a.run(t)
	token, _ := a.agentToken(t, a.Sales.ID)
	var readers []*listener
	for range 5 {
		l := a.as(t, a.Mia).listen(workspacePath(a.Workspace.ID) + "/live")
		l.until("sales-prod")
		readers = append(readers, l)
	}
	eve := a.as(t, a.Eve).listen(workspacePath(a.Workspace.ID) + "/live")
	eve.until("Deploy your first DAGs") // for authors alone
	before := a.server.liveViews.rendered.Load()
	want(t, a.asAgent(t, token, "POST", "report", `{"component":"worker-0","dags":"image","error":"the disk is full"}`), 204)
	for _, l := range readers {
		if event := l.until("the disk is full"); strings.Contains(event, "Deploy your first DAGs") {
			t.Errorf("a member is offered a deploy: %s", event)
		}
	}
	eve.until("the disk is full")
	if n := a.server.liveViews.rendered.Load() - before; n > 5 {
		t.Errorf("%d renderings for a report and two roles, want 5 at most", n)
	}
}

// The Overview is rendered once for all readers of a role, and for a reader with
// something of their own by itself; everybody sees every change.
func TestOverviewIsRenderedOnceForARole(t *testing.T) {
	a := newApp(t)
	a.run(t)
	token, _ := a.agentToken(t, a.Sales.ID)
	a.staged(t, a.Eve, map[string]string{"a.py": dag})
	var members []*listener
	for range 5 {
		l := a.as(t, a.Mia).listen(a.page("/live?view=overview"))
		l.until("facts")
		members = append(members, l)
	}
	eve := a.as(t, a.Eve).listen(a.page("/live?view=overview"))
	if first := eve.until("waiting"); !strings.Contains(first, "What deploy #1 will do") {
		t.Errorf("Eve does not see her own deploy: %s", first)
	}
	before := a.server.liveViews.rendered.Load()
	const reports = 3
	for i := range reports {
		name := "worker-" + string(rune('0'+i))
		want(t, a.asAgent(t, token, "POST", "report", `{"component":"`+name+`","dags":"image"}`), 204)
		for _, l := range members {
			if event := l.until(name); strings.Contains(event, "What deploy #1 will do") {
				t.Errorf("a member sees Eve's deploy: %s", event)
			}
		}
		eve.until(name)
	}
	if n := a.server.liveViews.rendered.Load() - before; n > reports*2*2 {
		t.Errorf("rendered %d times for %d changes and two kinds of reader", n, reports)
	}
}
