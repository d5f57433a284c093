package auth

import (
	"fmt"
	"slices"

	"slipway/internal/slipway"
	"slipway/store"
)

// AccessLoss is a smaller role of a user, or none, in one Workspace or in all.
type AccessLoss struct {
	User         slipway.User
	Workspace    slipway.WorkspaceID // "" for all
	Before, Next slipway.Role
	Why          string // for the audit log: "ada@example.com was removed."
}

// Removal returns the AccessLoss for the end of a membership.
func Removal(m slipway.Membership) AccessLoss {
	return AccessLoss{User: m.User, Workspace: m.Workspace, Before: m.Role, Why: m.User.Email + " was removed from the Workspace."}
}

// RoleChange returns the AccessLoss for a member's change to the role next.
func RoleChange(m slipway.Membership, next slipway.Role) AccessLoss {
	why := m.User.Email + " was " + m.Role.String() + " and is " + next.String() + " now."
	return AccessLoss{User: m.User, Workspace: m.Workspace, Before: m.Role, Next: next, Why: why}
}

// Revokes returns the tokens of all to be revoked with l.
func (l AccessLoss) Revokes(all []store.Token) []store.Token {
	return slices.DeleteFunc(slices.Clone(all), func(t store.Token) bool { return !t.Grant().RevokedBy(l.Before, l.Next) })
}

// EndingToken is a token revoked with an AccessLoss of its holder, or kept on
// request.
type EndingToken struct {
	store.Token
	Kept bool
}

// EndingTokens loads the tokens to be revoked with l.
func EndingTokens(tx *store.Tx, l AccessLoss) ([]store.Token, error) {
	all, err := tx.HeldTokens(l.User.ID, l.Workspace)
	if err != nil {
		return nil, err
	}
	return l.Revokes(all), nil
}

// EndTokens revokes the tokens of l except the ids in keep, and audits each
// token, kept ones as well. Call EndTokens in the transaction that reduces the
// role: a token issued before is found, and a token cannot be issued
// afterwards.
func EndTokens(tx *store.Tx, by slipway.Actor, l AccessLoss, keep []slipway.TokenID) (ended []EndingToken, err error) {
	tokens, err := EndingTokens(tx, l)
	if err != nil {
		return nil, err
	}
	for _, t := range tokens {
		one := EndingToken{Token: t, Kept: slices.Contains(keep, t.ID)}
		action := "token.keep"
		if !one.Kept {
			action, err = "token.revoke", tx.RevokeToken(t.ID)
		}
		if err != nil {
			return nil, err
		}
		if err := tx.Audit(by, slipway.Event{
			Workspace: t.Workspace, Deployment: t.Deployment, Action: action, Target: kindOfToken(t) + " " + t.Name, Detail: l.Why,
		}); err != nil {
			return nil, err
		}
		ended = append(ended, one)
	}
	return ended, nil
}

// kindOfToken names the kind of a token in the audit log.
func kindOfToken(t store.Token) string {
	if t.Kind == store.AgentToken {
		return "agent token"
	}
	return "API token"
}

// CountTokens returns the number of revoked and kept tokens as text, as in "2
// tokens revoked, 1 kept.", or "No tokens.", with the full stop.
func CountTokens(ended []EndingToken) string {
	kept := 0
	for _, t := range ended {
		if t.Kept {
			kept++
		}
	}
	switch revoked := len(ended) - kept; {
	case len(ended) == 0:
		return "No tokens."
	case revoked == 1:
		return fmt.Sprintf("1 token revoked, %d kept.", kept)
	default:
		return fmt.Sprintf("%d tokens revoked, %d kept.", revoked, kept)
	}
}
