package api

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
)

// logins serves sign-in of the astro CLI.
type logins struct {
	*core
}

// bearer lets pass whoever brings an API token, or a login token of theirs.
// Cookies are not looked at: no page can make a browser act here.
func (l *logins) bearer(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		scheme, token, _ := strings.Cut(c.Request().Header.Get(echo.HeaderAuthorization), " ")
		if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
			return slipway.Errorf(slipway.Unauthorized, "Send an API token: Authorization: Bearer …")
		}
		by, err := l.identify(c, token)
		if err != nil {
			return err
		}
		c.Set(callerKey, by)
		return next(c)
	}
}

// identify returns whose token it is.
func (l *logins) identify(c echo.Context, token string) (by slipway.Actor, err error) {
	if strings.HasPrefix(token, loginPrefix) {
		return l.identifyLogin(c, token)
	}
	var t store.Token
	var note bool
	err = l.store.View(c.Request().Context(), func(tx *store.Tx) error {
		key, err := tx.Setting(auth.TokenKey)
		if err != nil {
			return err
		}
		if !auth.Genuine(token, key) {
			return slipway.Errorf(slipway.Unauthorized, "This is no API token of this portal.")
		}
		t, err = tx.Token(auth.Fingerprint(token))
		note = tx.Now.Sub(t.LastUsedAt) >= touchInterval
		return err
	})
	if err != nil {
		return by, err
	}
	if note {
		err = l.store.Update(c.Request().Context(), func(tx *store.Tx) error { return tx.TouchToken(t.ID) })
	}
	return slipway.Actor{Token: t.ID, Secret: t.Secret, Kinds: t.Kinds, Name: t.Name, Via: slipway.API, IP: c.RealIP()}, err
}

// loginPrefix tells login tokens from API tokens, which are JWTs, also to
// scanners for secrets in repositories.
const loginPrefix = "swl_"

// IsLogin reports whether token is one of a login, not an API token.
func IsLogin(token string) bool { return strings.HasPrefix(token, loginPrefix) }

// Callback is where the CLI waits for the code of a login: the only place that
// one is ever sent to.
const Callback = "http://localhost:12345/callback"

// How long what belongs to a login works.
const (
	codeLife    = time.Minute
	accessLife  = time.Hour
	refreshLife = 30 * 24 * time.Hour
)

// identifyLogin returns the person who let the CLI act as them.
func (l *logins) identifyLogin(c echo.Context, token string) (by slipway.Actor, err error) {
	err = l.store.View(c.Request().Context(), func(tx *store.Tx) error {
		t, err := tx.LoginToken(store.LoginAccess, auth.Fingerprint(token))
		if err != nil {
			return err
		}
		u, err := tx.WorkingUser(t.User)
		by = slipway.Actor{User: u.ID, Name: u.Title(), Via: slipway.API, IP: c.RealIP()}
		return err
	})
	return by, err
}

// AddCode records that user lets a program act as them, and returns the code
// that it exchanges for tokens if it knows what challenge was made of.
func AddCode(tx *store.Tx, user slipway.UserID, challenge string) (string, error) {
	if sum, err := base64.RawURLEncoding.DecodeString(challenge); err != nil || len(sum) != sha256.Size {
		return "", slipway.Errorf(slipway.Invalid, "The code_challenge of this login is not one of the method S256. Start the login again.")
	}
	code := loginPrefix + rand.Text()
	return code, tx.AddLoginToken(store.LoginToken{
		Secret: auth.Fingerprint(code), Kind: store.LoginCode, User: user, Login: rand.Text(), Challenge: challenge, ExpiresAt: tx.Now.Add(codeLife),
	})
}

// showAuthConfig serves GET /private/v1alpha1/cli/auth-config: where the CLI
// logs in.
func (l *logins) showAuthConfig(c echo.Context) error {
	return ok(c, object{"clientId": "astro-cli", "audience": "slipway", "domainUrl": l.base(c) + "/auth/"})
}

