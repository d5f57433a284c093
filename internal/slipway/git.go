package slipway

import (
	"unicode"
)

// maxGit is how many characters each part of a Git may have.
const maxGit = 300

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return -1
}
