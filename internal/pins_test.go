package internal_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Images and Actions come from others, whose tags may be moved to anything. Each
// stands with its digest or its commit; the tag beside it is for people.
func TestImagesAndActionsArePinned(t *testing.T) {
	named := regexp.MustCompile(`(?m)^\s*(?:FROM (?:--\S+ )?|ARG BASE=|(?:- )?(?:image|uses|name): |services: \[(?:\{name: )?)"?([^\s",\]}]+)`)
	pinned := regexp.MustCompile(`@(sha256:[0-9a-f]{64}|[0-9a-f]{40})$`)
	looksLike := regexp.MustCompile(`[:@/]`)
	n := 0
	for _, pattern := range []string{"Dockerfile", "examples/*/Dockerfile", "examples/*/*.yml", "examples/*/*.yaml", ".github/workflows/*.yml"} {
		files, err := filepath.Glob(filepath.Join(top, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range named.FindAllStringSubmatch(string(text), -1) {
				switch name := m[1]; {
				case strings.HasPrefix(name, "$"), strings.Contains(name, "example.com"), !looksLike.MatchString(name):
				case name == "apache/airflow:3.1.2": // stands for the image of the reader's team
				case !pinned.MatchString(name):
					t.Errorf("%s: %s has no digest", file, name)
				default:
					n++
				}
			}
		}
	}
	if n < 9 {
		t.Errorf("%d pinned names were found: this test looks in the wrong place", n)
	}
}
