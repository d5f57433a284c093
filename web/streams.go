package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// Intervals of a live page.
const (
	heartbeat = 15 * time.Second       // between two checks; a comment is sent if nothing changed, to keep the connection open
	pause     = 100 * time.Millisecond // least time between two snapshots
	listPause = 500 * time.Millisecond // the same for a list, which any report of its Deployments may change
)

// fragment is a part of a page, sent again after a change.
type fragment struct {
	id   string // of the element to replace
	view templ.Component
}

// snapshot returns the present fragments of a page, or an error after the
// reader has lost access.
type snapshot func() ([]fragment, error)

// liveDeployments serves GET /workspaces/:workspace/live.
func (s *Server) liveDeployments(c echo.Context) error {
	changed, stop := s.engine.WatchAll()
	defer stop()
	return s.streamPaced(c, changed, listPause, s.listSnapshot(c))
}

// liveDeployment serves GET /deployments/:deployment/live?view=overview|deploy|agents.
func (s *Server) liveDeployment(c echo.Context) error {
	changed, stop := s.engine.Watch(deploymentID(c))
	defer stop()
	if c.QueryParam("view") == "deploy" {
		return s.stream(c, changed, s.deploySnapshot(c))
	}
	if c.QueryParam("view") == "agents" {
		return s.stream(c, changed, s.agentsSnapshot(c))
	}
	return s.stream(c, changed, s.overviewSnapshot(c))
}

// agentsSnapshot returns snapshots of the connected agents in Settings.
func (s *Server) agentsSnapshot(c echo.Context) snapshot {
	return func() (all []fragment, err error) {
		err = s.viewScene(c, func(_ *store.Tx, sc scene) error {
			all = []fragment{{"agents-now", views.AgentsNow(s.connected(sc))}}
			return nil
		})
		return all, err
	}
}

// overviewFragments are the changing parts of the Overview. The form is sent
// only if seen, the key of the form on the page, is no longer the present key:
// input in the form must not be lost.
func overviewFragments(o views.Overview, seen string) []fragment {
	all := []fragment{
		{"facts", views.FactsStrip(o.Facts)},
		{"banner", views.DeploymentBanner(o.Frame.Banner)},
		{"waiting", views.WaitingCard(o.Waiting)},
		{"now", views.NowCards(o)},
		{"connect-place", views.ConnectPlace(o.Connect)},
		{"newest", views.NewestCard(o)},
	}
	switch {
	case formKey(o.Form) != seen:
		all = append(all, fragment{"new-deploy", views.NewDeployCard(o.Form)})
	case o.Form.Image != nil:
		all = append(all, fragment{"pushed", views.PushedTags(o.Form.Image.Pushed)})
	}
	return all
}

// deploySnapshot returns snapshots of a deploy. The changes are compared again
// only after a change of the status: a form must not change while somebody
// reads.
func (s *Server) deploySnapshot(c echo.Context) snapshot {
	seen := c.QueryParam("status")
	var log logTail
	return func() (all []fragment, err error) {
		var p views.DeployPage
		var w slipway.Deploy
		var sc scene
		err = s.viewScene(c, func(tx *store.Tx, now scene) (err error) {
			sc = now
			p, w, err = deployHead(tx, sc, queryNumber(c, "number"))
			return err
		})
		if err != nil {
			return nil, err
		}
		if err := s.readLog(c.Request().Context(), sc, w, &log); err != nil {
			return nil, err
		}
		all = []fragment{
			{"deploy-head", views.DeployHead(p.Header)}, {"timeline", views.TimelineCard(p.Timeline)}, {"deploy-log", views.LogCard(log.card(sc, w))},
		}
		if string(w.Status) == seen {
			return all, nil
		}
		if err := s.addChanges(c, sc, w, &p, confirmForm{}); err != nil {
			return nil, err
		}
		seen = string(w.Status)
		return append(all, fragment{"deploy-review", views.DeployReview(p)}, fragment{"deploy-changes", views.DeployChanges(p)},
			fragment{"confirm", views.ConfirmBar(p.Review)}), nil
	}
}

