package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/image"
	"slipway/internal/inbound"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/web/api"
)

// bearerLife is the lifetime of a registry bearer. Each request still checks
// access anew.
const bearerLife = 5 * time.Minute

// bearer is the contents of a token of /v2/token, signed by the portal and
// checked at each request.
type bearer struct {
	Secret  string // SHA-256 of the token, as stored
	Login   bool   // a token of a CLI login; false: an API token or an agent token
	Granted []image.Access
	Until   time.Time
}

// registryRoutes adds the registry and the token endpoint.
func (s *Server) registryRoutes(e *echo.Echo) {
	registry := echo.WrapHandler(s.engine.Images().Handler(image.Authorizer{
		Realm:   func(r *http.Request) string { return s.address(e.NewContext(r, nil), "/v2/token") },
		Admit:   s.admit,
		Account: s.pushAccount,
	}))
	e.GET("/v2/token", s.registryToken)
	e.POST("/v2/token", s.registryToken)
	e.Any("/v2", registry)
	e.Any("/v2/*", registry)
}

// registryToken serves /v2/token: a bearer for the holder of a token. Clients
// send the token as the password of any user. Refusals happen here, with 401:
// clients retry for minutes when the registry itself refuses.
func (s *Server) registryToken(c echo.Context) error {
	r := c.Request()
	r.Body = http.MaxBytesReader(c.Response(), r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return s.refuseRegistry(c, slipway.Errorf(slipway.Invalid, "The form could not be read."))
	}
	secret, login := tokenOf(r)
	if secret == "" {
		return s.refuseRegistry(c, slipway.Errorf(slipway.Unauthorized, "No token was sent. Log in first, as docker login %s does: any user name, and an API token of Slipway as the password.", r.Host))
	}
	b := bearer{Secret: auth.Fingerprint(secret), Login: login, Until: s.store.Now().Add(bearerLife)}
	err := s.store.View(r.Context(), func(tx *store.Tx) error {
		who, err := s.principalOf(tx, b)
		if err != nil {
			return err
		}
		b.Granted, err = who.grant(tx, scopesOf(r.Form["scope"]))
		return err
	})
	if err == nil {
		err = s.noteUse(r, b)
	}
	if err != nil {
		return s.refuseRegistry(c, err)
	}
	text, err := s.sealed(b)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return c.JSON(http.StatusOK, map[string]any{
		"token": text, "access_token": text, "expires_in": int(bearerLife / time.Second),
		"issued_at": s.store.Now().UTC().Format(time.RFC3339),
	})
}

// tokenOf returns the token of a request: the password of Basic authentication
// or of a form, bare or after the word Bearer.
func tokenOf(r *http.Request) (secret string, login bool) {
	_, secret, ok := r.BasicAuth()
	if !ok {
		secret = r.PostFormValue("password")
	}
	secret = strings.TrimSpace(secret)
	if word, rest, found := strings.Cut(secret, " "); found && strings.EqualFold(word, "Bearer") {
		secret = strings.TrimSpace(rest)
	}
	return secret, api.IsLogin(secret)
}

// refuseRegistry answers with err in the JSON form of the registry protocol.
func (s *Server) refuseRegistry(c echo.Context, err error) error {
	kind, text := slipway.Explain(err)
	status, code := http.StatusUnauthorized, "UNAUTHORIZED"
	if kind == slipway.Internal {
		status, code = http.StatusServiceUnavailable, "UNAVAILABLE"
	}
	c.Set(errorKey, err)
	return c.JSON(status, map[string]any{"errors": []any{map[string]any{"code": code, "message": text}}})
}

