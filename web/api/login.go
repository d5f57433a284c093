package api

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/inbound"
	"slipway/internal/slipway"
	"slipway/store"
)

// logins serves sign-in of the astro CLI, and authenticates all requests.
type logins struct {
	*core
}

// bearer is the guard for an API token or the login token of a person, and sets
// the caller. Cookies are ignored: no page can make a browser act here.
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
		inbound.Known(c.Request().Context())
		c.Set(callerKey, by)
		return next(c)
	}
}

// inOrganization is bearer for an operation below an Organization. The answer to
// an address of another Organization is NotFound.
func (l *logins) inOrganization(next echo.HandlerFunc) echo.HandlerFunc {
	return l.bearer(func(c echo.Context) error {
		if err := checkOrganization(c); err != nil {
			return err
		}
		return next(c)
	})
}

// identify returns the actor of a token: an API token, or a person after a login.
// The use of an API token is recorded, at most once per TouchInterval.
func (l *logins) identify(c echo.Context, token string) (by slipway.Actor, err error) {
	if IsLogin(token) {
		return l.identifyLogin(c, token)
	}
	var t store.Token
	var touch bool
	err = l.store.View(c.Request().Context(), func(tx *store.Tx) error {
		if err := auth.CheckSignature(tx, token); err != nil {
			return err
		}
		if t, err = tx.Token(auth.Fingerprint(token)); err != nil {
			return err
		}
		touch = tx.Now.Sub(t.LastUsedAt) >= TouchInterval
		return nil
	})
	if err != nil {
		return by, err
	}
	if touch {
		err = l.store.Note(c.Request().Context(), func(tx *store.Tx) error { return tx.TouchToken(t.ID) })
	}
	return slipway.Actor{Token: t.ID, Secret: t.Secret, Kinds: t.Kinds, Folder: t.Folder, Name: t.Name, Via: slipway.API, IP: c.RealIP()}, err
}

// loginPrefix is the first letters of login tokens. API tokens are JWTs and begin
// otherwise. Scanners for secrets in repositories find tokens by the prefix.
const loginPrefix = "swl_"

// IsLogin reports whether token is a login token, not an API token.
func IsLogin(token string) bool { return strings.HasPrefix(token, loginPrefix) }

// Callback is the address of the CLI during a login. The code of a login is sent
// to no other address.
const Callback = "http://localhost:12345/callback"

// Lifetimes of the code, the access token and the refresh token of a login.
const (
	codeLife    = time.Minute
	accessLife  = time.Hour
	refreshLife = 30 * 24 * time.Hour
)

// identifyLogin returns the person of a login's access token, if the account
// still works.
func (l *logins) identifyLogin(c echo.Context, token string) (by slipway.Actor, err error) {
	err = l.store.View(c.Request().Context(), func(tx *store.Tx) error {
		t, err := tx.LoginToken(store.LoginAccess, auth.Fingerprint(token))
		if err != nil {
			return err
		}
		u, err := tx.WorkingUser(t.User)
		if err != nil {
			return err
		}
		by = slipway.Actor{User: u.ID, Name: u.Title(), Via: slipway.API, IP: c.RealIP()}
		return nil
	})
	return by, err
}

// AddCode records the consent of user to a login of the CLI, and returns the code
// of the login. The CLI exchanges the code for tokens with the verifier of
// challenge (PKCE, method S256).
func AddCode(tx *store.Tx, user slipway.UserID, challenge string) (string, error) {
	if sum, err := base64.RawURLEncoding.DecodeString(challenge); err != nil || len(sum) != sha256.Size {
		return "", slipway.Errorf(slipway.Invalid, "The code_challenge of this login is not one of the method S256. Start the login again.")
	}
	code := loginPrefix + rand.Text()
	return code, tx.AddLoginToken(store.LoginToken{
		Secret: auth.Fingerprint(code), Kind: store.LoginCode, User: user, Login: rand.Text(), Challenge: challenge, ExpiresAt: tx.Now.Add(codeLife),
	})
}

// showAuthConfig serves GET /private/v1alpha1/cli/auth-config: the addresses for
// the CLI's login.
func (l *logins) showAuthConfig(c echo.Context) error {
	return ok(c, object{"clientId": "astro-cli", "audience": "slipway", "domainUrl": l.portalURL(c) + "/auth/"})
}

// showUserInfo serves GET /auth/userinfo. The CLI requires an email address: for
// an API token the name is sent instead.
func (l *logins) showUserInfo(c echo.Context) error {
	by := Caller(c)
	if by.Token != "" {
		return ok(c, object{"sub": by.Token, "email": by.Title(), "name": by.Title()})
	}
	u, err := l.person(c)
	if err != nil {
		return err
	}
	return ok(c, object{"sub": u.ID, "email": u.Email, "name": u.Title()})
}

