package pydag

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// unquote returns the content of a string literal with its prefix and quotes, and
// whether it is known: \N{…} is not.
func unquote(s string) (string, bool) {
	i := strings.IndexAny(s, `"'`)
	if i < 0 {
		return "", false
	}
	raw := strings.ContainsAny(s[:i], "rR")
	s = s[i:]
	n := 1
	if len(s) >= 6 && (strings.HasPrefix(s, `"""`) || strings.HasPrefix(s, `'''`)) {
		n = 3
	}
	if len(s) < 2*n {
		return "", false
	}
	s = s[n : len(s)-n]
	if raw {
		return s, true
	}
	return unescape(s)
}

// simpleEscapes are those of one character.
var simpleEscapes = map[byte]string{'\n': "", '\\': "\\", '\'': "'", '"': "\"", 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v"}

func unescape(s string) (string, bool) {
	if !strings.Contains(s, `\`) {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			i++
			continue
		}
		text, n, ok := escape(s[i+1:])
		if !ok {
			return "", false
		}
		b.WriteString(text)
		i += 1 + n
	}
	return b.String(), true
}

// escape reads the escape after a backslash: its text and its length.
func escape(s string) (string, int, bool) {
	if text, ok := simpleEscapes[s[0]]; ok {
		return text, 1, true
	}
	switch c := s[0]; {
	case c == '\r':
		return "", 1 + len(s[1:min(2, len(s))]) - len(strings.TrimPrefix(s[1:min(2, len(s))], "\n")), true
	case c == 'x':
		return codePoint(s, 1, 3, 16)
	case c == 'u':
		return codePoint(s, 1, 5, 16)
	case c == 'U':
		return codePoint(s, 1, 9, 16)
	case c >= '0' && c <= '7':
		n := 1
		for n < 3 && n < len(s) && s[n] >= '0' && s[n] <= '7' {
			n++
		}
		return codePoint(s, 0, n, 8)
	case c == 'N':
		return "", 0, false
	}
	_, n := utf8.DecodeRuneInString(s)
	return `\` + s[:n], n, true
}

func codePoint(s string, from, to, base int) (string, int, bool) {
	if to > len(s) {
		return "", 0, false
	}
	n, err := strconv.ParseUint(s[from:to], base, 32)
	return string(rune(n)), to, err == nil
}

// format fills the fields of s as str.format does: {}, {0} and {name}, nothing finer.
func format(s string, a args) (string, bool) {
	var b strings.Builder
	auto := 0
	for i := 0; i < len(s); i++ {
		if c := s[i]; c != '{' && c != '}' {
			b.WriteByte(c)
			continue
		}
		if i+1 < len(s) && s[i+1] == s[i] {
			b.WriteByte(s[i])
			i++
			continue
		}
		end := strings.IndexByte(s[i:], '}')
		if s[i] == '}' || end < 0 {
			return "", false
		}
		name := s[i+1 : i+end]
		if name == "" {
			name = strconv.Itoa(auto)
			auto++
		}
		at, err := strconv.Atoi(name)
		if err != nil {
			at = -1
		}
		x, ok := a.get(name, at)
		if !ok || !x.printable() {
			return "", false
		}
		b.WriteString(x.s)
		i += end
	}
	return b.String(), true
}

// percent fills s with values as the operator % does: %s and %d, nothing finer.
func percent(s string, v *value) (string, bool) {
	values := []*value{v}
	if v.kind == list {
		values = v.items
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch {
		case i < len(s) && s[i] == '%':
			b.WriteByte('%')
		case i < len(s) && (s[i] == 's' || s[i] == 'd') && len(values) > 0 && values[0].printable():
			b.WriteString(values[0].s)
			values = values[1:]
		default:
			return "", false
		}
	}
	return b.String(), len(values) == 0
}
