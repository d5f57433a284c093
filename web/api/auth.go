package api

import (
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
)

// callerKey is the key of the caller in the context of a request.
const callerKey = "caller"

// Caller returns the authenticated person or token of a request, zero without
// authentication. The store and the rules decide by the caller.
func Caller(c echo.Context) slipway.Actor {
	by, _ := c.Get(callerKey).(slipway.Actor)
	return by
}

// TouchInterval is the least time between two records of a token's use: most
// requests write nothing.
const TouchInterval = time.Minute
