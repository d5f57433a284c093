package slipway

// What somebody loses who leaves, gets a smaller role, or whose account ends.

// MayKeepTokens judges whether somebody with role mine may have tokens go on
// working whose holder leaves.
func MayKeepTokens(mine Role) error { return mine.May(ManageMembers) }
