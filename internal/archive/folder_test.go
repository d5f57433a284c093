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