// showUserInfo serves GET /auth/userinfo. An API token has no address; the CLI
// needs one all the same.
func (l *logins) showUserInfo(c echo.Context) error {
	by := caller(c)
	if by.Token != "" {
		return ok(c, object{"sub": by.Token, "email": by.Title(), "name": by.Title()})
	}
	var u slipway.User
	err := l.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		u, err = tx.User(by.User)
		return err
	})
	if err != nil {
		return err
	}
	return ok(c, object{"sub": u.ID, "email": u.Email, "name": u.Title()})
}

// grant is what a login is exchanged for.
type grant struct{ access, refresh string }

// exchange serves POST /auth/oauth/token: a code, once, or a refresh token,
// once, for new tokens.
func (l *logins) exchange(c echo.Context) error {
	r := c.Request()
	r.Body = http.MaxBytesReader(c.Response(), r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return refuseGrant(c, http.StatusBadRequest, "invalid_request", "The form could not be read.")
	}
	kind, secret := store.LoginCode, r.PostForm.Get("code")
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		if r.PostForm.Get("redirect_uri") != Callback {
			return refuseGrant(c, http.StatusBadRequest, "invalid_grant", "redirect_uri must be "+Callback+".")
		}
	case "refresh_token":
		kind, secret = store.LoginRefresh, r.PostForm.Get("refresh_token")
	default:
		return refuseGrant(c, http.StatusBadRequest, "unsupported_grant_type", "grant_type must be authorization_code or refresh_token.")
	}
	var g grant
	var refusal error // kept: what it revokes must be, too
	err := l.store.Update(r.Context(), func(tx *store.Tx) (err error) {
		g, refusal, err = granted(tx, kind, secret, r.PostForm.Get("code_verifier"))
		return err
	})
	if err != nil {
		return err
	}
	if refusal != nil {
		_, text := slipway.Explain(refusal)
		return refuseGrant(c, http.StatusForbidden, "invalid_grant", text)
	}
	return ok(c, object{
		"access_token": g.access, "refresh_token": g.refresh, "expires_in": int(accessLife / time.Second), "token_type": "Bearer",
	})
}

// refuseGrant answers as OAuth says; the CLI shows the description.
func refuseGrant(c echo.Context, status int, code, text string) error {
	return c.JSON(status, object{"error": code, "error_description": text})
}

// granted exchanges a code or refresh token. One that comes a second time was
// stolen, so all that came from it ends; refusal says so.
func granted(tx *store.Tx, kind, secret, verifier string) (g grant, refusal, err error) {
	t, err := tx.LoginToken(kind, auth.Fingerprint(secret))
	if refusalKind, _ := slipway.Explain(err); err != nil && refusalKind == slipway.Unauthorized {
		return g, err, nil
	}
	if err != nil {
		return g, nil, err
	}
	if !t.UsedAt.IsZero() {
		return g, slipway.Errorf(slipway.Unauthorized, "This login was used already, and has been ended. Log in again."), tx.EndLogin(t.Login)
	}
	if kind == store.LoginCode && !proves(verifier, t.Challenge) {
		return g, slipway.Errorf(slipway.Unauthorized, "The code_verifier does not belong to this login. Log in again."), tx.EndLogin(t.Login)
	}
	if err := tx.UseLoginToken(t.Secret); err != nil {
		return g, nil, err
	}
	g, err = newGrant(tx, t)
	return g, nil, err
}

// proves reports whether verifier is what challenge was made of.
func proves(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	made := base64.RawURLEncoding.EncodeToString(sum[:])
	return subtle.ConstantTimeCompare([]byte(made), []byte(strings.TrimRight(challenge, "="))) == 1
}

func newGrant(tx *store.Tx, of store.LoginToken) (g grant, err error) {
	g = grant{loginPrefix + rand.Text() + rand.Text(), loginPrefix + rand.Text() + rand.Text()}
	next := store.LoginToken{Kind: store.LoginAccess, Secret: auth.Fingerprint(g.access), User: of.User, Login: of.Login, ExpiresAt: tx.Now.Add(accessLife)}
	if err := tx.AddLoginToken(next); err != nil {
		return g, err
	}
	next.Kind, next.Secret, next.ExpiresAt = store.LoginRefresh, auth.Fingerprint(g.refresh), tx.Now.Add(refreshLife)
	return g, tx.AddLoginToken(next)
}
