package web

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
)

// maxAgentLog is the most bytes of log in one request of an agent,
// maxAgentLines the most lines.
const (
	maxAgentLog   = 1 << 20
	maxAgentLines = 1000
)

// receiveLog serves POST /agent/v1/log: lines for the log of the present
// rollout.
func (s *Server) receiveLog(c echo.Context) error {
	body := http.MaxBytesReader(c.Response(), c.Request().Body, maxAgentLog)
	var said slipway.AgentLog
	if err := json.NewDecoder(body).Decode(&said); err != nil || len(said.Lines) > maxAgentLines {
		return errors.Join(slipway.Errorf(slipway.Invalid, "A log is an object in JSON of at most %d MiB and %d lines.", maxAgentLog>>20, maxAgentLines), err)
	}
	if _, _, err := s.agentOf(c); err != nil {
		return err // the token was revoked while the log came
	}
	of, err := slipway.Report{Component: said.Component}.Check()
	if err != nil {
		return err
	}
	if err := portalOf(c).Log(c.Request().Context(), of.Component, said.Lines); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
