package slipway

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"
)

func TestSetRole(t *testing.T) {
	for name, tt := range map[string]struct {
		now, mine, next Role
		owners          int
		want            Kind
		text            string
	}{
		"owner raises":            {Member, Owner, Owner, 1, fine, ""},
		"owner lowers":            {Operator, Owner, Member, 1, fine, ""},
		"admin raises":            {Member, Admin, Author, 1, fine, ""},
		"operator":                {Member, Operator, Author, 2, Forbidden, "needs the Owner role"},
		"stranger":                {Member, NoRole, Author, 2, Forbidden, "needs the Owner role"},
		"to no role":              {Member, Owner, NoRole, 2, Invalid, "Member, Author, Operator or Owner."},
		"to admin":                {Member, Owner, Admin, 2, Invalid, "Member, Author, Operator or Owner."},
		"one of two owners":       {Owner, Owner, Operator, 2, fine, ""},
		"last owner":              {Owner, Owner, Operator, 1, Conflict, "Ada is the last Owner"},
		"last owner, by an admin": {Owner, Admin, Member, 1, Conflict, "Ada is the last Owner"},
		"last owner stays one":    {Owner, Owner, Owner, 1, fine, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := Membership{User: User{ID: "ada", Name: "Ada"}, Role: tt.now}
			checkError(t, m.SetRole(tt.mine, tt.next, tt.owners), tt.want, tt.text)
		})
	}
}

func TestRemove(t *testing.T) {
	for name, tt := range map[string]struct {
		now    Role
		by     UserID
		mine   Role
		owners int
		want   Kind
		text   string
	}{
		"by an owner":                {Operator, "eve", Owner, 1, fine, ""},
		"by an admin":                {Operator, "eve", Admin, 1, fine, ""},
		"by an operator":             {Member, "eve", Operator, 1, Forbidden, "needs the Owner role"},
		"member leaves":              {Member, "ada", Member, 1, fine, ""},
		"one of two owners leaves":   {Owner, "ada", Owner, 2, fine, ""},
		"last owner leaves":          {Owner, "ada", Owner, 1, Conflict, "ada@example.com is the last Owner"},
		"last owner, by an admin":    {Owner, "eve", Admin, 1, Conflict, "ada@example.com is the last Owner"},
		"last owner, by an operator": {Owner, "eve", Operator, 1, Forbidden, "needs the Owner role"},
	} {
		t.Run(name, func(t *testing.T) {
			m := Membership{User: User{ID: "ada", Email: "ada@example.com"}, Role: tt.now}
			checkError(t, m.Remove(tt.by, tt.mine, tt.owners), tt.want, tt.text)
		})
	}
}

func TestInvitationOpen(t *testing.T) {
	end := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		now  time.Time
		want Kind
	}{
		"before": {end.Add(-time.Second), fine}, "at the end": {end, fine}, "after": {end.Add(1), NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			checkError(t, Invitation{ExpiresAt: end}.Open(tt.now), tt.want, "expired")
		})
	}
}

