package web

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/views"
)

// maxLogLines is how many lines of a log a page shows: the last ones.
const maxLogLines = 300

// logTail is the end of a deploy's log, up to the last line read.
type logTail struct {
	lines []string
	read  int // lines
}

// readLog reads the lines added since the last call.
func (s *Server) readLog(ctx context.Context, sc scene, w slipway.Deploy, t *logTail) error {
	for w.Kind.HasImage() { // only image deploys have a log
		more, err := s.engine.Log(ctx, sc.ID, w.Number, sc.by, t.read)
		if err != nil || len(more) == 0 {
			return err
		}
		for _, l := range more {
			t.lines, t.read = append(t.lines, l.Text), l.Line
		}
		t.lines = t.lines[max(0, len(t.lines)-maxLogLines):]
	}
	return nil
}

// card is the log on the page of w, with the number of earlier lines.
func (t *logTail) card(sc scene, w slipway.Deploy) views.LogCardProps {
	return views.LogCardProps{Lines: t.lines, Earlier: t.read - len(t.lines), AllURL: deployPath(sc.ID, w.Number) + "/log"}
}

// sendLog serves GET /deployments/:deployment/deploys/:number/log: the whole log.
func (s *Server) sendLog(c echo.Context) error {
	n, err := number(c)
	if err != nil {
		return err
	}
	ctx, of, by := c.Request().Context(), deploymentID(c), actorOf(c)
	lines, err := s.engine.Log(ctx, of, n, by, 0)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderContentType, echo.MIMETextPlainCharsetUTF8)
	attach(c.Response().Header(), fmt.Sprintf("deploy-%d.log", n))
	c.Response().WriteHeader(http.StatusOK)
	for len(lines) > 0 {
		for _, l := range lines {
			if _, err := fmt.Fprintf(c.Response(), "%s %s\n", l.At.UTC().Format(time.RFC3339), l.Text); err != nil {
				return nil // the reader has gone
			}
		}
		if lines, err = s.engine.Log(ctx, of, n, by, lines[len(lines)-1].Line); err != nil {
			return err
		}
	}
	return nil
}
