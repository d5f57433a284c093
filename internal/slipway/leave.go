package slipway

// What somebody loses who leaves, gets a smaller role, or whose account ends.

// RevokedBy reports whether a token with grant g is revoked when its holder's
// role goes from before to next: one with a role above next is, and one of agents
// where next may not manage agents. Where the role does not get smaller, none is.
func (g Grant) RevokedBy(before, next Role) bool {
	if next >= before {
		return false
	}
	if g.Agents {
		return next.May(ManageAgents) != nil
	}
	return g.Role > next
}

// MayKeepTokens judges whether somebody with role mine may have tokens go on
// working whose holder leaves.
func MayKeepTokens(mine Role) error { return mine.May(ManageMembers) }

// EndAccount judges whether an account may be disabled or removed. admins counts
// the Organization admins whose accounts work: the last one stays.
func (u User) EndAccount(admins int) error {
	if u.Admin && !u.Disabled() && admins < 2 {
		return Errorf(Conflict, "%s is the only Organization admin. Add another first: slipway user add --admin EMAIL.", u.Email)
	}
	return nil
}
