package web

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
)

// healthz serves GET /healthz: the process is up.
func (s *Server) healthz(c echo.Context) error {
	return c.String(http.StatusOK, "ok\n")
}

// readyz serves GET /readyz: deploys can be taken and carried out.
func (s *Server) readyz(c echo.Context) error {
	err := s.store.Ping(c.Request().Context())
	if err == nil {
		err = s.engine.Ready()
	}
	if err != nil {
		c.Set(errorKey, fmt.Errorf("not ready: %w", err))
		text := "not ready"
		if kind, why := slipway.Explain(err); kind != slipway.Internal {
			text += ": " + why
		}
		return c.String(http.StatusServiceUnavailable, text+"\n")
	}
	return c.String(http.StatusOK, "ready\n")
}
