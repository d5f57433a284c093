package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
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

// genuine reports whether token is a JWT that was signed with key. What it
// claims is not believed: its record says what it may.
func genuine(token string, key []byte) bool {
	i := strings.LastIndexByte(token, '.')
	if i < 0 || len(key) == 0 {
		return false
	}
	sum, err := base64.RawURLEncoding.Strict().DecodeString(token[i+1:])
	return err == nil && hmac.Equal(sum, mac(key, token[:i]))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// Fingerprint returns how a secret is kept: a stolen database lets nobody in.
func Fingerprint(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
