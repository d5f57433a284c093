package api

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
)

// StatusOf is the HTTP status of each kind of error. The CLI treats all of them
// alike and shows the message.
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
}

// failure is what the API answers instead of a result.
type failure struct {
	Message    string `json:"message"`
	RequestID  string `json:"requestId"`
	StatusCode int    `json:"statusCode"`
}

// explain returns the status and the sentence for err.
func explain(err error) (int, string) {
	kind, text := slipway.Explain(err)
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok && kind == slipway.Internal {
		return http.StatusRequestEntityTooLarge, tooLong(e.Limit)
	}
	return StatusOf[kind], text
}

// requestID returns the id that the log has of this request.
func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }
