package auth

import (
	"crypto/rand"

	"slipway/internal/slipway"
	"slipway/store"
)

// LinkPassword makes a link with which a user sets a new password, once, and
// returns the secret of the link. by is an Organization admin.
func LinkPassword(tx *store.Tx, by slipway.Actor, user slipway.UserID) (secret string, u slipway.User, err error) {
	if u, err = tx.User(user); err != nil {
		return "", u, err
	}
	if err := u.LinkPassword(by.User); err != nil {
		return "", u, err
	}
	secret = rand.Text()
	if err := tx.AddPasswordLink(Fingerprint(secret), u.ID, tx.Now.Add(slipway.PasswordLinkLife)); err != nil {
		return "", u, err
	}
	return secret, u, tx.Audit(by, slipway.Event{Action: "account.password-link", Target: u.Email})
}

// ResetPassword keeps the hash of a new password for the user of a link. The
// link and all sessions of the user end. by is the user, without the name.
func ResetPassword(tx *store.Tx, by slipway.Actor, secret, hash string) (u slipway.User, err error) {
	if u, err = tx.PasswordLinkUser(Fingerprint(secret)); err != nil {
		return u, err
	}
	if err := tx.SetPassword(u.ID, hash); err != nil {
		return u, err
	}
	by.User, by.Name = u.ID, u.Title()
	return u, tx.Audit(by, slipway.Event{Action: "account.password", Target: u.Email, Detail: "By a link."})
}

// EndSessions signs a user out of every browser and program. by is an
// Organization admin.
func EndSessions(tx *store.Tx, by slipway.Actor, user slipway.UserID) (slipway.User, error) {
	u, err := tx.User(user)
	if err != nil {
		return u, err
	}
	if err := tx.EndSessions(u.ID); err != nil {
		return u, err
	}
	return u, tx.Audit(by, slipway.Event{Action: "account.sessions", Target: u.Email})
}

// Ending is what would end with an account.
type Ending struct {
	Sessions  int
	Tokens    []EndingToken
	Ownerless []slipway.Workspace // that would have no Owner who can sign in
}

// EndingOf returns what would end if the account of u were disabled.
func EndingOf(tx *store.Tx, u slipway.User) (e Ending, err error) {
	if e.Sessions, err = tx.CountSessions(u.ID); err != nil {
		return e, err
	}
	if e.Ownerless, err = tx.OwnedAlone(u.ID); err != nil {
		return e, err
	}
	tokens, err := EndingTokens(tx, AccessLoss{User: u, Before: slipway.Admin})
	for _, t := range tokens {
		e.Tokens = append(e.Tokens, EndingToken{Token: t})
	}
	return e, err
}
