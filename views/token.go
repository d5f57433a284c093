package views

import (
	"fmt"

	"slipway/internal/slipway"
)

// Reasons why a person may not hold a token today.
const (
	HolderDisabled = "whose account is disabled"
	HolderRemoved  = "whose account was removed"
	HolderGone     = "who is no longer in this Workspace"
)

// HolderIs is the reason of a person with too small a role.
func HolderIs(role slipway.Role) string { return fmt.Sprintf("who is %s now", role) }

// KnowsSecret warns of a person with the secret of a token.
func KnowsSecret(name, why string) string { return fmt.Sprintf("%s, %s, knows the secret.", name, why) }
