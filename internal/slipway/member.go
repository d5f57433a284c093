package slipway

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

type (
	// UserID names a person's account.
	UserID string
	// WorkspaceID names a Workspace.
	WorkspaceID string
	// TokenID names an API token.
	TokenID string
)

// OrganizationID is the id of the one Organization, the installation.
const OrganizationID = "slipway"

// User is a person's account.
type User struct {
	ID         UserID
	Email      string
	Name       string
	Admin      bool // of the Organization
	CreatedAt  time.Time
	UpdatedAt  time.Time
	DisabledAt time.Time // zero while the account works
}

// Disabled reports whether u's account lets nobody in.
func (u User) Disabled() bool { return !u.DisabledAt.IsZero() }

// Title returns how the pages name u: by name, else by address.
func (u User) Title() string {
	if u.Name != "" {
		return Visible(u.Name)
	}
	return Visible(u.Email)
}

// Workspace is a team's Deployments, members and tokens.
type Workspace struct {
	ID        WorkspaceID
	Name      string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Delete checks whether someone with role may delete w after typing typed as the
// name. deployments counts the Deployments of w.
func (w Workspace) Delete(role Role, deployments int, typed string) error {
	if err := role.May(ManageWorkspaces); err != nil {
		return err
	}
	switch {
	case deployments == 1:
		return Errorf(Conflict, "%s still has a Deployment. Delete it first, in its Settings.", w.Name)
	case deployments > 1:
		return Errorf(Conflict, "%s still has %d Deployments. Delete them first, each in its Settings.", w.Name, deployments)
	case strings.TrimSpace(typed) != w.Name:
		return Errorf(Invalid, "Type the name %q to delete the Workspace.", w.Name)
	}
	return nil
}

// Membership is a user's role in a Workspace.
type Membership struct {
	Workspace WorkspaceID
	User      User
	Role      Role
	Since     time.Time
}

// Invitation lets the holder of its link join a Workspace, once.
type Invitation struct {
	ID        string // the SHA-256 of the link's secret, hex
	Workspace WorkspaceID
	Role      Role
	Email     string // of the invited person, who alone may accept; "" for whoever has the link
	By        UserID
	CreatedAt time.Time
	ExpiresAt time.Time
}

// InvitationLife is how long an invitation's link works.
const InvitationLife = 7 * 24 * time.Hour

// Open returns nil if i can still be accepted at now.
func (i Invitation) Open(now time.Time) error {
	if now.After(i.ExpiresAt) {
		return Errorf(NotFound, "This invitation has expired. Ask for a new one.")
	}
	return nil
}

// SetRole checks whether by, with role mine, may give m the role next. owners
// counts the Owners of the Workspace with working accounts: the last Owner
// stays.
func (m Membership) SetRole(mine, next Role, owners int) error {
	if err := mine.May(ManageMembers); err != nil {
		return err
	}
	if next < Member || next > Owner {
		return Errorf(Invalid, "The role is none of those in a Workspace. Choose Member, Author, Operator or Owner.")
	}
	return m.leavesOwner(next, owners)
}

// AskRole checks SetRole for a role that m does not have yet: the present role
// is a Conflict.
func (m Membership) AskRole(mine, next Role, owners int) error {
	if err := m.SetRole(mine, next, owners); err != nil {
		return err
	}
	if m.Role == next {
		return Errorf(Conflict, "%s is %s already. Choose another role.", m.User.Title(), next)
	}
	return nil
}

// Remove judges whether someone with role mine may remove m. Everyone may
// leave by themselves.
func (m Membership) Remove(by UserID, mine Role, owners int) error {
	if by != m.User.ID {
		if err := mine.May(ManageMembers); err != nil {
			return err
		}
	}
	return m.leavesOwner(NoRole, owners)
}

func (m Membership) leavesOwner(next Role, owners int) error {
	if !m.User.Disabled() {
		owners-- // without m
	}
	if m.Role == Owner && next != Owner && owners < 1 {
		return Errorf(Conflict, "%s is the last Owner of this Workspace. Make someone else Owner first.", m.User.Title())
	}
	return nil
}

// Limits of typed texts, in characters.
const (
	maxName        = 80
	maxDescription = 1000
	minPassword    = 10
	maxPassword    = 200
)

// CheckName returns a cleaned name, or an Invalid error.
func CheckName(what, name string) (string, error) {
	name = strings.TrimSpace(name)
	for strings.Contains(name, "  ") { // pages show one space
		name = strings.ReplaceAll(name, "  ", " ")
	}
	switch {
	case name == "":
		return "", Errorf(Invalid, "%s needs a name. Type one.", what)
	case utf8.RuneCountInString(name) > maxName:
		return "", Errorf(Invalid, "The name of %s may have at most %d characters. Shorten it.", lower(what), maxName)
	case strings.ContainsFunc(name, unprintable) || !utf8.ValidString(name):
		return "", Errorf(Invalid, "The name of %s may hold only letters, digits, spaces and signs. Leave other characters out.", lower(what))
	case len(HiddenRunes(name)) > 0:
		return "", Errorf(Invalid, "The name of %s holds a character that nobody sees: %s. Leave the character out.", lower(what), name)
	case !strings.ContainsFunc(name, func(r rune) bool { return unicode.In(r, unicode.L, unicode.N, unicode.S) }):
		return "", Errorf(Invalid, "The name of %s needs a letter, a digit or a symbol. Add one.", lower(what))
	}
	return name, nil
}

// CheckDescription returns a cleaned description, or an Invalid error.
func CheckDescription(text string) (string, error) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	if utf8.RuneCountInString(text) > maxDescription {
		return "", Errorf(Invalid, "A description may have at most %d characters. Shorten it.", maxDescription)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && unprintable(r) }) {
		return "", Errorf(Invalid, "A description may hold only text. Leave control characters out.")
	}
	return text, nil
}