// tokenPair is the answer to a code or a refresh token.
type tokenPair struct {
	access, refresh string
	life            time.Duration // of access
}

// exchange serves POST /auth/oauth/token: a code, once, or a refresh token,
// once, for new tokens.
func (l *logins) exchange(c echo.Context) error {
	r := c.Request()
	r.Body = http.MaxBytesReader(c.Response(), r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return oauthError(c, http.StatusBadRequest, "invalid_request", "The form could not be read.")
	}
	kind, secret := store.LoginCode, r.PostForm.Get("code")
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		if r.PostForm.Get("redirect_uri") != Callback {
			return oauthError(c, http.StatusBadRequest, "invalid_grant", "redirect_uri must be "+Callback+".")
		}
	case "refresh_token":
		kind, secret = store.LoginRefresh, r.PostForm.Get("refresh_token")
	default:
		return oauthError(c, http.StatusBadRequest, "unsupported_grant_type", "grant_type must be authorization_code or refresh_token.")
	}
	var g tokenPair
	var refusal error // not returned from Update: the login's end must be committed
	err := l.store.Update(r.Context(), func(tx *store.Tx) (err error) {
		g, refusal, err = redeemToken(tx, kind, secret, r.PostForm.Get("code_verifier"))
		return err
	})
	if err != nil {
		return err
	}
	if refusal != nil {
		_, text := slipway.Explain(refusal)
		return oauthError(c, http.StatusForbidden, "invalid_grant", text)
	}
	return ok(c, object{
		"access_token": g.access, "refresh_token": g.refresh, "expires_in": int(g.life / time.Second), "token_type": "Bearer",
	})
}

// oauthError answers with an error in the form of OAuth 2.0. The CLI shows the
// description.
func oauthError(c echo.Context, status int, code, text string) error {
	return c.JSON(status, object{"error": code, "error_description": text})
}

// redeemToken exchanges a code or refresh token for a tokenPair. A token sent a
// second time counts as stolen, and a wrong verifier too: all tokens of the login
// are deleted. refusal is the reason for the client; the transaction must be
// committed all the same.
func redeemToken(tx *store.Tx, kind, secret, verifier string) (g tokenPair, refusal, err error) {
	t, err := tx.LoginToken(kind, auth.Fingerprint(secret))
	if errors.Is(err, slipway.ErrUnauthorized) {
		return g, err, nil
	}
	if err != nil {
		return g, nil, err
	}
	if !t.UsedAt.IsZero() {
		return g, slipway.Errorf(slipway.Unauthorized, "This login was used already, and has been ended. Log in again."), tx.EndLogin(t.Login)
	}
	if kind == store.LoginCode && !verifierMatches(verifier, t.Challenge) {
		return g, slipway.Errorf(slipway.Unauthorized, "The code_verifier does not belong to this login. Log in again."), tx.EndLogin(t.Login)
	}
	if err := tx.UseLoginToken(t.Secret); err != nil {
		return g, nil, err
	}
	g, err = newTokenPair(tx, t)
	return g, nil, err
}

// verifierMatches reports whether challenge is the S256 hash of verifier.
func verifierMatches(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	computed := base64.RawURLEncoding.EncodeToString(sum[:])
	return subtle.ConstantTimeCompare([]byte(computed), []byte(strings.TrimRight(challenge, "="))) == 1
}

// newTokenPair makes new tokens of the same login as of. Refreshing does not
// prolong a login: the tokens end refreshLife after the code was redeemed.
func newTokenPair(tx *store.Tx, of store.LoginToken) (g tokenPair, err error) {
	end := of.ExpiresAt
	if of.Kind == store.LoginCode {
		end = tx.Now.Add(refreshLife)
	}
	g = tokenPair{loginPrefix + rand.Text() + rand.Text(), loginPrefix + rand.Text() + rand.Text(), min(accessLife, end.Sub(tx.Now))}
	next := store.LoginToken{Kind: store.LoginAccess, Secret: auth.Fingerprint(g.access), User: of.User, Login: of.Login, ExpiresAt: tx.Now.Add(g.life)}
	if err := tx.AddLoginToken(next); err != nil {
		return g, err
	}
	next.Kind, next.Secret, next.ExpiresAt = store.LoginRefresh, auth.Fingerprint(g.refresh), end
	return g, tx.AddLoginToken(next)
}
