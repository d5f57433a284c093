package slipway

import (
	"strings"
	"unicode"
)

// Git is the origin of the files of a deploy, as given by the sender.
type Git struct {
	Commit, Branch, Repository, URL, Author string
}

// maxGit is how many characters each part of a Git may have.
const maxGit = 300

// Clean returns g for storage and pages: texts are shortened and printable, and
// an address that is no web address is left out.
func (g Git) Clean() Git {
	for _, part := range []*string{&g.Commit, &g.Branch, &g.Repository, &g.URL, &g.Author} {
		text := []rune(strings.TrimSpace(strings.Map(printable, strings.ToValidUTF8(*part, ""))))
		*part = string(text[:min(len(text), maxGit)])
	}
	if address, err := CheckURL(g.URL); err != nil || address != g.URL {
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
