package dagfile

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// translate returns the regular expression of a glob pattern, as pathspec 1.1.1
// does for Airflow 3 (GitIgnoreSpecPattern). keeps is true after "!". ok is false
// for a pattern without an effect, or one that pathspec refuses.
func translate(pattern string) (re string, keeps, ok bool) {
	if !strings.HasSuffix(pattern, `\ `) {
		pattern = strings.TrimRightFunc(pattern, unicode.IsSpace)
	}
	if pattern == "" || pattern == "/" || strings.TrimSpace(pattern) == "/" {
		return "", false, false
	}
	pattern, keeps = strings.CutPrefix(pattern, "!")
	segments := normalize(strings.Split(pattern, "/"))
	switch {
	case len(segments) == 0:
		return "", false, false
	case slices.Equal(segments, []string{"**"}):
		return folderOr(pattern, "."), keeps, true
	case slices.Equal(segments, []string{"**", "*"}):
		return ".", keeps, true
	case slices.Equal(segments, []string{"**", "*", "**"}):
		return "/", keeps, true
	}
	re, ok = join(segments)
	return re, keeps, ok
}

// folderOr returns "/", to match folders, if pattern ends in a slash, else other.
func folderOr(pattern, other string) string {
	if strings.HasSuffix(pattern, "/") {
		return "/"
	}
	return other
}

// normalize makes the segments of a pattern relative to the folder of the rule: a
// single name may stand at any depth.
func normalize(s []string) []string {
	switch {
	case s[0] == "":
		s = s[1:]
	case (len(s) == 1 || len(s) == 2 && s[1] == "") && s[0] != "**":
		s = append([]string{"**"}, s...)
	}
	if len(s) == 0 {
		return nil
	}
	if s[len(s)-1] == "" {
		s[len(s)-1] = "**"
	}
	return slices.CompactFunc(s, func(a, b string) bool { return a == "**" && b == "**" })
}

// join builds the regular expression of normalized segments.
func join(segments []string) (string, bool) {
	var re strings.Builder
	slash, end := false, len(segments)-1
	for i, s := range segments {
		switch {
		case s == "**" && i == 0:
			re.WriteString(`^(?:.+/)?`)
			continue
		case s == "**" && i < end:
			re.WriteString(`(?:/.+)?`)
			slash = true
			continue
		case s == "**":
			re.WriteString(`/`)
			continue
		case i == 0:
			re.WriteString(`^`)
		}
		if slash {
			re.WriteString(`/`)
		}
		part, ok := segment(s)
		if !ok {
			return "", false
		}
		re.WriteString(part)
		if i == end {
			re.WriteString(`(?:/|$)`)
		}
		slash = true
	}
	return re.String(), true
}

// segment translates one segment; ok is false for a bracket without an end, and
// for a backslash at the end.
func segment(s string) (re string, ok bool) {
	if s == "*" {
		return `[^/]+`, true
	}
	var b strings.Builder
	for rest := []rune(s); len(rest) > 0; {
		c := rest[0]
		rest = rest[1:]
		switch c {
		case '\\':
			if len(rest) == 0 {
				return "", false
			}
			b.WriteString(regexp.QuoteMeta(string(rest[0])))
			rest = rest[1:]
		case '*':
			b.WriteString(`[^/]*`)
		case '?':
			b.WriteString(`[^/]`)
		case '[':
			n := bracket(rest)
			if n == 0 {
				return "", false
			}
			b.WriteString(class(rest[:n]))
			rest = rest[n+1:]
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return b.String(), true
}

// bracket returns the length of a bracket expression before its end, "!a-z" in
// "[!a-z]"; 0 without an end.
func bracket(s []rune) int {
	i := 0
	if i < len(s) && (s[i] == '!' || s[i] == '^') {
		i++
	}
	if i < len(s) && s[i] == ']' {
		i++
	}
	for i < len(s) && s[i] != ']' {
		i++
	}
	if i == len(s) {
		return 0
	}
	return i
}

// class translates the inside of a bracket expression.
func class(s []rune) string {
	var b strings.Builder
	b.WriteByte('[')
	if s[0] == '!' || s[0] == '^' {
		b.WriteByte('^')
		s = s[1:]
	}
	for _, c := range s {
		if strings.ContainsRune(`\[]^`, c) { // Go reads [:alpha:] in them, Python does not
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	b.WriteByte(']')
	return b.String()
}
