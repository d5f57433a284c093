package api

import (
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
)

// callerKey is the key of the caller in the context of a request.
const callerKey = "caller"

// caller returns the authenticated person or token of a request. The store and
// the rules decide by the caller.
func caller(c echo.Context) slipway.Actor {
	by, _ := c.Get(callerKey).(slipway.Actor)
	return by
}

// Caller returns the caller of a request for the portal's log, zero without
// authentication.
func Caller(c echo.Context) slipway.Actor { return caller(c) }

// touchInterval is the least time between two records of a token's use: most
// requests write nothing.
const touchInterval = time.Minute
