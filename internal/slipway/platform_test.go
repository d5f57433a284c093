package slipway

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// The best image for a platform comes first in each list; the ones after the
// bar do not run there.
func TestPlatformFit(t *testing.T) {
	for wanted, order := range map[string]string{
		"linux/amd64":          "amd64 amd64/v2 amd64/v3 amd64/v4 amd64/odd | arm64 386",
		"linux/amd64/v1":       "amd64/v1 | amd64/v2 amd64/v3 amd64/odd",
		"linux/amd64/v3":       "amd64/v3 amd64 amd64/v2 | amd64/v4 amd64/odd",
		"linux/arm64":          "arm64/v8 arm64/v8.1 arm64/v9 | amd64 arm/v8",
		"linux/arm64/v8":       "arm64 | arm64/v8.1 arm64/v9",
		"linux/arm64/v9":       "arm64/v9 arm64 arm64/v8.1 | arm64/v9.2 arm",
		"linux/arm":            "arm/v7 arm/v6 arm/v5 arm/v8 | arm64",
		"linux/arm/v6":         "arm/v6 arm arm/v5 | arm/v7 arm/v8",
		"linux/arm/v7":         "arm/v7 arm/v6 arm/v5 | arm/v8",
		"linux/ppc64le":        "ppc64le ppc64le/power9 | ppc64",
		"linux/ppc64le/power9": "ppc64le/power9 ppc64le | ppc64le/power10",
		"linux/riscv64/rva23":  "riscv64/rva23 riscv64 | riscv64/rva20",
		"linux/s390x":          "s390x | amd64",
	} {
		t.Run(wanted, func(t *testing.T) {
			runs, not, _ := strings.Cut(order, " | ")
			best := strings.Fields(runs)
			mixed := slices.Clone(best)
			for range 20 {
				rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
				slices.SortStableFunc(mixed, func(a, b string) int { return distance(t, a, wanted) - distance(t, b, wanted) })
				if !slices.Equal(mixed, best) {
					t.Errorf("the order is %v, want %v", mixed, best)
				}
			}
			for _, other := range strings.Fields(not) {
				if _, runs := ParsePlatform("linux/" + other).Fit(ParsePlatform(wanted)); runs {
					t.Errorf("%s runs, want not", other)
				}
			}
			if _, runs := ParsePlatform("windows/" + best[0]).Fit(ParsePlatform(wanted)); runs {
				t.Error("an image of Windows runs")
			}
		})
	}
}

func distance(t *testing.T, has, wanted string) int {
	t.Helper()
	n, runs := ParsePlatform("linux/" + has).Fit(ParsePlatform(wanted))
	if !runs {
		t.Errorf("%s does not run on %s", has, wanted)
	}
	return n
}

func TestPlatformString(t *testing.T) {
	for _, text := range []string{"linux/amd64", "linux/arm64/v8", "linux/ppc64le/power9", ""} {
		if got := ParsePlatform(text).String(); got != text {
			t.Errorf("%q is written as %q", text, got)
		}
	}
}
