package slipway

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestKinds(t *testing.T) {
	for name, tt := range map[string]struct {
		names []string
		kind  Kind
		want  Kinds
		list  []DeployKind
		title string
	}{
		"none is all":  {nil, fine, "", AllKinds, "DAGs, Image, Image and DAGs"},
		"every one":    {[]string{"IMAGE_ONLY", "DAG_ONLY", "IMAGE_AND_DAG"}, fine, "", AllKinds, "DAGs, Image, Image and DAGs"},
		"one":          {[]string{"DAG_ONLY"}, fine, "DAG_ONLY", []DeployKind{DAGOnly}, "DAGs"},
		"in any order": {[]string{"IMAGE_AND_DAG", "IMAGE_ONLY"}, fine, "IMAGE_ONLY,IMAGE_AND_DAG", []DeployKind{ImageOnly, ImageAndDAG}, "Image, Image and DAGs"},
		"no kind":      {[]string{"DAG_ONLY", "BUNDLE"}, Invalid, "", AllKinds, "DAGs, Image, Image and DAGs"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := KindsOf(tt.names...)
			checkError(t, err, tt.kind, `There is no kind of deploy "BUNDLE".`)
			if got != tt.want || !slices.Equal(got.List(), tt.list) || got.Title() != tt.title {
				t.Errorf("%q: %v, %q", got, got.List(), got.Title())
			}
		})
	}
}

func TestIssuedBy(t *testing.T) {
	dags := &Grant{Role: Owner, Kinds: "DAG_ONLY"}
	team := func(folder string) Grant { return Grant{Role: Author, Kinds: "DAG_ONLY", Folder: folder} }
	issuer := func(folder string) *Grant { return &Grant{Role: Owner, Kinds: "DAG_ONLY", Folder: folder} }
	for name, tt := range map[string]struct {
		grant Grant
		role  Role
		by    *Grant
		want  Kind
		text  string
	}{
		"author":                       {Grant{Role: Member}, Author, nil, Forbidden, "needs the Operator role"},
		"operator":                     {Grant{Role: Operator}, Operator, nil, fine, ""},
		"operator, an Owner's":         {Grant{Role: Owner}, Operator, nil, Forbidden, "up to your own role"},
		"operator, for one":            {Grant{Role: Member, ForOne: true}, Operator, nil, Forbidden, "needs the Owner role"},
		"owner, for one":               {Grant{Role: Owner, ForOne: true}, Owner, nil, fine, ""},
		"person, all kinds":            {Grant{Role: Author}, Owner, nil, fine, ""},
		"token of all kinds":           {Grant{Role: Author}, Owner, &Grant{Role: Owner}, fine, ""},
		"token of one kind, all":       {Grant{Role: Author}, Owner, dags, Forbidden, "makes deploys of the kind DAGs."},
		"token of one kind, another":   {Grant{Role: Author, Kinds: "IMAGE_ONLY"}, Owner, dags, Forbidden, "no more than it has"},
		"token of one kind, the same":  {Grant{Role: Author, Kinds: "DAG_ONLY"}, Owner, dags, fine, ""},
		"token of two kinds, of these": {Grant{Role: Author, Kinds: "DAG_ONLY"}, Owner, &Grant{Kinds: "DAG_ONLY,IMAGE_ONLY"}, fine, ""},
		"for a folder":                 {team("b"), Owner, nil, fine, ""},
		"for a folder, as Member":      {Grant{Role: Member, Kinds: "DAG_ONLY", Folder: "b"}, Owner, nil, fine, ""},
		"for a folder of one":          {Grant{Role: Author, Kinds: "DAG_ONLY", Folder: "b", ForOne: true}, Owner, nil, fine, ""},
		"for a folder, an Operator":    {Grant{Role: Operator, Kinds: "DAG_ONLY", Folder: "b"}, Owner, nil, Invalid, "is an Author at most"},
		"for a folder, an Owner":       {Grant{Role: Owner, Kinds: "DAG_ONLY", Folder: "b"}, Admin, nil, Invalid, "more than the folder dags/b."},
		"for a folder, of all kinds":   {Grant{Role: Author, Folder: "b"}, Owner, nil, Invalid, "makes deploys of DAGs alone"},
		"for a folder, of images":      {Grant{Role: Author, Kinds: "IMAGE_ONLY", Folder: "b"}, Owner, nil, Invalid, "makes deploys of DAGs alone"},
		"for a folder, of two kinds":   {Grant{Role: Author, Kinds: "DAG_ONLY,IMAGE_ONLY", Folder: "b"}, Owner, nil, Invalid, "no other kind"},
		"for a folder, by a token":     {team("b"), Owner, dags, fine, ""},
		"by a folder's, the same":      {team("b"), Owner, issuer("b"), fine, ""},
		"by a folder's, in it":         {team("b/c"), Owner, issuer("b"), fine, ""},
		"by a folder's, another":       {team("a"), Owner, issuer("b"), Forbidden, "this one changes the folder dags/b alone."},
		"by a folder's, one alike":     {team("bb"), Owner, issuer("b"), Forbidden, "no more than it has"},
		"by a folder's, one above":     {team("b"), Owner, issuer("b/c"), Forbidden, "dags/b/c alone"},
		"by a folder's, for all":       {Grant{Role: Author, Kinds: "DAG_ONLY"}, Owner, issuer("b"), Forbidden, "no more than it has"},
	} {
		t.Run(name, func(t *testing.T) { checkError(t, tt.grant.IssuedBy(tt.role, tt.by), tt.want, tt.text) })
	}
}

