package api

import (
	"errors"
	"net/http"
	"slices"
	"strings"

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

// Owns reports whether path is an address of the API.
func Owns(path string) bool {
	return slices.ContainsFunc([]string{"/v1/", "/v1alpha1/", "/private/"}, func(start string) bool { return strings.HasPrefix(path, start) })
}

// Refuse answers with err a request that came to no operation, in the form of its
// address.
func Refuse(c echo.Context, err error) error {
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	if strings.HasPrefix(c.Request().URL.Path, strings.TrimSuffix(uploadPath, ":upload")) {
		return answerAzure(c, err)
	}
	return answerJSON(c, err)
}

// answerJSON answers with err as the CLI reads errors.
func answerJSON(c echo.Context, err error) error {
	status, text := explain(err)
	return c.JSON(status, errorBody{Message: text, RequestID: requestID(c), StatusCode: status})
}

// requestID returns the id of a request in the log.
func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }
