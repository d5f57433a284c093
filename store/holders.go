package store

import "slipway"

// Holder is a person who was shown the secret of a token: who made it, or last
// gave it a new secret, themselves or by a token that they hold. It is kept with
// the token, and so outlasts the tokens in between.
type Holder struct {
	Token   slipway.TokenID
	User    slipway.UserID
	Name    string // as it was then
	Rotated bool   // by the new secret; else by the making
	Role    slipway.Role
	Account string // "" for one that works, else "disabled" or "removed"
}

// What became of the account of a holder.
const (
	DisabledAccount = "disabled"
	RemovedAccount  = "removed"
)

// hold records that by was shown the secret of a token. By a rotation, whoever
// rotated it before knows it no longer.
func (tx *Tx) hold(id slipway.TokenID, by slipway.Actor, rotated bool) error {
	people, err := tx.shownTo(by)
	if err != nil {
		return err
	}
	if rotated {
		if err := tx.exec("forget who rotated before", `DELETE FROM token_holders WHERE token = ? AND rotated = 1`, id); err != nil {
			return err
		}
	}
	for _, h := range people {
		err := tx.exec("hold token", `INSERT INTO token_holders (token, user, name, rotated) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			id, h.User, h.Name, rotated)
		if err != nil {
			return err
		}
	}
	return nil
}

// shownTo returns the people who see what by sees: the person, or all who hold
// the token.
func (tx *Tx) shownTo(by slipway.Actor) ([]Holder, error) {
	scan := func(r row) (h Holder, err error) { return h, r.Scan(&h.User, &h.Name) }
	if by.Token != "" {
		return list(tx, "holders of token", scan, `SELECT user, MIN(name) FROM token_holders WHERE token = ? GROUP BY user`, by.Token)
	}
	return list(tx, "holder", scan, `SELECT id, IIF(name = '', email, name) FROM users WHERE id = ?`, by.User)
}

// HeldTokens returns the tokens of both kinds that somebody holds in a
// Workspace, "" for all of them, newest first, those that have expired too.
func (tx *Tx) HeldTokens(user slipway.UserID, w slipway.WorkspaceID) ([]Token, error) {
	return list(tx, "held tokens", scanToken, `
		SELECT `+tokenColumns+` FROM tokens
		WHERE id IN (SELECT token FROM token_holders WHERE user = ?1) AND (?2 = '' OR workspace = ?2)
		ORDER BY created_at DESC, id DESC`, user, w)
}

// Holders returns who holds the tokens of a Workspace, with their role in it.
func (tx *Tx) Holders(w slipway.WorkspaceID) ([]Holder, error) {
	scan := func(r row) (h Holder, err error) {
		return h, r.Scan(&h.Token, &h.User, &h.Name, &h.Rotated, &h.Role, &h.Account)
	}
	return list(tx, "holders", scan, `
		SELECT h.token, h.user, h.name, h.rotated, `+roleOf("h.user", "t.workspace")+`,
			COALESCE((SELECT IIF(u.disabled_at > 0, 'disabled', '') FROM users u WHERE u.id = h.user), 'removed')
		FROM token_holders h JOIN tokens t ON t.id = h.token
		WHERE t.workspace = ? ORDER BY h.rotated, h.name`, w)
}
