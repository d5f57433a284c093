package archive

import (
	"errors"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

// TestCheckFolder covers how people and requests write a folder below dags. The
// result has one spelling for each folder: tokens are bound by the spelling.
func TestCheckFolder(t *testing.T) {
	for text, want := range map[string]string{
		"": "", " ": "", "/": "", "dags": "", "dags/": "", "./": "", "./dags": "", ".": "", "dags/.": "", "//": "",
		"team_b": "team_b", "/team_b/": "team_b", "dags/team_b": "team_b", `dags\team_b\sql`: "team_b/sql", "./team_b": "team_b", "team_b/.": "team_b",
		"team_b//sql": "team_b/sql", "team_b/./sql": "team_b/sql", " team_b ": "team_b", "gro\u0308\u00dfe": "gr\u00f6\u00dfe", "dags/dags/x": "dags/x",
	} {
		if got, err := CheckFolder(text, DefaultLimits()); got != want || err != nil {
			t.Errorf("CheckFolder(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"..", "../x", "a/..", "team_b/../team_a", `team_b\..\team_a`, "dags/../x", "a/../../b", "C:/x", "a\nb", "a\x00", "a\u202eb", "\xff", strings.Repeat("x", 300), strings.Repeat("a/", 200) + "a"} {
		if got, err := CheckFolder(text, DefaultLimits()); !errors.Is(err, slipway.ErrInvalid) && !errors.Is(err, slipway.ErrTooLarge) {
			t.Errorf("CheckFolder(%q) = %q, %v, want a refusal", text, got, err)
		}
	}
}

// TestCheckSpelling: a folder that dags spells otherwise is refused, at any depth, and
// whatever else lies there. A folder that exists as spelled is taken, twins or not.
func TestCheckSpelling(t *testing.T) {
	for name, tt := range map[string]struct{ folder, files, twin string }{
		"dags itself":           {"", "Team/a.py", ""},
		"the same":              {"team", "team/a.py", ""},
		"new":                   {"team", "a.py other/b.py", ""},
		"new, in an old one":    {"team/new", "team/a.py", ""},
		"empty dags":            {"team", "", ""},
		"another case":          {"team", "a.py Team/a.py", "Team"},
		"another case, below":   {"team/SQL", "team/a.py team/sql/x", "team/sql"},
		"another case, above":   {"TEAM/sql", "team/a.py team/sql/x", "team"},
		"another form":          {"gr\u00f6sse", "gro\u0308sse/a.py", "gro\u0308sse"},
		"Kelvin":                {"k", "\u212a/a.py", "\u212a"},
		"both":                  {"team", "Team/a.py team/a.py", ""},
		"both, and a new one":   {"team/new", "Team/new/a.py team/a.py", ""},
		"a file of the name":    {"team", "Team", ""}, // names of files are CheckVersion's
		"only alike":            {"team", "Teams/a.py Tea/m.py", ""},
		"\u00df is not ss":      {"ma\u00dfe", "masse/a.py", ""},
		"the same at the depth": {"a/b", "A/b/x", "A"},
	} {
		t.Run(name, func(t *testing.T) {
			var files []slipway.File
			for _, path := range strings.Fields(tt.files) {
				files = append(files, slipway.File{Path: path})
			}
			err := CheckSpelling(tt.folder, files)
			if _, text := slipway.Explain(err); (err != nil) != (tt.twin != "") || err != nil && (!errors.Is(err, slipway.ErrInvalid) || !strings.Contains(text, "but "+Quote(tt.twin)+", which")) {
				t.Errorf("%v, want the twin %q", err, tt.twin)
			}
		})
	}
}
