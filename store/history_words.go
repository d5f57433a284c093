package store

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

const (
	keySign   = "¤" // with which a key of deploys_words begins, and no word
	prefixMax = 10  // indexed first letters of a word
	wordsMax  = 12  // of a search; more tell nothing more
)

var deployNumber = regexp.MustCompile(`^#\d{1,9}$`)

// textTerms returns the terms to find every word of a text; possible is false
// for a text without words.
func textTerms(text string) (terms []string, possible bool) {
	text = strings.TrimSpace(text)
	if deployNumber.MatchString(text) {
		return []string{`"` + keySign + "n" + strings.TrimLeft(text[1:], "0") + `"`}, true
	}
	all := words(text)
	for _, w := range all[:min(len(all), wordsMax)] {
		term := beginning(w)
		if strings.Trim(w, "0123456789") == "" {
			term = "(" + term + ` OR "` + keySign + "n" + w + `")`
		}
		terms = append(terms, term)
	}
	return terms, text == "" || len(terms) > 0
}

// beginning is the term for words beginning with w. A single letter finds only
// itself: the index has no beginnings of one letter, which would match half of
// all words.
func beginning(w string) string {
	letters := []rune(w)
	if len(letters) == 1 {
		return `"` + w + `"`
	}
	return `"` + string(letters[:min(len(letters), prefixMax)]) + `"*`
}

// words splits text as the index does.
func words(text string) []string {
	return strings.FieldsFunc(norm.NFC.String(strings.ToValidUTF8(text, " ")), func(r rune) bool { return !inWord(r) })
}

// inWord reports whether the index counts r as a letter or digit. A few letters
// are unknown to the index.
func inWord(r rune) bool {
	unknown := unicode.Is(unicode.New_Tai_Lue, r) || r == '\u1cf2' || r == '\u1cf3'
	return (unicode.IsLetter(r) || unicode.IsNumber(r)) && !unknown
}