func TestCheckName(t *testing.T) {
	for name, tt := range map[string]struct {
		in, want string
		kind     Kind
		text     string
	}{
		"trimmed":       {"  Sales ETL \t", "Sales ETL", fine, ""},
		"any script":    {"Größe 売上 (v2)", "Größe 売上 (v2)", fine, ""},
		"empty":         {"", "", Invalid, "A Deployment needs a name."},
		"only spaces":   {" \n ", "", Invalid, "A Deployment needs a name."},
		"80 letters":    {strings.Repeat("ü", 80), strings.Repeat("ü", 80), fine, ""},
		"81 letters":    {strings.Repeat("ü", 81), "", Invalid, "of a Deployment may have at most 80 characters."},
		"line feed":     {"a\nb", "", Invalid, "may hold only letters"},
		"turns reading": {"a\u202eb", "", Invalid, "may hold only letters"},
		"no width":      {"a\u200bb", "", Invalid, "may hold only letters"},
		"NUL":           {"a\x00b", "", Invalid, "may hold only letters"},
		"not UTF-8":     {"a\xffb", "", Invalid, "may hold only letters"},
		"filler":        {"\u3164", "", Invalid, "of a Deployment holds a character that nobody sees: ⟨U+3164⟩. Leave"},
		"two fillers":   {"\u1160\u1160", "", Invalid, "nobody sees"},
		"Braille":       {"a\u2800", "", Invalid, "nobody sees: a⟨U+2800⟩."},
		"joiner":        {"sa\u034fles", "", Invalid, "nobody sees: sa⟨CGJ⟩les."},
		"selector":      {"sales\ufe0f", "", Invalid, "nobody sees: sales⟨VS16⟩."},
		"high selector": {"sales\U000e0100", "", Invalid, "nobody sees: sales⟨VS17⟩."},
		"emoji":         {"⚠\ufe0f Alerts", "⚠\ufe0f Alerts", fine, ""},
		"a symbol":      {"🚀", "🚀", fine, ""},
		"two spaces":    {"Sales   ETL", "Sales ETL", fine, ""},
		"only signs":    {"-.-", "", Invalid, "The name of a Deployment needs a letter, a digit or a symbol."},
		"only accents":  {"\u0301\u0302", "", Invalid, "needs a letter"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := CheckName("A Deployment", tt.in)
			checkError(t, err, tt.kind, tt.text)
			if got != tt.want {
				t.Errorf("name %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCheckDescription(t *testing.T) {
	for name, tt := range map[string]struct {
		in, want string
		kind     Kind
		text     string
	}{
		"none":            {"", "", fine, ""},
		"trimmed":         {" a ", "a", fine, ""},
		"lines of a form": {"a\r\n\tb", "a\n\tb", fine, ""},
		"1000 letters":    {strings.Repeat("é", 1000), strings.Repeat("é", 1000), fine, ""},
		"1001 letters":    {strings.Repeat("é", 1001), "", Invalid, "at most 1000 characters."},
		"escape":          {"a\x1b[31m", "", Invalid, "only text."},
		"not UTF-8":       {"\xff", "", Invalid, "only text."},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := CheckDescription(tt.in)
			checkError(t, err, tt.kind, tt.text)
			if got != tt.want {
				t.Errorf("description %q, want %q", got, tt.want)
			}
		})
	}
}

// No other letters open an invitation, whatever case folding makes of them.
func TestInvitationForLettersThatFold(t *testing.T) {
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			if f > unicode.MaxASCII {
				continue
			}
			to := Invitation{Email: strings.ToLower(string(f)) + "@example.com"}
			typed := string(r) + "@example.com"
			if kept, err := CheckEmail(typed); to.For(typed) == nil && (err != nil || kept != to.Email) {
				t.Errorf("%s opens the invitation of %s", typed, to.Email)
			}
		}
	}
}

func TestCheckEmail(t *testing.T) {
	long := strings.Repeat("a", 242) + "@example.com" // 254 bytes
	for in, want := range map[string]string{          // "" for a refusal
		" Ada@Example.COM ": "ada@example.com", "a@b": "a@b", "a+b.c@x.y": "a+b.c@x.y", long: long,
		"": "", "ada": "", "@example.com": "", "ada@": "", "a@b@c": "", "a b@c": "", "a@b\n.c": "", "a\u00a0b@c": "",
		"a\xff@b": "", "a\u202e@b": "", "a\u3164@b": "", "a@b\u2800": "", "a\ufe0f@b": "", "a" + long: "",
		"\u017fuſan@example.com": "", "susan@example.\u0131o": "", "\uff41da@example.com": "", "ada@example\uff0ecom": "",
		"\u212aim@example.com": "kim@example.com", "J\u00d6RG@example.com": "j\u00f6rg@example.com", "ада@example.com": "ада@example.com",
	} {
		t.Run(in, func(t *testing.T) {
			got, err := CheckEmail(in)
			kind := fine
			if want == "" {
				kind = Invalid
			}
			checkError(t, err, kind, "is not an email address")
			if got != want {
				t.Errorf("address %q, want %q", got, want)
			}
		})
	}
}

