package store

import (
	"time"

	"slipway/internal/slipway"
)

// LoginToken lets a program act as a person. A code is exchanged for the other
// two, once; a refresh token for the next two, once.
type LoginToken struct {
	Secret    string // SHA-256 of the secret, hex
	Kind      string // "code", "access" or "refresh"
	User      slipway.UserID
	Login     string // the same for all tokens from one code
	Challenge string // of a code
	ExpiresAt time.Time
	UsedAt    time.Time
}

// The kinds of login token.
const (
	LoginCode    = "code"
	LoginAccess  = "access"
	LoginRefresh = "refresh"
)

// errNoLogin is the error for an unknown or expired login.
var errNoLogin = &slipway.Error{Kind: slipway.Unauthorized, Text: "This login is unknown or has expired. Log in again."}

// AddLoginToken records t for a user whose account works, and deletes expired
// login tokens.
func (tx *Tx) AddLoginToken(t LoginToken) error {
	if err := tx.exec("drop login tokens", `DELETE FROM login_tokens WHERE expires_at <= ?`, ms(tx.Now)); err != nil {
		return err
	}
	n, err := tx.changed("add login token", `
		INSERT INTO login_tokens (secret, kind, user, login, challenge, created_at, expires_at)
		SELECT ?, ?, u.id, ?, ?, ?, ? FROM users u WHERE u.id = ? AND u.disabled_at = 0`,
		t.Secret, t.Kind, t.Login, t.Challenge, ms(tx.Now), ms(t.ExpiresAt), t.User)
	if err == nil && n == 0 {
		err = errNoLogin
	}
	return err
}

// LoginToken returns the login token of a kind by the SHA-256 of the secret,
// used or not. Expired tokens and accounts that do not work are refused.
func (tx *Tx) LoginToken(kind, secret string) (LoginToken, error) {
	return one(tx, "login token", errNoLogin,
		func(r row) (t LoginToken, err error) {
			err = r.Scan(&t.Secret, &t.Kind, &t.User, &t.Login, &t.Challenge, millis{&t.ExpiresAt}, millis{&t.UsedAt})
			return t, err
		}, `
		SELECT t.secret, t.kind, t.user, t.login, t.challenge, t.expires_at, t.used_at FROM login_tokens t JOIN users u ON u.id = t.user
		WHERE t.kind = ? AND t.secret = ? AND t.expires_at > ? AND u.disabled_at = 0`, kind, secret, ms(tx.Now))
}

// UseLoginToken records the use of a single-use token.
func (tx *Tx) UseLoginToken(secret string) error {
	return tx.exec("use login token", `UPDATE login_tokens SET used_at = ? WHERE secret = ?`, ms(tx.Now), secret)
}

// EndLogin deletes all tokens from one code.
func (tx *Tx) EndLogin(login string) error {
	return tx.exec("end login", `DELETE FROM login_tokens WHERE login = ?`, login)
}

// EndLogins forgets the login tokens of a user.
func (tx *Tx) EndLogins(user slipway.UserID) error {
	return tx.exec("end logins", `DELETE FROM login_tokens WHERE user = ?`, user)
}
