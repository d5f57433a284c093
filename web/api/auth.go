package api

import (
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
)

const callerKey = "caller"

// caller returns who asks. What they may see and do, the store and the rules
// find out by it.
func caller(c echo.Context) slipway.Actor {
	by, _ := c.Get(callerKey).(slipway.Actor)
	return by
}

// Caller returns who asks, a zero Actor for nobody that was let in.
func Caller(c echo.Context) slipway.Actor { return caller(c) }

// usedEvery is how often the last use of a token is noted.
const usedEvery = time.Minute
