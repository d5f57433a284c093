package slipway

import (
	"slices"
	"strings"
	"time"
)

// Kinds are the kinds of deploy allowed to an API token, joined by commas; ""
// for all. Kinds are text for comparison and storage.
type Kinds string

// AllKinds are all kinds, in the order of the pages.
var AllKinds = []DeployKind{DAGOnly, ImageOnly, ImageAndDAG}

// KindsOf returns the set of the named kinds, in the order of AllKinds. No
// name, or every name, means all kinds, including kinds of later releases.
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

// Grant holds the rights of an API token, and their end.
type Grant struct {
	Role      Role
	ForOne    bool // for one Deployment; else for the whole Workspace
	Agents    bool // a token of agents, without rights to deploy
	Kinds     Kinds
	Folder    string    // the only folder, below dags, for changes; "" for all
	ExpiresAt time.Time // zero: never
}

// IssuedBy checks whether somebody with a role may issue, rotate, change or
// revoke g. A token with the grant by passes on no more than its own rights; by
// is nil for a person.
func (g Grant) IssuedBy(role Role, by *Grant) error {
	if err := role.MayIssue(g.Role, g.ForOne); err != nil {
		return err
	}
	if err := g.checkFolder(); err != nil || by == nil {
		return err
	}
	if !InFolder(by.Folder, g.Folder) {
		return Errorf(Forbidden, "An API token hands on no more than it has: this one changes the folder dags/%s alone.", by.Folder)
	}
	if !g.Kinds.Within(by.Kinds) {
		return Errorf(Forbidden, "An API token hands on no more than it has: this one makes deploys of the kind %s.", by.Kinds.Title())
	}
	return nil
}

// checkFolder refuses a token for one folder with rights over more than the folder.
func (g Grant) checkFolder() error {
	switch {
	case g.Folder == "":
		return nil
	case g.Role > Author:
		return Errorf(Invalid, "An API token for one folder is an Author at most: a larger role changes more than the folder dags/%s.", g.Folder)
	case g.Kinds != FolderKinds:
		return Errorf(Invalid, "An API token for one folder makes deploys of DAGs alone: an image changes more than the folder dags/%s. Choose DAG_ONLY, and no other kind.", g.Folder)
	}
	return nil
}

// KindFor returns the simplest kind of deploy that a token with g may make to d;
// "" for none.
func (g Grant) KindFor(d Deployment) DeployKind {
	by := Actor{Token: "any", Kinds: g.Kinds, Folder: g.Folder}
	for _, kind := range []DeployKind{DAGOnly, ImageAndDAG, ImageOnly} {
		if d.MayDeploy(kind, g.Role, by) == nil {
			return kind
		}
	}
	return ""
}

// FolderKinds are the kinds of deploy of a token for one folder.
const FolderKinds = Kinds(DAGOnly)

// LastsWithin checks that g ends no later than by, the grant of the issuing
// token. by is nil for a person.
func (g Grant) LastsWithin(by *Grant) error {
	if by == nil || by.ExpiresAt.IsZero() || !g.ExpiresAt.IsZero() && !g.ExpiresAt.After(by.ExpiresAt) {
		return nil
	}
	return Errorf(Forbidden, "An API token issues none that outlasts it: this one expires at %s.", by.ExpiresAt.Format("2006-01-02 15:04 UTC"))
}

// ChangedBy checks whether somebody with a role may change g to next. Rights that
// next has beyond g are issued: with by, they end no later than by.
func (g Grant) ChangedBy(role Role, by *Grant, next Grant) error {
	if err := g.IssuedBy(role, by); err != nil {
		return err
	}
	if err := next.IssuedBy(role, by); err != nil {
		return err
	}
	if next.within(g) {
		return nil
	}
	return next.LastsWithin(by)
}

// within reports whether g has no right that other does not have, and ends no
// later.
func (g Grant) within(other Grant) bool {
	lasts := other.ExpiresAt.IsZero() || !g.ExpiresAt.IsZero() && !g.ExpiresAt.After(other.ExpiresAt)
	return g.Role <= other.Role && g.Kinds.Within(other.Kinds) && InFolder(other.Folder, g.Folder) && (g.ForOne || !other.ForOne) && lasts
}

// Expired reports whether g has ended at now.
func (g Grant) Expired(now time.Time) bool { return !g.ExpiresAt.IsZero() && !now.Before(g.ExpiresAt) }

// TokenDays are the lifetimes of API tokens offered on pages; 0 is for ever.
var TokenDays = []int{30, 90, 365, 0}

// MaxTokenDays is the longest lifetime of an API token with an end.
const MaxTokenDays = 3650

// Expiry returns the end of a token issued at now for some days.
func Expiry(now time.Time, days int) (time.Time, error) {
	switch {
	case days == 0:
		return time.Time{}, nil
	case days < 0 || days > MaxTokenDays:
		return time.Time{}, Errorf(Invalid, "An API token lasts 1 to %d days, or does not expire.", MaxTokenDays)
	}
	return now.Add(time.Duration(days) * 24 * time.Hour), nil
}

// IdempotencyLife is the time during which an Idempotency-Key names its deploy.
const IdempotencyLife = 24 * time.Hour

// CheckIdempotencyKey returns an error for an invalid key.
func CheckIdempotencyKey(key string) error {
	if len(key) > 200 || strings.ContainsFunc(key, func(r rune) bool { return r < '!' || r > '~' }) {
		return Errorf(Invalid, "An Idempotency-Key has at most 200 letters, digits and signs, and no spaces.")
	}
	return nil
}

// RevokedBy reports whether a token with grant g is revoked when its holder's
// role goes from before to a smaller next: if the token's role is above next,
// or if an agents' token has a holder who may not manage agents.
func (g Grant) RevokedBy(before, next Role) bool {
	if next >= before {
		return false
	}
	if g.Agents {
		return next.May(ManageAgents) != nil
	}
	return g.Role > next
}

// MayKeepTokens checks whether somebody with role mine may keep the tokens of a
// leaving holder.
func MayKeepTokens(mine Role) error { return mine.May(ManageMembers) }
