package slipway

import "testing"

func TestRevokedBy(t *testing.T) {
	api := func(r Role) Grant { return Grant{Role: r} }
	agents := Grant{Role: Member, ForOne: true, Agents: true}
	for name, tt := range map[string]struct {
		g            Grant
		before, next Role
		want         bool
	}{
		"Owner's, to Operator":            {api(Owner), Owner, Operator, true},
		"Operator's, to Operator":         {api(Operator), Owner, Operator, false},
		"Author's, to Operator":           {api(Author), Owner, Operator, false},
		"Operator's, to Author":           {api(Operator), Operator, Author, true},
		"Author's, to Author":             {api(Author), Operator, Author, false},
		"Member's, to Author":             {api(Member), Operator, Author, false},
		"Author's, to Member":             {api(Author), Author, Member, true},
		"Member's, to Member":             {api(Member), Owner, Member, false},
		"Member's, removed":               {api(Member), Member, NoRole, true},
		"Owner's, removed":                {api(Owner), Owner, NoRole, true},
		"of one Deployment, to Operator":  {Grant{Role: Owner, ForOne: true}, Owner, Operator, true},
		"above the role before":           {api(Owner), Operator, Author, true},
		"above the role, which stays":     {api(Owner), Author, Author, false},
		"above the role, which rises":     {api(Owner), Author, Operator, false},
		"agents', to Operator":            {agents, Owner, Operator, false},
		"agents', to Author":              {agents, Operator, Author, true},
		"agents', to Member":              {agents, Author, Member, true},
		"agents', removed":                {agents, Member, NoRole, true},
		"agents', whose holder is raised": {agents, Member, Author, false},
		"account ends":                    {api(Member), Admin, NoRole, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.g.RevokedBy(tt.before, tt.next); got != tt.want {
				t.Errorf("ends: %v, want %v", got, tt.want)
			}
		})
	}
}

func TestEndAccount(t *testing.T) {
	gone := User{Email: "ada@example.com", Admin: true, DisabledAt: noon}
	for name, tt := range map[string]struct {
		u      User
		admins int
		want   Kind
	}{
		"no admin":               {User{Email: "eve@example.com"}, 1, fine},
		"one of two admins":      {User{Email: "ada@example.com", Admin: true}, 2, fine},
		"only admin":             {User{Email: "ada@example.com", Admin: true}, 1, Conflict},
		"admin that is disabled": {gone, 1, fine},
	} {
		t.Run(name, func(t *testing.T) {
			checkError(t, tt.u.EndAccount(tt.admins), tt.want, "ada@example.com is the only Organization admin.")
		})
	}
}

// A disabled Owner is no Owner who could go on with the Workspace.
func TestDisabledOwners(t *testing.T) {
	for name, tt := range map[string]struct {
		disabled bool
		owners   int // whose accounts work
		want     Kind
	}{
		"works, alone":                {false, 1, Conflict},
		"works, beside another":       {false, 2, fine},
		"disabled, beside another":    {true, 1, fine},
		"disabled, and there is none": {true, 0, Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			m := Membership{User: User{ID: "ada", Name: "Ada"}, Role: Owner}
			if tt.disabled {
				m.User.DisabledAt = noon
			}
			checkError(t, m.Remove("eve", Owner, tt.owners), tt.want, "Ada is the last Owner")
			checkError(t, m.SetRole(Owner, Member, tt.owners), tt.want, "Ada is the last Owner")
		})
	}
}

func TestTakenBack(t *testing.T) {
	for name, tt := range map[string]struct {
		invited, before, next Role
		want                  bool
	}{
		"removed":                      {Member, Owner, NoRole, true},
		"more than what they get":      {Owner, Operator, Member, true},
		"no more than what they get":   {Member, Operator, Member, false},
		"more, and they get more, too": {Owner, Member, Operator, false},
		"the role stays":               {Owner, Operator, Operator, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (Invitation{Role: tt.invited}).TakenBack(tt.before, tt.next); got != tt.want {
				t.Errorf("taken back %t, want %t", got, tt.want)
			}
		})
	}
}

func TestAskRole(t *testing.T) {
	m := Membership{User: User{ID: "oli", Name: "Oli"}, Role: Operator}
	checkError(t, m.AskRole(Owner, Author, 1), fine, "")
	checkError(t, m.AskRole(Owner, Operator, 1), Conflict, "Oli is Operator already.")
	checkError(t, m.AskRole(Member, Author, 1), Forbidden, "Owner")
}
