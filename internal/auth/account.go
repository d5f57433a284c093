package auth

import (
	"fmt"
	"slices"
	"strings"

	"slipway/internal/slipway"
	"slipway/store"
)

// EndedAccount is the result of disabling or removing an account.
type EndedAccount struct {
	User      slipway.User
	Sessions  int
	Tokens    []EndingToken
	Ownerless []slipway.Workspace // Workspaces left without an Owner who can sign in
}

// Counts returns the ended sessions and tokens as text: "2 sessions, 3 tokens
// revoked, 1 kept".
func (a EndedAccount) Counts() string {
	sessions := fmt.Sprintf("%d sessions, ", a.Sessions)
	if a.Sessions == 1 {
		sessions = "1 session, "
	}
	return sessions + strings.ToLower(strings.TrimSuffix(CountTokens(a.Tokens), "."))
}

// DisableAccount ends all sessions, logins and invitations of a user, and the
// user's tokens except the ids in keep. Memberships stay for EnableAccount. The
// user is found by email; the only Organization admin cannot be disabled.
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

// RemoveAccount ends an account like DisableAccount, and deletes the account
// with its memberships. The history and the audit log keep the name.
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

// EnableAccount lets a disabled user sign in again, with the earlier
// memberships. Sessions, logins, invitations and revoked tokens do not come
// back.
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

// audit records an action on the account, with the counts of its tokens.
func (a EndedAccount) audit(tx *store.Tx, by slipway.Actor, action string) error {
	return auditAccount(tx, by, action, a.User, func(w slipway.WorkspaceID) string {
		return CountTokens(slices.DeleteFunc(slices.Clone(a.Tokens), func(t EndingToken) bool { return w != "" && t.Workspace != w }))
	})
}

// auditAccount records an action on an account for the Organization, and once
// more in each Workspace of the user, where the Owners read the audit log.
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

// AuditLogin records the consent of u to a login of the astro CLI, where sign-ins
// are recorded.
func AuditLogin(tx *store.Tx, by slipway.Actor, u slipway.User) error {
	return auditAccount(tx, by, "login.allow", u, func(slipway.WorkspaceID) string { return "" })
}

// endAccount checks that an account may end, and revokes the account's tokens
// except the ids in keep. An id in keep without a token is an error.
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
	l := AccessLoss{User: a.User, Before: slipway.Admin, Why: "The account " + a.User.Email + " " + what + "."}
	if a.Tokens, err = EndTokens(tx, by, l, keep); err != nil {
		return a, err
	}
	for _, id := range keep {
		if !slices.ContainsFunc(a.Tokens, func(t EndingToken) bool { return t.ID == id }) {
			return a, slipway.Errorf(slipway.Invalid, "%s holds no token with the id %q. Run the command with --dry-run: it lists the ids.", a.User.Email, id)
		}
	}
	return a, nil
}
