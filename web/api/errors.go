package api

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
)

// StatusOf is the HTTP status of each kind of error. The CLI shows the message
// of any.
var StatusOf = map[slipway.Kind]int{
	slipway.Internal:     http.StatusInternalServerError,
	slipway.Invalid:      http.StatusBadRequest,
	slipway.Unauthorized: http.StatusUnauthorized,
	slipway.Forbidden:    http.StatusForbidden,
	slipway.NotFound:     http.StatusNotFound,
	slipway.Conflict:     http.StatusConflict,
	slipway.TooLarge:     http.StatusRequestEntityTooLarge,
	slipway.TooMany:      http.StatusTooManyRequests,
	slipway.NoSpace:      http.StatusInsufficientStorage,
	slipway.Unavailable:  http.StatusServiceUnavailable,

	slipway.Unprocessable: http.StatusUnprocessableEntity,
	slipway.TooSlow:       http.StatusRequestTimeout,
}

// errorBody is the JSON of a refused or failed request.
type errorBody struct {
	Message    string `json:"message"`
	RequestID  string `json:"requestId"`
	StatusCode int    `json:"statusCode"`
}

// explain returns the status and the sentence for err. Internal errors have a
// fixed sentence, and only the log has the details.
func explain(err error) (int, string) {
	kind, text := slipway.Explain(err)
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok && kind == slipway.Internal {
		return http.StatusRequestEntityTooLarge, tooLargeText(e.Limit)
	}
	return StatusOf[kind], text
}

// requestID returns the id of a request in the log.
func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }
