package web

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
	"slipway/web/api"
)

// callbackPolicy lets the form of a page lead to where the CLI waits, and
// nowhere else outside.
var callbackPolicy = strings.Replace(contentPolicy, "form-action 'self'", "form-action 'self' http://localhost:12345", 1)

// showAuthorize serves GET /auth/authorize, where the CLI's login sends a
// browser.
func (s *Server) showAuthorize(c echo.Context) error {
	switch {
	case c.QueryParam("redirect_uri") != api.Callback:
		return slipway.Errorf(slipway.Invalid, views.LoginCallback, api.Callback)
	case c.QueryParam("response_type") != "code" || c.QueryParam("code_challenge_method") != "S256":
		return slipway.Errorf(slipway.Invalid, views.LoginCode)
	case c.QueryParam("code_challenge") == "":
		return slipway.Errorf(slipway.Invalid, views.LoginChallenge)
	}
	c.Response().Header().Set("Content-Security-Policy", callbackPolicy)
	return render(c, http.StatusOK, views.AuthorizePage(views.Authorize{
		Page: s.bareFrame(c, views.TitleAuthorize), Challenge: c.QueryParam("code_challenge"), State: c.QueryParam("state"),
	}))
}

// authorize serves POST /auth/authorize.
func (s *Server) authorize(c echo.Context) error {
	back := url.Values{}
	if state := c.FormValue("state"); state != "" {
		back.Set("state", state)
	}
	if c.FormValue("answer") != "allow" {
		back.Set("error", "access_denied")
		back.Set("error_description", views.LoginDenied)
		return c.Redirect(http.StatusSeeOther, api.Callback+"?"+back.Encode())
	}
	by := actorOf(c)
	err := s.store.Update(c.Request().Context(), func(tx *store.Tx) error {
		code, err := api.AddCode(tx, by.User, c.FormValue("code_challenge"))
		if err != nil {
			return err
		}
		back.Set("code", code)
		return auth.AuditLogin(tx, by, userOf(c))
	})
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, api.Callback+"?"+back.Encode())
}
