package slipway

import "strings"

// Role is a set of rights in a Workspace. Each role includes the rights of all
// smaller roles.
type Role int

// The roles. NoRole is a stranger's: the Workspace is hidden from strangers.
// Admin is the Organization's, and holds in every Workspace.
const (
	NoRole Role = iota
	Member
	Author
	Operator
	Owner
	Admin
)

// WorkspaceRoles are the roles for members, smallest first.
var WorkspaceRoles = []Role{Member, Author, Operator, Owner}

var roleNames = map[Role]string{
	NoRole: "stranger", Member: "Member", Author: "Author", Operator: "Operator",
	Owner: "Owner", Admin: "Organization admin",
}

func (r Role) String() string { return roleNames[r] }

// RoleOf returns the member role of a name, in any case.
func RoleOf(name string) (Role, error) {
	for _, r := range WorkspaceRoles {
		if strings.EqualFold(r.String(), name) {
			return r, nil
		}
	}
	return NoRole, Errorf(Invalid, "There is no role %q. The roles are Member, Author, Operator and Owner.", name)
}

// Action is an action that needs a role.
type Action string

// The actions, in the words of a refusal.
const (
	DeployDAGs        Action = "deploying DAGs"
	DeployImages      Action = "deploying an image"
	CancelDeploys     Action = "cancelling a deploy"
	ManageDeployments Action = "managing Deployments"
	ManageAgents      Action = "managing agents"
	ManageTokens      Action = "managing API tokens" // of the Workspace; see MayIssue
	Switch            Action = "switching DAG-only deploys"
	ManageMembers     Action = "managing people"
	IssueForOne       Action = "managing API tokens of one Deployment"
	ReadAudit         Action = "reading the audit log"
	ManageWorkspaces  Action = "managing Workspaces"
	SetApplyCommands  Action = "setting apply commands"
)

var needs = map[Action]Role{
	DeployDAGs:        Author,
	DeployImages:      Author, // or Deployment.ImageRole
	CancelDeploys:     Author,
	ManageDeployments: Operator,
	ManageAgents:      Operator,
	ManageTokens:      Operator,
	Switch:            Owner,
	ManageMembers:     Owner,
	IssueForOne:       Owner,
	ReadAudit:         Owner,
	ManageWorkspaces:  Admin,
	SetApplyCommands:  Admin,
}

// May returns nil if r may do a, else a refusal with the needed role.
func (r Role) May(a Action) error { return r.atLeast(needs[a], a) }

// MayIssue judges whether r may issue an API token with the role given: for a
// whole Workspace up to one's own role, for one Deployment only as an Owner.
func (r Role) MayIssue(given Role, forOne bool) error {
	action := ManageTokens
	if forOne {
		action = IssueForOne
	}
	if err := r.May(action); err != nil {
		return err
	}
	if given < Member || given > Owner {
		return Errorf(Invalid, "An API token can be Member, Author, Operator or Owner.")
	}
	if given > r {
		return Errorf(Forbidden, "You can issue API tokens up to your own role, %s.", r)
	}
	return nil
}

func (r Role) atLeast(need Role, a Action) error {
	if r >= need && need != NoRole {
		return nil
	}
	if need == Admin {
		return Errorf(Forbidden, "%s is for Organization admins.", capital(string(a)))
	}
	return Errorf(Forbidden, "%s needs the %s role; you are %s. Ask a Workspace Owner for it.",
		capital(string(a)), need, r.withArticle())
}

func (r Role) withArticle() string {
	if r == Author || r == Operator || r == Owner || r == Admin {
		return "an " + r.String()
	}
	return "a " + r.String()
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
