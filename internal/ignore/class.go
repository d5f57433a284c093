package ignore

import "strings"

// named are the classes of POSIX by name, for ASCII alone.
var named = map[string]func(c byte) bool{
	"alnum":  func(c byte) bool { return isLetter(c) || isDigit(c) },
	"alpha":  isLetter,
	"blank":  func(c byte) bool { return c == ' ' || c == '\t' },
	"cntrl":  func(c byte) bool { return c < ' ' || c == 0x7f },
	"digit":  isDigit,
	"graph":  isGraph,
	"lower":  isLower,
	"print":  func(c byte) bool { return c == ' ' || isGraph(c) },
	"punct":  func(c byte) bool { return isGraph(c) && !isLetter(c) && !isDigit(c) },
	"space":  func(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }, // git has no \v and \f here
	"upper":  isUpper,
	"xdigit": func(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' },
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLower(c byte) bool  { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool  { return 'A' <= c && c <= 'Z' }
func isLetter(c byte) bool { return isLower(c) || isUpper(c) }
func isGraph(c byte) bool  { return ' ' < c && c < 0x7f }

// class is the reading of a bracket expression: does it hold the byte c?
type class struct {
	p   string
	i   int // the next byte of p
	c   byte
	has bool
	low int // the byte before, with which a "-" makes a range; -1 for none
}

// inClass reports whether the bracket expression of p at i holds c; none holds a slash.
// next is the position behind; ok is false without an end, or for an unknown name.
func inClass(p string, i int, c byte) (next int, has, ok bool) {
	s := class{p: p, i: i + len("["), c: c, low: -1}
	negated := s.i < len(p) && (p[s.i] == '!' || p[s.i] == '^')
	if negated {
		s.i++
	}
	for first := s.i; s.i < len(p); {
		if p[s.i] == ']' && s.i > first {
			return s.i + 1, s.has != negated && c != '/', true
		}
		if !s.item() {
			break
		}
	}
	return len(p), false, false
}

// item reads a byte, a range or a name.
func (s *class) item() (ok bool) {
	rest := s.p[s.i:]
	if strings.HasPrefix(rest, "[:") {
		return s.name()
	}
	if s.low >= 0 && len(rest) > 1 && rest[0] == '-' && rest[1] != ']' {
		s.i++
		high, ok := s.literal()
		s.has = s.has || s.low <= int(s.c) && int(s.c) <= high
		s.low = -1
		return ok
	}
	s.low, ok = s.literal()
	s.has = s.has || s.low == int(s.c)
	return ok
}

// literal reads a byte, or the one behind a backslash.
func (s *class) literal() (b int, ok bool) {
	if s.p[s.i] == '\\' {
		s.i++
	}
	if s.i == len(s.p) {
		return -1, false
	}
	s.i++
	return int(s.p[s.i-1]), true
}

// name reads a name, as in [:alpha:]. Without ":" before the next "]", the bracket is a
// plain byte.
func (s *class) name() (ok bool) {
	text, _, closed := strings.Cut(s.p[s.i+len("[:"):], "]")
	if !closed {
		return false
	}
	name, isName := strings.CutSuffix(text, ":")
	if !isName {
		s.low, ok = s.literal()
		s.has = s.has || s.low == int(s.c)
		return ok
	}
	in := named[name]
	if in == nil {
		return false
	}
	s.has = s.has || in(s.c)
	s.low = -1
	s.i += len("[:") + len(text) + len("]")
	return true
}