// stream sends snapshots as server-sent events: first all fragments, then the
// changed fragments after each signal of changed. The stream ends with the
// connection, the session or the access.
func (s *Server) stream(c echo.Context, changed <-chan struct{}, next snapshot) error {
	return s.streamPaced(c, changed, pause, next)
}

// streamPaced is stream with another least time between two snapshots.
func (s *Server) streamPaced(c echo.Context, changed <-chan struct{}, least time.Duration, next snapshot) error {
	if !s.slots.acquire(userOf(c).ID) {
		return slipway.Errorf(slipway.TooMany, views.TooManyLive, maxStreams)
	}
	defer s.slots.release(userOf(c).ID)
	sent := map[string]string{}
	first, err := message(c.Request().Context(), next, sent)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "text/event-stream")
	h.Set(echo.HeaderCacheControl, "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies must not buffer events
	c.Response().WriteHeader(http.StatusOK)
	if err := writeEvent(c, first); err != nil {
		return nil // the reader has gone
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-c.Request().Context().Done():
			return nil
		case <-beat.C:
		case <-changed:
		}
		if !s.sendChanges(c, next, sent) {
			return nil
		}
		select {
		case <-c.Request().Context().Done():
			return nil
		case <-time.After(max(least, time.Duration(s.slots.open())*paceEach)):
		}
	}
}

// sendChanges sends the fragments changed since the last message, or a comment
// if none changed. It reports whether the stream goes on.
func (s *Server) sendChanges(c echo.Context, next snapshot, sent map[string]string) bool {
	if !s.stillSignedIn(c) {
		return false
	}
	text, err := message(c.Request().Context(), next, sent)
	if err != nil {
		return false
	}
	if len(text) == 0 {
		text = []byte(": still there\n\n")
	}
	return writeEvent(c, text) == nil
}

// stillSignedIn reads the session from the database: recognise would return the
// state at the start of the request.
func (s *Server) stillSignedIn(c echo.Context) bool {
	sess, _, err := s.sessions.Read(c.Request(), sessionName)
	if err != nil {
		return false // the browser connects again, and the new request logs the failure
	}
	u, ok := sess.Values[auth.UserKey].(slipway.User)
	return ok && u.ID == userOf(c).ID
}

// writeEvent sends text to the browser at once.
func writeEvent(c echo.Context, text []byte) error {
	if _, err := c.Response().Write(text); err != nil {
		return err
	}
	return http.NewResponseController(c.Response()).Flush()
}

// message renders the fragments that differ from sent as one event, and records
// the fragments in sent. The event is empty without differences.
func message(ctx context.Context, next snapshot, sent map[string]string) ([]byte, error) {
	all, err := next()
	if err != nil {
		return nil, err
	}
	var event, part bytes.Buffer
	for _, f := range all {
		part.Reset()
		if err := f.view.Render(ctx, &part); err != nil {
			return nil, fmt.Errorf("render %s: %w", f.id, err)
		}
		if sent[f.id] == part.String() {
			continue
		}
		sent[f.id] = part.String()
		writeData(&event, fmt.Sprintf(`<hx-partial hx-target="#%s" hx-swap="outerMorph">%s</hx-partial>`, f.id, part.String()))
	}
	if event.Len() > 0 {
		event.WriteByte('\n')
	}
	return event.Bytes(), nil
}

// lineEnds replaces every line end of an event stream by \n: a lone \r in a
// shown file would begin a new field.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// writeData writes html to an event, with "data: " before every line.
func writeData(w io.Writer, html string) {
	for line := range strings.SplitSeq(lineEnds.Replace(html), "\n") {
		fmt.Fprintf(w, "data: %s\n", line)
	}
}
