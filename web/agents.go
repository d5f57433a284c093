package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/deploy"
	"slipway/internal/inbound"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/web/api"
)

// The agents' side of the portal: the desired state of one Deployment, the
// files in the bundle, reports and logs. No handler here reads a cookie.

// agentsPath is the start of all addresses for agents.
const agentsPath = "/agent/v1/"

// The key of the agent in the context of a request, and limits of requests by
// agents.
const (
	agentKey = "agent"

	maxReport = 64 << 10 // bytes

	// Requests at once by agents of one token, and the pause before another
	// request: a broken agent must not keep the portal busy.
	agentBurst = 4000
	agentPause = time.Millisecond
)

// agentRoutes are the protocol.
func (s *Server) agentRoutes(e *echo.Echo) {
	agents := group{e, []echo.MiddlewareFunc{s.agentOnly}}
	agents.GET(agentsPath+"desired", s.sendDesired)
	agents.GET(agentsPath+"manifests/:version", s.sendManifest)
	agents.GET(agentsPath+"packs/:pack", s.sendPack)
	agents.POST(agentsPath+"report", s.receiveReport)
	agents.POST(agentsPath+"log", s.receiveLog)
	e.Any(agentsPath+"*", func(echo.Context) error {
		return slipway.Errorf(slipway.NotFound, "There is nothing at this address for agents. A newer portal may have it.")
	})
}

// agentOnly lets requests with an agent token pass. An agent token is for one
// Deployment.
func (s *Server) agentOnly(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		t, d, err := s.agentOf(c)
		if err != nil {
			return err
		}
		inbound.Known(c.Request().Context())
		if err := s.agents.Take(string(t.ID), s.store.Now()); err != nil {
			return err
		}
		if s.store.Now().Sub(t.LastUsedAt) >= api.TouchInterval {
			err := s.store.Note(c.Request().Context(), func(tx *store.Tx) error { return tx.TouchToken(t.ID) })
			if err != nil {
				return err
			}
		}
		c.Set(agentKey, s.engine.Portal(d).With(t.ID))
		return next(c)
	}
}

// agentOf loads the agent token of a request and the token's Deployment.
func (s *Server) agentOf(c echo.Context) (t store.Token, d slipway.Deployment, err error) {
	scheme, token, _ := strings.Cut(c.Request().Header.Get(echo.HeaderAuthorization), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return t, d, slipway.Errorf(slipway.Unauthorized, "Send an agent token: Authorization: Bearer …")
	}
	err = s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		if t, err = tx.Token(auth.Fingerprint(token)); err != nil {
			return err
		}
		if t.Kind != store.AgentToken {
			return slipway.Errorf(slipway.Unauthorized, "This is no agent token. Make one on the Settings page of the Deployment.")
		}
		d, err = tx.LoadDeployment(t.Deployment)
		return err
	})
	return t, d, err
}

// portalOf returns the portal as seen by the asking agent.
func portalOf(c echo.Context) *deploy.AgentPortal {
	p, _ := c.Get(agentKey).(*deploy.AgentPortal)
	return p
}

// sendDesired serves GET /agent/v1/desired?since=. With a revision other than
// since the answer comes at once, else on the next change or after a while.
func (s *Server) sendDesired(c echo.Context) error {
	want, err := portalOf(c).Desired(c.Request().Context(), c.QueryParam("since"))
	if c.Request().Context().Err() != nil {
		return c.String(http.StatusServiceUnavailable, "The portal stops. Ask again.\n")
	}
	if err != nil {
		return err
	}
	if _, _, err := s.agentOf(c); err != nil {
		return err // the token was revoked during the wait
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return c.JSON(http.StatusOK, want)
}

// sendManifest serves GET /agent/v1/manifests/:version.
func (s *Server) sendManifest(c echo.Context) error {
	v, ok := slipway.VersionOfDir(c.Param("version"))
	if !ok {
		return slipway.Errorf(slipway.NotFound, "There is no DAG bundle version %s.", c.Param("version"))
	}
	to, err := portalOf(c).ManifestURL(c.Request().Context(), v)
	if err == nil && to != "" {
		return toBucket(c, to)
	}
	f, err := portalOf(c).OpenManifest(c.Request().Context(), v)
	if err != nil {
		return err
	}
	defer f.Close()
	return sendFile(c, f, v.Dir())
}

// sendPack serves GET /agent/v1/packs/:pack, also in ranges.
func (s *Server) sendPack(c echo.Context) error {
	to, err := portalOf(c).PackURL(c.Request().Context(), c.Param("pack"))
	if err == nil && to != "" {
		return toBucket(c, to)
	}
	f, err := portalOf(c).OpenPack(c.Param("pack"))
	if err != nil {
		return err
	}
	defer f.Close()
	return sendFile(c, f, c.Param("pack"))
}

// toBucket has the agent read a file in the bucket itself.
func toBucket(c echo.Context, address string) error {
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store") // the address holds a signature
	return c.Redirect(http.StatusTemporaryRedirect, address)
}

// sendFile sends a file named by its content: whole or one range. Several
// ranges are refused, because each one would be a request to a bucket.
func sendFile(c echo.Context, f io.ReadSeeker, name string) error {
	if strings.Contains(c.Request().Header.Get("Range"), ",") {
		return c.String(http.StatusRequestedRangeNotSatisfiable, "Ask for one range at a time.\n")
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, echo.MIMEOctetStream)
	h.Set("ETag", `"`+name+`"`)
	h.Set(echo.HeaderCacheControl, "private, max-age=31536000, immutable")
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, f)
	return nil
}

// receiveReport serves POST /agent/v1/report.
func (s *Server) receiveReport(c echo.Context) error {
	body := http.MaxBytesReader(c.Response(), c.Request().Body, maxReport)
	var r slipway.Report
	if err := json.NewDecoder(body).Decode(&r); err != nil {
		return errors.Join(slipway.Errorf(slipway.Invalid, "A report is an object in JSON of at most %d KiB.", maxReport>>10), err)
	}
	if _, _, err := s.agentOf(c); err != nil {
		return err // the token was revoked while the report came
	}
	r, err := r.Check()
	if err != nil {
		return err
	}
	if err := portalOf(c).Report(c.Request().Context(), r); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
