package store

import "slipway/internal/slipway"

// Holder is a person who was shown the secret of a token: who made the token, or
// rotated it last, themselves or by a token that they hold. It is kept with the
// token, and so outlasts the tokens in between.
type Holder struct {
	Token   slipway.TokenID
	User    slipway.UserID
	Name    string       // as it was then
	Role    slipway.Role // that they have now
	Account string       // "" for one that works, else "disabled" or "removed"
}

// What became of the account of a holder.
const (
	DisabledAccount = "disabled"
	RemovedAccount  = "removed"
)

// hold records that by was shown the secret of a token, which is a new one: who
// was shown the one before holds the token no longer. Where it is not known who
// by is, the holders stay.
func (tx *Tx) hold(id slipway.TokenID, by slipway.Actor) error {
	people, err := tx.shownTo(by)
	if err != nil || len(people) == 0 {
		return err
	}
	if err := tx.exec("forget holders", `DELETE FROM token_holders WHERE token = ?`, id); err != nil {
		return err
	}
	for _, h := range people {
		err := tx.exec("hold token", `INSERT INTO token_holders (token, user, name) VALUES (?, ?, ?)`, id, h.User, h.Name)
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
		return list(tx, "holders of token", scan, `SELECT user, name FROM token_holders WHERE token = ?`, by.Token)
	}
	return list(tx, "holder", scan, `SELECT id, IIF(name = '', email, name) FROM users WHERE id = ?`, by.User)
}

// HeldTokens returns the tokens of both kinds that somebody holds in a
// Workspace, "" for all of them: those that were used last first, then those
// that were never used, at the end those that have expired.
func (tx *Tx) HeldTokens(user slipway.UserID, w slipway.WorkspaceID) ([]Token, error) {
	return list(tx, "held tokens", scanToken, `
		SELECT `+tokenColumns+` FROM tokens
		WHERE id IN (SELECT token FROM token_holders WHERE user = ?1) AND (?2 = '' OR workspace = ?2)
		ORDER BY expires_at > 0 AND expires_at <= ?3, last_used_at DESC, created_at DESC, id DESC`, user, w, ms(tx.Now))
}

// Holders returns who holds the tokens of a Workspace, with their role in it.
func (tx *Tx) Holders(w slipway.WorkspaceID) ([]Holder, error) {
	scan := func(r row) (h Holder, err error) {
		return h, r.Scan(&h.Token, &h.User, &h.Name, &h.Role, &h.Account)
	}
	return list(tx, "holders", scan, `
		SELECT h.token, h.user, h.name, `+roleOf("h.user", "t.workspace")+`,
			COALESCE((SELECT IIF(u.disabled_at > 0, 'disabled', '') FROM users u WHERE u.id = h.user), 'removed')
		FROM token_holders h JOIN tokens t ON t.id = h.token
		WHERE t.workspace = ? ORDER BY h.name`, w)
}
