package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/views"
	"slipway/web/api"
)

// routerTexts are sentences for echo's own errors.
var routerTexts = map[int]string{
	http.StatusNotFound:         views.NoAddress,
	http.StatusMethodNotAllowed: views.NoMethod,

	http.StatusPreconditionFailed:   views.NoTus, // only the routes of tus answer these two
	http.StatusUnsupportedMediaType: views.NoTusType,
}

// statusOf is the HTTP status of a kind of error: the API's, except 422 for a
// refused form.
func statusOf(kind slipway.Kind) int {
	if kind == slipway.Invalid {
		return http.StatusUnprocessableEntity
	}
	return api.StatusOf[kind]
}

// explain returns the status and the sentence for err.
func explain(err error) (int, string) {
	kind, text := slipway.Explain(err)
	if kind != slipway.Internal {
		return statusOf(kind), text
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge, fmt.Sprintf(views.FormTooLarge, views.Bytes(e.Limit))
	}
	if e, ok := errors.AsType[*echo.HTTPError](err); ok && e.Code < http.StatusInternalServerError {
		if text := routerTexts[e.Code]; text != "" {
			return e.Code, text
		}
		return e.Code, http.StatusText(e.Code) + "."
	}
	return http.StatusInternalServerError, text
}

// tellWait tells in the response's header when a refused try may be repeated.
func tellWait(c echo.Context, err error) {
	if w, ok := errors.AsType[*auth.WaitError](err); ok {
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(int(w.After/time.Second)))
	}
}

// fail turns the error of any handler into a response. Users see only errors
// meant for users; logged writes every error.
func (s *Server) fail(err error, c echo.Context) {
	c.Set(errorKey, err)
	if c.Response().Committed {
		return
	}
	status, text := explain(err)
	tellWait(c, err)
	show := func() error { return s.answer(c, status, text) }
	if _, ofRouter := errors.AsType[*echo.HTTPError](err); !ofRouter && api.Owns(c.Request().URL.Path) {
		show = func() error { return api.Refuse(c, err) }
	}
	if err := show(); err != nil {
		s.log.Error("an error could not be shown", "request", requestID(c), "err", err)
	}
}

// answer shows a failure in a format for the client.
func (s *Server) answer(c echo.Context, status int, text string) error {
	switch {
	case c.Request().Method == http.MethodHead:
		return c.NoContent(status)
	case !wantsHTML(c):
		return c.String(status, text+"\n")
	case status == http.StatusUnauthorized && !userKnown(c):
		return s.sendToSignIn(c)
	case wantsPartial(c):
		c.Response().Header().Set("HX-Retarget", "#notice")
		c.Response().Header().Set("HX-Reswap", "innerHTML")
		return render(c, status, views.FailureNotice(text, failureID(c, status)))
	}
	if !userKnown(c) {
		_, _ = s.recognise(c) // a menu is missing without a user, and the failure page must not fail too
	}
	return render(c, status, views.FailurePage(s.bareFrame(c, failureTitle(status)), text, failureID(c, status)))
}

// sendToSignIn leads to the sign-in page, and from there back to the page
// before.
func (s *Server) sendToSignIn(c echo.Context) error {
	next := c.Request().URL.RequestURI()
	if wantsPartial(c) || c.Request().Method != http.MethodGet {
		next = pageBefore(c)
	}
	return seeOther(c, signInPath(localPath(next)))
}

// pageBefore returns the path of the page behind a form or htmx request.
func pageBefore(c echo.Context) string {
	h := c.Request().Header
	for _, name := range []string{"HX-Current-URL", "Referer"} {
		if u, err := url.Parse(h.Get(name)); err == nil && u.Host == c.Request().Host {
			return u.RequestURI()
		}
	}
	return "/"
}

// failureTitle is the title of the failure page.
func failureTitle(status int) string {
	switch status {
	case http.StatusNotFound:
		return "Not found"
	case http.StatusForbidden:
		return "Not allowed"
	case http.StatusInternalServerError:
		return "Something went wrong"
	}
	return views.TitleFailure
}

// failureID is the request id to quote when asking for help; "" below status
// 500.
func failureID(c echo.Context, status int) string {
	if status < http.StatusInternalServerError {
		return ""
	}
	return requestID(c)
}