func TestKindFor(t *testing.T) {
	on := Deployment{State: State{DAGDeploys: true}, Settings: Settings{ImageRole: Author, CICDEnforced: true}}
	off, operators := on, on
	off.DAGDeploys = false
	operators.DAGDeploys, operators.ImageRole = false, Operator
	for name, tt := range map[string]struct {
		grant Grant
		to    Deployment
		want  DeployKind
	}{
		"all kinds":                {Grant{Role: Author}, on, DAGOnly},
		"images alone":             {Grant{Role: Author, Kinds: "IMAGE_ONLY"}, on, ImageOnly},
		"no DAG-only deploys":      {Grant{Role: Author}, off, ImageAndDAG},
		"DAGs, but none alone":     {Grant{Role: Author, Kinds: "DAG_ONLY"}, off, ""},
		"images for Operators":     {Grant{Role: Author}, operators, ""},
		"for a folder":             {Grant{Role: Author, Kinds: FolderKinds, Folder: "b"}, on, DAGOnly},
		"a Member deploys nothing": {Grant{Role: Member}, on, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.grant.KindFor(tt.to); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLastsWithin(t *testing.T) {
	soon := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	late := soon.Add(time.Hour)
	for name, tt := range map[string]struct {
		ends time.Time
		by   *Grant
		want Kind
	}{
		"person, for ever":        {time.Time{}, nil, fine},
		"lasting token, for ever": {time.Time{}, &Grant{}, fine},
		"for ever":                {time.Time{}, &Grant{ExpiresAt: soon}, Forbidden},
		"longer":                  {late, &Grant{ExpiresAt: soon}, Forbidden},
		"as long":                 {soon, &Grant{ExpiresAt: soon}, fine},
		"shorter":                 {soon, &Grant{ExpiresAt: late}, fine},
	} {
		t.Run(name, func(t *testing.T) {
			checkError(t, Grant{ExpiresAt: tt.ends}.LastsWithin(tt.by), tt.want, "this one expires at 2026-11-22 14:00 UTC.")
		})
	}
}

func TestExpiry(t *testing.T) {
	now := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	for days, want := range map[int]Kind{0: fine, 1: fine, MaxTokenDays: fine, -1: Invalid, MaxTokenDays + 1: Invalid} {
		end, err := Expiry(now, days)
		checkError(t, err, want, "An API token lasts 1 to 3650 days")
		if g := (Grant{ExpiresAt: end}); want == fine && days > 0 && (g.Expired(end.Add(-1)) || !g.Expired(end) || end.Sub(now) != time.Duration(days)*24*time.Hour) {
			t.Errorf("%d days: %v", days, end)
		}
		if (Grant{}).Expired(end) {
			t.Error("what never expires has expired")
		}
	}
}

// TestTokenDeploysItsKinds is the rule that every deploy of a token goes by.
func TestTokenDeploysItsKinds(t *testing.T) {
	d := Deployment{State: State{DAGDeploys: true}}
	for name, tt := range map[string]struct {
		by   Actor
		kind DeployKind
		want Kind
	}{
		"person":            {Actor{User: "eve"}, DAGOnly, fine},
		"all kinds":         {Actor{Token: "t"}, ImageOnly, fine},
		"one, and that":     {Actor{Token: "t", Kinds: "DAG_ONLY"}, DAGOnly, fine},
		"one, and another":  {Actor{Token: "t", Kinds: "DAG_ONLY"}, ImageAndDAG, Forbidden},
		"image, but DAGs":   {Actor{Token: "t", Kinds: "IMAGE_ONLY"}, DAGOnly, Forbidden},
		"not a kind at all": {Actor{Token: "t"}, "BUNDLE", Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			checkError(t, d.MayDeploy(tt.kind, Owner, tt.by), tt.want, "kind")
			w := Deploy{Kind: tt.kind, Status: Staged, By: Actor{Token: "another"}}
			_, err := d.Confirm(w, Owner, tt.by, "")
			checkError(t, err, tt.want, "kind")
		})
	}
}

func TestCheckIdempotencyKey(t *testing.T) {
	for key, want := range map[string]Kind{"": fine, "run-17/2": fine, strings.Repeat("x", 201): Invalid, "two words": Invalid, "ü": Invalid, "a\n": Invalid} {
		checkError(t, CheckIdempotencyKey(key), want, "An Idempotency-Key has")
	}
}

// Every change of rights by a token that ends is refused when it adds a right,
// and taken when it adds none.
func TestChangedByAShortToken(t *testing.T) {
	soon := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	by := &Grant{Role: Owner, ExpiresAt: soon}
	var all []Grant
	for _, role := range []Role{Member, Author, Operator} {
		for _, kinds := range []Kinds{"", "DAG_ONLY", "DAG_ONLY,IMAGE_ONLY"} {
			for _, ends := range []time.Time{{}, soon, soon.Add(time.Hour)} {
				all = append(all, Grant{Role: role, Kinds: kinds, ExpiresAt: ends})
			}
		}
	}
	for _, g := range all {
		for _, next := range all {
			more := next.Role > g.Role || !next.Kinds.Within(g.Kinds) ||
				!g.ExpiresAt.IsZero() && (next.ExpiresAt.IsZero() || next.ExpiresAt.After(g.ExpiresAt))
			want := fine
			if more && !next.ExpiresAt.Equal(soon) {
				want = Forbidden
			}
			checkError(t, g.ChangedBy(Owner, by, next), want, "issues none that outlasts it")
			checkError(t, g.ChangedBy(Owner, nil, next), fine, "")
		}
	}
}