// CheckEmail returns an address in the form stored in accounts. Slipway sends
// no mail: the address is only a sign-in name, and checked loosely.
func CheckEmail(typed string) (string, error) {
	email := strings.ToLower(strings.TrimSpace(typed))
	name, host, ok := strings.Cut(email, "@")
	if !ok || name == "" || host == "" || len(email) > 254 || strings.Contains(host, "@") || !utf8.ValidString(typed) || len(HiddenRunes(email)) > 0 ||
		strings.ContainsFunc(email, func(r rune) bool { return unicode.IsSpace(r) || unprintable(r) }) {
		return "", Errorf(Invalid, "%q is not an email address. Type one like ada@example.com.", email)
	}
	if i := strings.IndexFunc(email, poses); i >= 0 {
		r, _ := utf8.DecodeRuneInString(email[i:])
		return "", Errorf(Invalid, "%q is not an email address that Slipway takes: %q (%U) reads like a plain letter or sign. Type the plain one.", email, r, r)
	}
	return email, nil
}

// poses reports whether a character counts as one of ASCII once case or width is
// ignored: ſ, ı and the full-width forms.
func poses(r rune) bool {
	if r <= unicode.MaxASCII {
		return false
	}
	return unicode.ToUpper(r) <= unicode.MaxASCII || unicode.ToLower(r) <= unicode.MaxASCII || r >= 0xff00 && r <= 0xff5e
}

// CheckPassword says why password cannot be one.
func CheckPassword(password string) error {
	switch n := utf8.RuneCountInString(password); {
	case n < minPassword:
		return Errorf(Invalid, "A password needs at least %d characters. Choose a longer one.", minPassword)
	case n > maxPassword:
		return Errorf(Invalid, "A password may have at most %d characters. Choose a shorter one.", maxPassword)
	}
	return nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// TakenBack reports whether the invitation i for a person is revoked when the
// person's role goes from before to next: accepting i would undo the change.
func (i Invitation) TakenBack(before, next Role) bool { return next < before && i.Role > next }

// For checks that the account of an email address may accept i.
func (i Invitation) For(email string) error {
	own, err := CheckEmail(email)
	if to, bad := CheckEmail(i.Email); i.Email == "" || err == nil && bad == nil && own == to {
		return nil
	}
	return Errorf(Forbidden, "This invitation is for %s. Join with an account of that address, or ask for an invitation to %s.", i.Email, email)
}

// Accept checks whether the holder of m, of u's account, may accept i, and
// whether i raises the role: m is the present membership, zero for none. An
// invitation never lowers a role.
func (m Membership) Accept(i Invitation, u User) error {
	if err := i.For(u.Email); err != nil {
		return err
	}
	if m.Role >= i.Role {
		return Errorf(Conflict, "You are in this Workspace already, as %s. Open the Workspace: the invitation stays open.", m.Role)
	}
	return nil
}

// EndAccount checks whether an account may be disabled or removed. admins
// counts the Organization admins with working accounts: the last admin stays.
func (u User) EndAccount(admins int) error {
	if u.Admin && !u.Disabled() && admins < 2 {
		return Errorf(Conflict, "%s is the only Organization admin. Add another first: slipway user add --admin EMAIL.", u.Email)
	}
	return nil
}

// PasswordLinkLife is how long a link to set a new password works.
const PasswordLinkLife = 24 * time.Hour

// LinkPassword checks whether an admin may make a link with which u sets a new
// password.
func (u User) LinkPassword(by UserID) error {
	switch {
	case u.ID == by:
		return Errorf(Conflict, "This is your own account. Change your password under Your account.")
	case u.Disabled():
		return Errorf(Conflict, "The account %s is disabled. Enable it first.", u.Email)
	}
	return nil
}

// Disable checks whether an admin may disable u. admins counts the Organization
// admins with working accounts.
func (u User) Disable(by UserID, admins int) error {
	switch {
	case u.Disabled():
		return Errorf(Conflict, "The account %s is disabled already. Enable it to let the person in again.", u.Email)
	case u.ID == by:
		return Errorf(Conflict, "This is your own account. Ask another admin to disable it.")
	}
	return u.EndAccount(admins)
}
