package web

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
)

// healthz serves GET /healthz: the process is up.
func (s *Server) healthz(c echo.Context) error {
	return c.String(http.StatusOK, "ok\n")
}

// readyz serves GET /readyz: deploys can be taken and carried out. Whoever asks from
// this machine or a private network gets the reason, anybody else a word.
func (s *Server) readyz(c echo.Context) error {
	err := s.store.Ping(c.Request().Context())
	if err == nil {
		err = s.engine.Ready()
	}
	if err == nil {
		return c.String(http.StatusOK, "ready\n")
	}
	c.Set(errorKey, fmt.Errorf("not ready: %w", err))
	why := readyWord(err)
	if kind, text := slipway.Explain(err); kind != slipway.Internal && s.isNear(c) {
		why = text
	}
	if why != "" {
		why = ": " + why
	}
	return c.String(http.StatusServiceUnavailable, "not ready"+why+"\n")
}

// readyWord says in a word why the portal is not ready: without names or amounts.
func readyWord(err error) string {
	switch {
	case errors.Is(err, store.ErrLocked):
		return "records"
	case errors.Is(err, slipway.ErrNoSpace):
		return "disk"
	case errors.Is(err, slipway.ErrUnavailable):
		return "storage"
	}
	return ""
}
