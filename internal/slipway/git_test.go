package slipway

import (
	"strings"
	"testing"
)

func TestCleanGit(t *testing.T) {
	for name, tt := range map[string]struct{ g, want Git }{
		"good": {
			g:    Git{Commit: "abc", Branch: "main", Repository: "acme/dags", URL: "https://github.com/acme/dags/commit/abc", Author: "Eve É"},
			want: Git{Commit: "abc", Branch: "main", Repository: "acme/dags", URL: "https://github.com/acme/dags/commit/abc", Author: "Eve É"},
		},
		"signs":  {g: Git{Branch: " a\nb\x00\xff "}, want: Git{Branch: "ab"}},
		"long":   {g: Git{Author: strings.Repeat("é", 400)}, want: Git{Author: strings.Repeat("é", 300)}},
		"script": {g: Git{URL: "javascript:alert(1)"}},
		"no url": {g: Git{URL: "git@github.com:acme/dags"}},
	} {
		if got := tt.g.Clean(); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}