func TestCheckPassword(t *testing.T) {
	for name, tt := range map[string]struct {
		in   string
		want Kind
		text string
	}{
		"none":        {"", Invalid, "at least 10 characters."},
		"9 letters":   {strings.Repeat("ü", 9), Invalid, "at least 10 characters."},
		"10 letters":  {strings.Repeat("ü", 10), fine, ""},
		"spaces":      {"          ", fine, ""},
		"200 letters": {strings.Repeat("ü", 200), fine, ""},
		"201 letters": {strings.Repeat("a", 201), Invalid, "at most 200 characters."},
	} {
		t.Run(name, func(t *testing.T) { checkError(t, CheckPassword(tt.in), tt.want, tt.text) })
	}
}

func TestTitles(t *testing.T) {
	for want, got := range map[string]string{
		"Ada":             User{Name: "Ada", Email: "ada@example.com"}.Title(),
		"ada@example.com": User{Email: "ada@example.com"}.Title(),
		"Ada Lovelace":    Actor{Name: "Ada Lovelace"}.Title(),
		"A⟨U+3164⟩":       User{Name: "A\u3164"}.Title(), // of an earlier release
		"token c⟨CGJ⟩i":   Actor{Name: "c\u034fi", Token: "t1"}.Title(),
		"token ci-sales":  Actor{Name: "ci-sales", Token: "t1", User: "ada"}.Title(),
		"DAGs":            DAGOnly.Title(),
		"Image":           ImageOnly.Title(),
		"Image and DAGs":  ImageAndDAG.Title(),
	} {
		if got != want {
			t.Errorf("title %q, want %q", got, want)
		}
	}
}

func TestInvitationFor(t *testing.T) {
	for name, tt := range map[string]struct {
		to, email string
		want      Kind
	}{
		"the address": {"eve@example.com", "eve@example.com", fine},
		"other case":  {"eve@example.com", "EVE@example.com", fine},
		"another":     {"eve@example.com", "ada@example.com", Forbidden},
		"longer":      {"eve@example.com", "eve@example.com.evil.example", Forbidden},
		"nothing":     {"eve@example.com", "", Forbidden},
		"look-alike":  {"eve@example.com", "eve@example\uff0ecom", Forbidden},
		"Cyrillic":    {"eve@example.com", "\u0435v\u0435@example.com", Forbidden},
		"whoever":     {"", "ada@example.com", fine},
	} {
		t.Run(name, func(t *testing.T) {
			checkError(t, Invitation{Email: tt.to}.For(tt.email), tt.want, "This invitation is for eve@example.com.")
			_, text := Explain(Membership{}.Accept(Invitation{Email: tt.to, Role: Author}, User{Email: tt.email}))
			if (text != "Something went wrong on our side.") != (tt.want != fine) {
				t.Errorf("Accept: %s", text)
			}
		})
	}
}

func TestDisableAndLinkPassword(t *testing.T) {
	now := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		u             User
		admins        int
		disable, link bool // allowed to the admin "root"
	}{
		"a person":       {User{ID: "eve"}, 1, true, true},
		"disabled":       {User{ID: "eve", DisabledAt: now}, 1, false, false},
		"oneself":        {User{ID: "root", Admin: true}, 2, false, false},
		"another admin":  {User{ID: "grace", Admin: true}, 2, true, true},
		"the last admin": {User{ID: "grace", Admin: true}, 1, false, true},
	} {
		if got := tt.u.Disable("root", tt.admins) == nil; got != tt.disable {
			t.Errorf("%s: may be disabled: %v, want %v", name, got, tt.disable)
		}
		if got := tt.u.LinkPassword("root") == nil; got != tt.link {
			t.Errorf("%s: may have a link: %v, want %v", name, got, tt.link)
		}
	}
}

func TestDeleteWorkspace(t *testing.T) {
	w := Workspace{Name: "Sales"}
	for _, tt := range []struct {
		role        Role
		deployments int
		typed       string
		want        error
	}{
		{Admin, 0, " Sales ", nil}, {Admin, 0, "sales", ErrInvalid}, {Admin, 1, "Sales", ErrConflict}, {Admin, 2, "Sales", ErrConflict}, {Owner, 0, "Sales", ErrForbidden},
	} {
		if err := w.Delete(tt.role, tt.deployments, tt.typed); !errors.Is(err, tt.want) {
			t.Errorf("%v with %d Deployments, typed %q: %v, want %v", tt.role, tt.deployments, tt.typed, err, tt.want)
		}
	}
}
