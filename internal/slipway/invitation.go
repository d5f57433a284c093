package slipway

// Accept judges whether i brings its holder anything: m is the membership that
// they have already, zero for none. An invitation never takes a role away.
func (m Membership) Accept(i Invitation) error {
	if m.Role >= i.Role {
		return Errorf(Conflict, "You are in this Workspace already, as %s. The invitation stays open for somebody else.", m.Role)
	}
	return nil
}

// TakenBack reports whether i, which was meant for somebody, is taken back when
// their role goes from before to next: it would give back what they lose.
func (i Invitation) TakenBack(before, next Role) bool { return next < before && i.Role > next }
