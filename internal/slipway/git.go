package slipway

import (
	"net/url"
	"strings"
	"unicode"
)

// maxGit is how many characters each part of a Git may have.
const maxGit = 300

// Clean returns g as it is kept and shown: what its sender says is cut and
// printable, and its address leads to a web page or is left out.
func (g Git) Clean() Git {
	for _, part := range []*string{&g.Commit, &g.Branch, &g.Repository, &g.URL, &g.Author} {
		text := []rune(strings.TrimSpace(strings.Map(printable, strings.ToValidUTF8(*part, ""))))
		*part = string(text[:min(len(text), maxGit)])
	}
	if u, err := url.Parse(g.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		g.URL = ""
	}
	return g
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return -1
}
