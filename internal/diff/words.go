package diff

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff/lcs"

	"slipway/internal/slipway"
)

const (
	maxTokens  = 300     // of a line with word marks, without its common prefix and suffix
	maxPairs   = 2 << 20 // of tokens compared in a file
	minAlike   = 30      // percent of letters common to both versions of a changed line
	allPercent = 100
)

// markWords marks the words that differ between the removed and the added lines
// of a run: the first with the first, the second with the second.
func markWords(hunks []slipway.Hunk) {
	budget := maxPairs
	for _, h := range hunks {
		for lines := h.Lines; len(lines) > 0; {
			old := run(lines, '-')
			new := run(lines[len(old):], '+')
			for i := range min(len(old), len(new)) {
				budget -= markPair(&old[i], &new[i], budget)
			}
			lines = lines[max(1, len(old)+len(new)):]
		}
	}
}

// run returns the leading lines with an op.
func run(lines []slipway.DiffLine, op byte) []slipway.DiffLine {
	n := slices.IndexFunc(lines, func(l slipway.DiffLine) bool { return l.Op != op })
	if n < 0 {
		n = len(lines)
	}
	return lines[:n]
}

// markPair marks the differences between two lines, if the lines are alike, and
// returns the number of token pairs compared, at most budget.
func markPair(old, new *slipway.DiffLine, budget int) (pairs int) {
	a, b := tokens(old.Text), tokens(new.Text)
	prefix := 0
	for prefix < min(len(a), len(b)) && a[prefix] == b[prefix] {
		prefix++
	}
	suffix := 0
	for suffix < min(len(a), len(b))-prefix && a[len(a)-1-suffix] == b[len(b)-1-suffix] {
		suffix++
	}
	restA, restB := a[prefix:len(a)-suffix], b[prefix:len(b)-suffix]
	pairs = len(restA) * len(restB)
	if len(restA) > maxTokens || len(restB) > maxTokens || pairs > budget {
		return 0
	}
	commonA, commonB := common(len(a)), common(len(b))
	for _, d := range lcs.DiffLines(restA, restB) {
		clear(commonA[prefix+d.Start : prefix+d.End])
		clear(commonB[prefix+d.ReplStart : prefix+d.ReplEnd])
	}
	if alike(a, commonA, b, commonB) {
		old.Marks, new.Marks = marks(a, commonA), marks(b, commonB)
	}
	return pairs
}

// common returns n times true: all tokens are common until a difference is found.
func common(n int) []bool { return slices.Repeat([]bool{true}, n) }

// tokens splits a line into words, runs of spaces and single signs.
func tokens(text string) (all []string) {
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case isWord(r):
			n = prefixLen(text, isWord)
		case unicode.IsSpace(r):
			n = prefixLen(text, unicode.IsSpace)
		}
		all, text = append(all, text[:n]), text[n:]
	}
	return all
}

// prefixLen is the length of the leading runes of a class, in bytes.
func prefixLen(text string, class func(rune) bool) int {
	return len(text) - len(strings.TrimLeftFunc(text, class))
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) || r == '_' }

// alike reports whether enough letters of two lines are common.
func alike(a []string, commonA []bool, b []string, commonB []bool) bool {
	allA, sameA := letters(a, commonA)
	allB, sameB := letters(b, commonB)
	return allA+allB > 0 && (sameA+sameB)*allPercent >= (allA+allB)*minAlike
}

func letters(tokens []string, common []bool) (all, same int) {
	for i, w := range tokens {
		n := len(strings.TrimSpace(w))
		all += n
		if common[i] {
			same += n
		}
	}
	return all, same
}

// marks returns the spans of a line outside the common tokens. Spaces between
// two spans join them.
func marks(tokens []string, common []bool) (all []slipway.Span) {
	end := 0
	for i, w := range tokens {
		start := end
		end += len(w)
		if common[i] {
			continue
		}
		if last := len(all) - 1; last >= 0 && (all[last].To == start || i > 1 && all[last].To == start-len(tokens[i-1]) && strings.TrimSpace(tokens[i-1]) == "") {
			all[last].To = end
			continue
		}
		all = append(all, slipway.Span{From: start, To: end})
	}
	return all
}