// noteUse records the use of an API token or an agent token, at most once a
// minute.
func (s *Server) noteUse(r *http.Request, b bearer) error {
	if b.Login {
		return nil
	}
	var t store.Token
	note := false
	err := s.store.View(r.Context(), func(tx *store.Tx) (err error) {
		if t, err = tx.Token(b.Secret); err != nil {
			return err
		}
		note = tx.Now.Sub(t.LastUsedAt) >= time.Minute
		return nil
	})
	if err != nil || !note {
		return err
	}
	return s.store.Note(r.Context(), func(tx *store.Tx) error { return tx.TouchToken(t.ID) })
}

// scopesOf reads scopes of the form
// "repository:barren-ionization-0185/airflow:pull,push". The action * means
// pushing and deleting. Scopes of other forms are ignored.
func scopesOf(texts []string) (wants []image.Access) {
	for _, text := range strings.Fields(strings.Join(texts, " ")) {
		rest, ok := strings.CutPrefix(text, "repository:")
		i := strings.LastIndexByte(rest, ':')
		if !ok || i <= 0 {
			continue
		}
		for action := range strings.SplitSeq(rest[i+1:], ",") {
			if action == "*" {
				wants = append(wants, image.Access{Repository: rest[:i], Action: image.Deleting})
				action = string(image.Pushing)
			}
			wants = append(wants, image.Access{Repository: rest[:i], Action: image.Action(action)})
		}
	}
	return wants
}

// sealed returns b as text with a signature.
func (s *Server) sealed(b bearer) (string, error) {
	body, err := json.Marshal(b)
	if err != nil {
		return "", fmt.Errorf("seal bearer: %w", err)
	}
	text := base64.RawURLEncoding.EncodeToString(body)
	return text + "." + s.signature(text), nil
}

// signature returns the HMAC of text under the registry key, in base64.
func (s *Server) signature(text string) string {
	h := hmac.New(sha256.New, s.registryKey)
	h.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// unsealed checks the signature and the expiry of a bearer, and reads the
// bearer.
func (s *Server) unsealed(text string) (b bearer, err error) {
	body, signature, _ := strings.Cut(text, ".")
	if !hmac.Equal([]byte(signature), []byte(s.signature(body))) {
		return b, slipway.Errorf(slipway.Unauthorized, "Log in to the registry with an API token as the password.")
	}
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err := errors.Join(err, json.Unmarshal(raw, &b)); err != nil {
		return b, fmt.Errorf("read bearer: %w", err)
	}
	if !s.store.Now().Before(b.Until) {
		return b, slipway.Errorf(slipway.Unauthorized, "This bearer has expired. Ask for another one.")
	}
	return b, nil
}

// pushAccount returns the account of whoever pushes to a repository.
func (s *Server) pushAccount(r *http.Request, text, repository string) (image.Account, error) {
	b, err := s.unsealed(text)
	if err != nil {
		return image.Account{}, err
	}
	var account image.Account
	err = s.store.View(r.Context(), func(tx *store.Tx) error {
		who, err := s.principalOf(tx, b)
		if err != nil {
			return err
		}
		d, err := tx.DeploymentIn(image.Namespace(repository))
		if err != nil {
			return err
		}
		p, err := s.engine.Pushes(tx, who.by, d.Workspace)
		account = image.Account{Take: p.Take, Return: p.Return}
		return err
	})
	return account, err
}

// admit checks a request to the registry. The token and the role are loaded
// again: a revoked token or a lost role has effect at once.
func (s *Server) admit(r *http.Request, text string, wants []image.Access) error {
	b, err := s.unsealed(text)
	if err != nil {
		return err
	}
	for _, a := range wants {
		if !slices.Contains(b.Granted, a) {
			return slipway.Errorf(slipway.Unauthorized, "This bearer is not for %s of %s.", a.Action, a.Repository)
		}
	}
	return s.store.View(r.Context(), func(tx *store.Tx) error {
		who, err := s.principalOf(tx, b)
		if err != nil {
			return err
		}
		for _, a := range wants {
			if err := who.may(tx, a); err != nil {
				return err
			}
		}
		inbound.Known(r.Context())
		return nil
	})
}
