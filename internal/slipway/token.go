package slipway

import (
	"slices"
	"strings"
	"time"
)

// Kinds are the kinds of deploy that an API token may make, joined by commas;
// "" for all of them. It is text so that it can be compared and stored.
type Kinds string

// AllKinds are all there are, as the pages list them.
var AllKinds = []DeployKind{DAGOnly, ImageOnly, ImageAndDAG}

// KindsOf returns the set of the kinds that are named, in the order of
// AllKinds. No name, or every one, is all of them, those of later releases
// included.
func KindsOf(names ...string) (Kinds, error) {
	var parts []string
	for _, k := range AllKinds {
		if slices.Contains(names, string(k)) {
			parts = append(parts, string(k))
		}
	}
	for _, name := range names {
		if !slices.Contains(parts, name) {
			return "", Errorf(Invalid, "There is no kind of deploy %q. The kinds are DAG_ONLY, IMAGE_ONLY and IMAGE_AND_DAG.", name)
		}
	}
	if len(parts) == len(AllKinds) {
		return "", nil
	}
	return Kinds(strings.Join(parts, ",")), nil
}

// List returns the kinds of k.
func (k Kinds) List() (all []DeployKind) {
	for _, kind := range AllKinds {
		if k.Has(kind) {
			all = append(all, kind)
		}
	}
	return all
}

// Has reports whether kind is one of k.
func (k Kinds) Has(kind DeployKind) bool {
	return k == "" || slices.Contains(strings.Split(string(k), ","), string(kind))
}

// Within reports whether every kind of k is one of other.
func (k Kinds) Within(other Kinds) bool {
	if k == "" || other == "" {
		return other == ""
	}
	return !slices.ContainsFunc(k.List(), func(kind DeployKind) bool { return !other.Has(kind) })
}

// Title returns how the pages name k: "DAGs, Image".
func (k Kinds) Title() string {
	var titles []string
	for _, kind := range k.List() {
		titles = append(titles, kind.Title())
	}
	return strings.Join(titles, ", ")
}

// Grant is what an API token may do, and until when.
type Grant struct {
	Role      Role
	ForOne    bool // for one Deployment; else for the whole Workspace
	Agents    bool // it is a token of agents, which deploy nothing
	Kinds     Kinds
	ExpiresAt time.Time // zero: never
}

// IssuedBy judges whether somebody with a role may issue g, give it a new
// secret, change it or revoke it. A token, whose own grant is by, hands on no
// more than it has; by is nil for a person.
func (g Grant) IssuedBy(role Role, by *Grant) error {
	if err := role.MayIssue(g.Role, g.ForOne); err != nil || by == nil {
		return err
	}
	if !g.Kinds.Within(by.Kinds) {
		return Errorf(Forbidden, "An API token hands on no more than it has: this one makes deploys of the kind %s.", by.Kinds.Title())
	}
	return nil
}

// LastsWithin judges whether the grant by of a token may issue g as far as its
// end goes. by is nil for a person.
func (g Grant) LastsWithin(by *Grant) error {
	if by == nil || by.ExpiresAt.IsZero() || !g.ExpiresAt.IsZero() && !g.ExpiresAt.After(by.ExpiresAt) {
		return nil
	}
	return Errorf(Forbidden, "An API token issues none that outlasts it: this one expires at %s.", by.ExpiresAt.Format("2006-01-02 15:04 UTC"))
}

// Expired reports whether g has ended at now.
func (g Grant) Expired(now time.Time) bool { return !g.ExpiresAt.IsZero() && !now.Before(g.ExpiresAt) }

// TokenDays are for how long the pages offer to issue an API token; 0 is for
// ever.
var TokenDays = []int{30, 90, 365, 0}

// MaxTokenDays is the longest that an API token which expires may last.
const MaxTokenDays = 3650

// Expiry returns when a token that is issued at now for some days ends.
func Expiry(now time.Time, days int) (time.Time, error) {
	switch {
	case days == 0:
		return time.Time{}, nil
	case days < 0 || days > MaxTokenDays:
		return time.Time{}, Errorf(Invalid, "An API token lasts 1 to %d days, or does not expire.", MaxTokenDays)
	}
	return now.Add(time.Duration(days) * 24 * time.Hour), nil
}

// IdempotencyLife is for how long an Idempotency-Key stands for the deploy that
// it made.
const IdempotencyLife = 24 * time.Hour

// CheckIdempotencyKey says why key cannot be one.
func CheckIdempotencyKey(key string) error {
	if len(key) > 200 || strings.ContainsFunc(key, func(r rune) bool { return r < '!' || r > '~' }) {
		return Errorf(Invalid, "An Idempotency-Key has at most 200 letters, digits and signs, and no spaces.")
	}
	return nil
}

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
