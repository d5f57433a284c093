package deploy

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"slipway/internal/slipway"
)

const (
	wordsMax = 300     // of a line whose words are compared
	cellsMax = 2 << 20 // pairs of words in a file that are compared
	alikeMin = 30      // percent that two lines must have in common to be one that was changed
)

// markWords marks in changed lines what their counterparts do not have: the
// first removed line of a run with the first added one, and so on.
func markWords(hunks []slipway.Hunk) {
	room := cellsMax
	for _, h := range hunks {
		for lines := h.Lines; len(lines) > 0; {
			old := run(lines, '-')
			new := run(lines[len(old):], '+')
			for i := range min(len(old), len(new)) {
				room -= markPair(&old[i], &new[i], room)
			}
			lines = lines[max(1, len(old)+len(new)):]
		}
	}
}

// run returns the lines of op that lines begin with.
func run(lines []slipway.DiffLine, op byte) []slipway.DiffLine {
	n := slices.IndexFunc(lines, func(l slipway.DiffLine) bool { return l.Op != op })
	if n < 0 {
		n = len(lines)
	}
	return lines[:n]
}

// markPair marks what differs between two lines, if they are alike at all, and
// returns how many pairs of words it compared; more than room are not.
func markPair(old, new *slipway.DiffLine, room int) (cells int) {
	a, b := tokens(old.Text), tokens(new.Text)
	head := 0
	for head < min(len(a), len(b)) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < min(len(a), len(b))-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	restA, restB := a[head:len(a)-tail], b[head:len(b)-tail]
	cells = len(restA) * len(restB)
	if len(restA) > wordsMax || len(restB) > wordsMax || cells > room {
		return 0
	}
	keptA, keptB := common(restA, restB)
	all := func(n int) []bool { return slices.Repeat([]bool{true}, n) }
	keptA = slices.Concat(all(head), keptA, all(tail))
	keptB = slices.Concat(all(head), keptB, all(tail))
	if !alike(a, keptA, b, keptB) {
		return cells
	}
	old.Marks, new.Marks = marks(a, keptA), marks(b, keptB)
	return cells
}

// tokens splits a line into words, runs of spaces and single signs.
func tokens(text string) (all []string) {
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case isWord(r):
			n = beginning(text, isWord)
		case unicode.IsSpace(r):
			n = beginning(text, unicode.IsSpace)
		}
		all, text = append(all, text[:n]), text[n:]
	}
	return all
}

// beginning is how many bytes at the beginning of text are of a sort.
func beginning(text string, of func(rune) bool) int {
	return len(text) - len(strings.TrimLeftFunc(text, of))
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) || r == '_' }

// common says which words of a and of b belong to their longest common
// subsequence.
func common(a, b []string) (inA, inB []bool) {
	inA, inB = make([]bool, len(a)), make([]bool, len(b))
	best := make([][]int32, len(a)+1) // lengths for what is left from each pair on
	for i := range best {
		best[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			best[i][j] = max(best[i+1][j], best[i][j+1])
			if a[i] == b[j] {
				best[i][j] = best[i+1][j+1] + 1
			}
		}
	}
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			inA[i], inB[j] = true, true
			i++
			j++
		case best[i+1][j] >= best[i][j+1]:
			i++
		default:
			j++
		}
	}
	return inA, inB
}

// alike reports whether enough letters of two lines are common.
func alike(a []string, keptA []bool, b []string, keptB []bool) bool {
	all, kept := letters(a, nil)+letters(b, nil), letters(a, keptA)+letters(b, keptB)
	return all > 0 && kept*100 >= all*alikeMin
}

func letters(words []string, kept []bool) (n int) {
	for i, w := range words {
		if kept == nil || kept[i] {
			n += len(strings.TrimSpace(w))
		}
	}
	return n
}

// marks returns the parts of a line that were not kept. Spaces between two of
// them belong to both.
func marks(words []string, kept []bool) (all []slipway.Span) {
	at := 0
	for i, w := range words {
		from := at
		at += len(w)
		if kept[i] {
			continue
		}
		if last := len(all) - 1; last >= 0 && (all[last].To == from || i > 1 && all[last].To == from-len(words[i-1]) && strings.TrimSpace(words[i-1]) == "") {
			all[last].To = at
			continue
		}
		all = append(all, slipway.Span{From: from, To: at})
	}
	return all
}
