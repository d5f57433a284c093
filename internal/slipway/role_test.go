package slipway

import (
	"strings"
	"testing"
)

// fine is the kind that a table gives to a case without an error.
const fine Kind = -1

// allRoles are all there are, smallest first.
var allRoles = []Role{NoRole, Member, Author, Operator, Owner, Admin}

// checkError compares err with the kind wanted and a part of its sentence.
func checkError(t *testing.T, err error, want Kind, text string) {
	t.Helper()
	if want == fine {
		if err != nil {
			t.Errorf("got %v, want no error", err)
		}
		return
	}
	if err == nil {
		t.Errorf("got no error, want kind %v with %q", want, text)
		return
	}
	kind, got := Explain(err)
	if kind != want || !strings.Contains(got, text) {
		t.Errorf("got kind %v, %q; want kind %v with %q", kind, got, want, text)
	}
	if !strings.HasSuffix(got, ".") {
		t.Errorf("%q is no sentence with a full stop", got)
	}
}

func TestMay(t *testing.T) {
	for action, tt := range map[Action]struct {
		need Role
		text string // of the refusal
	}{
		DeployDAGs:        {Author, "Deploying DAGs needs the Author role; you are a"},
		DeployImages:      {Author, "Deploying an image needs the Author role; you are a"},
		CancelDeploys:     {Author, "Cancelling a deploy needs the Author role; you are a"},
		ManageDeployments: {Operator, "Managing Deployments needs the Operator role; you are a"},
		ManageAgents:      {Operator, "Managing agents needs the Operator role; you are a"},
		ManageTokens:      {Operator, "Managing API tokens needs the Operator role; you are a"},
		Switch:            {Owner, "Switching DAG-only deploys needs the Owner role; you are a"},
		ManageMembers:     {Owner, "Managing people needs the Owner role; you are a"},
		IssueForOne:       {Owner, "Managing API tokens of one Deployment needs the Owner role; you are a"},
		ReadAudit:         {Owner, "Reading the audit log needs the Owner role; you are a"},
		ManageWorkspaces:  {Admin, "Managing Workspaces is for Organization admins."},
		SetApplyCommands:  {Admin, "Setting apply commands is for Organization admins."},
	} {
		for _, r := range allRoles {
			t.Run(string(action)+" "+r.String(), func(t *testing.T) {
				want := Forbidden
				if r >= tt.need {
					want = fine
				}
				checkError(t, r.May(action), want, tt.text)
			})
		}
	}
	if len(needs) != 12 {
		t.Errorf("%d actions have a role, the table above 12", len(needs))
	}
}

func TestMayRefusesWhatIsNoAction(t *testing.T) {
	for _, r := range allRoles {
		checkError(t, r.May("flying"), Forbidden, "Flying needs")
	}
}

func TestRefusalNamesOnesOwnRole(t *testing.T) {
	for r, want := range map[Role]string{
		NoRole: "you are a stranger.", Member: "you are a Member.", Author: "you are an Author.", Operator: "you are an Operator.",
	} {
		checkError(t, r.May(Switch), Forbidden, want)
	}
}

func TestMayIssue(t *testing.T) {
	for name, tt := range map[string]struct {
		role, given Role
		forOne      bool
		want        Kind
		text        string
	}{
		"author, for the Workspace":        {Author, Member, false, Forbidden, "needs the Operator role"},
		"operator, smaller":                {Operator, Member, false, fine, ""},
		"operator, own":                    {Operator, Operator, false, fine, ""},
		"operator, larger":                 {Operator, Owner, false, Forbidden, "up to your own role, Operator."},
		"operator, for one Deployment":     {Operator, Member, true, Forbidden, "needs the Owner role"},
		"owner, own":                       {Owner, Owner, false, fine, ""},
		"owner, for one Deployment":        {Owner, Owner, true, fine, ""},
		"owner, no role":                   {Owner, NoRole, false, Invalid, "Member, Author, Operator or Owner."},
		"owner, for one Deployment, admin": {Owner, Admin, true, Invalid, "Member, Author, Operator or Owner."},
		"admin, owner":                     {Admin, Owner, false, fine, ""},
		"admin, admin":                     {Admin, Admin, false, Invalid, "Member, Author, Operator or Owner."},
	} {
		t.Run(name, func(t *testing.T) {
			checkError(t, tt.role.MayIssue(tt.given, tt.forOne), tt.want, tt.text)
		})
	}
}

func TestRoleOf(t *testing.T) {
	for name, tt := range map[string]struct {
		want Role
		kind Kind
	}{
		"Member": {Member, fine}, "author": {Author, fine}, "OPERATOR": {Operator, fine}, "Owner": {Owner, fine},
		"": {NoRole, Invalid}, "stranger": {NoRole, Invalid}, "Organization admin": {NoRole, Invalid}, "Owner ": {NoRole, Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := RoleOf(name)
			checkError(t, err, tt.kind, "The roles are Member, Author, Operator and Owner.")
			if got != tt.want {
				t.Errorf("role %v, want %v", got, tt.want)
			}
		})
	}
}
