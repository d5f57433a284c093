package store

import "slipway/internal/slipway"

// Holder is a person who has seen the secret of a token: its maker or the last
// person to rotate the token, in person or by another token. A record stays
// with its token, also after the other token is deleted.
type Holder struct {
	Token   slipway.TokenID
	User    slipway.UserID
	Name    string       // at the time
	Role    slipway.Role // at present
	Account string       // "" if the account works, else "disabled" or "removed"
}

// The states of a holder's account that no longer works.
const (
	DisabledAccount = "disabled"
	RemovedAccount  = "removed"
)

// hold records by as the holder of a token with a new secret, in place of all
// earlier holders. The earlier holders stay if the people behind by are
// unknown.
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

// shownTo returns the people behind by: the person, or all holders of the
// token.
func (tx *Tx) shownTo(by slipway.Actor) ([]Holder, error) {
	scan := func(r row) (h Holder, err error) { return h, r.Scan(&h.User, &h.Name) }
	if by.Token != "" {
		return list(tx, "holders of token", scan, `SELECT user, name FROM token_holders WHERE token = ?`, by.Token)
	}
	return list(tx, "holder", scan, `SELECT id, IIF(name = '', email, name) FROM users WHERE id = ?`, by.User)
}

// HeldTokens returns the tokens of both kinds held by a person in a Workspace,
// or in all with "": last used first, then never used, and at the end the
// expired ones.
func (tx *Tx) HeldTokens(user slipway.UserID, w slipway.WorkspaceID) ([]Token, error) {
	return list(tx, "held tokens", scanToken, `
		SELECT `+tokenColumns+` FROM tokens
		WHERE id IN (SELECT token FROM token_holders WHERE user = ?1) AND (?2 = '' OR workspace = ?2)
		ORDER BY expires_at > 0 AND expires_at <= ?3, last_used_at DESC, created_at DESC, id DESC`, user, w, ms(tx.Now))
}

// Holders returns the holders of tokens, with each person's role in the Workspace
// of the token.
func (tx *Tx) Holders(of []slipway.TokenID) ([]Holder, error) {
	scan := func(r row) (h Holder, err error) {
		return h, r.Scan(&h.Token, &h.User, &h.Name, &h.Role, &h.Account)
	}
	return list(tx, "holders", scan, `
		SELECT h.token, h.user, h.name, `+roleOf("h.user", "t.workspace")+`,
			COALESCE((SELECT IIF(u.disabled_at > 0, 'disabled', '') FROM users u WHERE u.id = h.user), 'removed')
		FROM token_holders h JOIN tokens t ON t.id = h.token
		WHERE h.token IN (SELECT value FROM json_each(?)) ORDER BY h.name`, asJSON(of))
}

// AnswersFor returns the id of the person in whose name an actor acts: for a token,
// who was shown the secret; of several, always the same one. Without a known person,
// the token's id.
func (tx *Tx) AnswersFor(by slipway.Actor) (id string, err error) {
	if by.Token == "" {
		return string(by.User), nil
	}
	return one(tx, "holder of token", nil, func(r row) (id string, err error) {
		err = r.Scan(&id)
		return id, err
	}, `SELECT COALESCE(MIN(user), ?1) FROM token_holders WHERE token = ?1`, by.Token)
}
