package slipway

// Losses of a user who leaves, gets a smaller role, or loses the account.

// MayKeepTokens checks whether somebody with role mine may keep the tokens of a
// leaving holder.
func MayKeepTokens(mine Role) error { return mine.May(ManageMembers) }
