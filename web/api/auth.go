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
	"slipway/store"
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

// bearer lets pass whoever brings an API token, or a login token of theirs.
// Cookies are not looked at: no page can make a browser act here.
func (s *Server) bearer(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		scheme, token, _ := strings.Cut(c.Request().Header.Get(echo.HeaderAuthorization), " ")
		if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
			return slipway.Errorf(slipway.Unauthorized, "Send an API token: Authorization: Bearer …")
		}
		by, err := s.identify(c, token)
		if err != nil {
			return err
		}
		c.Set(callerKey, by)
		return next(c)
	}
}

// usedEvery is how often the last use of a token is noted.
const usedEvery = time.Minute

// identify returns whose token it is.
func (s *Server) identify(c echo.Context, token string) (by slipway.Actor, err error) {
	if strings.HasPrefix(token, loginPrefix) {
		return s.identifyLogin(c, token)
	}
	var t store.Token
	var note bool
	err = s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		key, err := tx.Setting(jwtKey)
		if err != nil {
			return err
		}
		if !genuine(token, key) {
			return slipway.Errorf(slipway.Unauthorized, "This is no API token of this portal.")
		}
		t, err = tx.Token(Fingerprint(token))
		note = tx.Now.Sub(t.LastUsedAt) >= usedEvery
		return err
	})
	if err != nil {
		return by, err
	}
	if note {
		err = s.store.Update(c.Request().Context(), func(tx *store.Tx) error { return tx.TouchToken(t.ID) })
	}
	return slipway.Actor{Token: t.ID, Secret: t.Secret, Kinds: t.Kinds, Name: t.Name, Via: slipway.API, IP: c.RealIP()}, err
}

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
