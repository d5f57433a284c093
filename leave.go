package slipway

// What somebody loses who leaves, gets a smaller role, or whose account ends.

// EndsWith reports whether a token with the grant g ends when the role of
// somebody who holds it goes from before to next: what next may not do itself,
// no token of theirs does. A role that does not shrink ends nothing.
func (g Grant) EndsWith(before, next Role) bool {
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
