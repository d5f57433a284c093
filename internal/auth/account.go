package auth

import (
	"fmt"
	"slices"
	"strings"

	"slipway/internal/slipway"
	"slipway/store"
)

// EndedAccount is what ended with an account.
type EndedAccount struct {
	User      slipway.User
	Sessions  int
	Tokens    []LeavingToken
	Ownerless []slipway.Workspace // that have no Owner left who can sign in
}

// Counts says what ended: "2 sessions, 3 tokens revoked, 1 kept".
func (a EndedAccount) Counts() string {
	sessions := fmt.Sprintf("%d sessions, ", a.Sessions)
	if a.Sessions == 1 {
		sessions = "1 session, "
	}
	return sessions + strings.ToLower(strings.TrimSuffix(CountTokens(a.Tokens), "."))
}

// DisableAccount ends the sessions, logins and invitations of somebody, and
// their tokens in all Workspaces but those in keep. Their memberships stay for
// EnableAccount.
func DisableAccount(tx *store.Tx, by slipway.Actor, email string, keep []slipway.TokenID) (EndedAccount, error) {
	a, err := endAccount(tx, by, email, "was disabled", keep)
	if err != nil {
		return a, err
	}
	if err := tx.DisableUser(a.User.ID); err != nil {
		return a, err
	}
	return a, a.audit(tx, by, "account.disable")
}

// RemoveAccount is DisableAccount for good: the account goes with its
// memberships. The history and the audit log keep its name.
func RemoveAccount(tx *store.Tx, by slipway.Actor, email string, keep []slipway.TokenID) (EndedAccount, error) {
	a, err := endAccount(tx, by, email, "was removed", keep)
	if err != nil {
		return a, err
	}
	if err := a.audit(tx, by, "account.remove"); err != nil {
		return a, err
	}
	return a, tx.RemoveUser(a.User.ID)
}

// EnableAccount lets somebody sign in again, with the memberships that they had.
// What ended when the account was disabled stays ended.
func EnableAccount(tx *store.Tx, by slipway.Actor, email string) (slipway.User, error) {
	u, err := tx.UserByEmail(email)
	if err != nil {
		return u, err
	}
	if !u.Disabled() {
		return u, slipway.Errorf(slipway.Conflict, "The account %s is not disabled.", u.Email)
	}
	if err := tx.EnableUser(u.ID); err != nil {
		return u, err
	}
	return u, auditAccount(tx, by, "account.enable", u, func(slipway.WorkspaceID) string { return "" })
}

// audit records what became of the account, with its tokens.
func (a EndedAccount) audit(tx *store.Tx, by slipway.Actor, action string) error {
	return auditAccount(tx, by, action, a.User, func(w slipway.WorkspaceID) string {
		return CountTokens(slices.DeleteFunc(slices.Clone(a.Tokens), func(t LeavingToken) bool { return w != "" && t.Workspace != w }))
	})
}

// auditAccount records what became of an account, for the Organization and in
// each Workspace of which it is a member, so that its Owners learn it.
func auditAccount(tx *store.Tx, by slipway.Actor, action string, u slipway.User, detail func(slipway.WorkspaceID) string) error {
	memberships, err := tx.Memberships(u.ID)
	if err != nil {
		return err
	}
	for _, m := range append(memberships, slipway.Membership{}) {
		e := slipway.Event{Workspace: m.Workspace, Action: action, Target: u.Email, Detail: detail(m.Workspace)}
		if err := tx.Audit(by, e); err != nil {
			return err
		}
	}
	return nil
}

// endAccount judges whether an account may end, and ends its tokens.
func endAccount(tx *store.Tx, by slipway.Actor, email, what string, keep []slipway.TokenID) (a EndedAccount, err error) {
	if a.User, err = tx.UserByEmail(email); err != nil {
		return a, err
	}
	admins, err := tx.CountAdmins()
	if err != nil {
		return a, err
	}
	if err := a.User.EndAccount(admins); err != nil {
		return a, err
	}
	if a.Ownerless, err = tx.OwnedAlone(a.User.ID); err != nil {
		return a, err
	}
	if a.Sessions, err = tx.CountSessions(a.User.ID); err != nil {
		return a, err
	}
	l := Leaving{User: a.User, Before: slipway.Admin, Why: "The account " + a.User.Email + " " + what + "."}
	if a.Tokens, err = EndTokens(tx, by, l, keep); err != nil {
		return a, err
	}
	for _, id := range keep {
		if !slices.ContainsFunc(a.Tokens, func(t LeavingToken) bool { return t.ID == id }) {
			return a, slipway.Errorf(slipway.Invalid, "%s holds no token with the id %q. Run the command with --dry-run: it lists the ids.", a.User.Email, id)
		}
	}
	return a, nil
}
