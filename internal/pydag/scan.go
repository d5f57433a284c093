package pydag

import "fmt"

// open is a bracket or a string that the scan is in.
type open struct {
	char   byte // the bracket, or the quote
	at     int
	triple bool
	state  scanState
}

type scanState uint8

const (
	inBracket scanState = iota
	inField             // between the braces of an f-string
	inFormat            // after the colon of a field
	inFString           // the text of an f-string
)

// tokenError is an error of brackets and strings, which Python finds before it looks
// at the grammar.
type tokenError struct {
	at    int
	text  string
	later bool // counts only where the grammar went wrong after its line, or at the end
}

// tooDeep is the error of more than BracketsMax open brackets.
const tooDeep = "too many nested parentheses"

// scanner goes through brackets and strings without recursion.
type scanner struct {
	source
	at    int
	stack []open
	err   *tokenError
}

// scan returns the first error of brackets and strings in s, or nil.
func scan(s source) *tokenError {
	c := scanner{source: s}
	for c.at < len(s.text) && c.err == nil {
		switch state, top := c.top(); state {
		case inFString, inFormat:
			c.literal(top)
		default:
			c.code()
		}
	}
	if c.err == nil && len(c.stack) > 0 {
		c.unclosed()
	}
	return c.err
}

func (c *scanner) top() (scanState, *open) {
	if len(c.stack) == 0 {
		return inBracket, nil
	}
	o := &c.stack[len(c.stack)-1]
	return o.state, o
}

func (c *scanner) fail(at int, format string, args ...any) {
	c.err = &tokenError{at: at, text: fmt.Sprintf(format, args...)}
}

// code reads one character outside the text of strings.
func (c *scanner) code() {
	switch b := c.text[c.at]; b {
	case '#':
		for c.at < len(c.text) && c.text[c.at] != '\n' && c.text[c.at] != '\r' {
			c.at++
		}
		return
	case '(', '[', '{':
		c.push(open{char: b, at: c.at})
	case ')', ']', '}':
		c.close(b)
	case ':':
		if state, top := c.top(); state == inField {
			top.state = inFormat
		}
	case '"', '\'':
		c.string(b)
		return
	}
	c.at++
}

func (c *scanner) push(o open) {
	if len(c.stack) >= BracketsMax {
		c.fail(o.at, tooDeep)
		return
	}
	c.stack = append(c.stack, o)
}

var closing = map[byte]byte{'(': ')', '[': ']', '{': '}'}

func (c *scanner) close(b byte) {
	_, top := c.top()
	if top == nil {
		c.fail(c.at, "unmatched '%c'", b)
		return
	}
	if closing[top.char] != b {
		text := fmt.Sprintf("closing parenthesis '%c' does not match opening parenthesis '%c'", b, top.char)
		if line := c.line(top.at); line != c.line(c.at) {
			text += fmt.Sprintf(" on line %d", line)
		}
		c.fail(c.at, "%s", text)
		return
	}
	c.stack = c.stack[:len(c.stack)-1]
}

// string reads a string from its opening quote; of an f-string only that quote.
func (c *scanner) string(quote byte) {
	o := open{char: quote, at: c.at, triple: c.quotes(quote, c.at), state: inFString}
	if o.triple {
		c.at += 2
	}
	c.at++
	if c.isFString(o.at) {
		c.push(o)
		return
	}
	for ; c.at < len(c.text); c.at++ {
		switch b := c.text[c.at]; {
		case b == '\\':
			c.escape()
		case b == quote && (!o.triple || c.quotes(quote, c.at)):
			c.at += o.length()
			return
		case (b == '\n' || b == '\r') && !o.triple:
			c.unterminated(o)
			return
		}
	}
	c.unterminated(o)
}

// escape goes from a backslash to the last byte of the escape.
func (c *scanner) escape() {
	c.at++
	if c.at+1 < len(c.text) && c.text[c.at] == '\r' && c.text[c.at+1] == '\n' {
		c.at++
	}
}

func (o open) length() int {
	if o.triple {
		return 3
	}
	return 1
}

func (c *scanner) quotes(quote byte, at int) bool {
	return at+2 < len(c.text) && c.text[at] == quote && c.text[at+1] == quote && c.text[at+2] == quote
}

// isFString reports whether the letters before the quote have an f or a t.
func (c *scanner) isFString(quote int) bool {
	for i := quote - 1; i >= 0 && i >= quote-2; i-- {
		switch c.text[i] | 0x20 {
		case 'f', 't':
			return i == 0 || !isWord(c.text[i-1]) || i == quote-1 && i > 0 && c.text[i-1]|0x20 == 'r'
		case 'r':
		default:
			return false
		}
	}
	return false
}

func isWord(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'z' || b >= 0x80
}

// literal reads one character of an f-string's text, or of a field's format.
func (c *scanner) literal(top *open) {
	quoted := c.quoted()
	switch b := c.text[c.at]; {
	case b == '\\':
		c.escape()
	case b == '{' && top.state == inFString && c.doubled(b), b == '}' && top.state == inFString && c.doubled(b):
		c.at++
	case b == '{':
		c.push(open{char: b, at: c.at, state: inField})
	case b == '}' && top.state == inFormat:
		c.stack = c.stack[:len(c.stack)-1]
	case b == '}':
		c.fail(c.at, "f-string: single '}' is not allowed")
	case b == quoted.char && (!quoted.triple || c.quotes(b, c.at)):
		if top.state == inFormat {
			c.fail(top.at, "f-string: expecting '}'")
			return
		}
		c.at += top.length() - 1
		c.stack = c.stack[:len(c.stack)-1]
	case (b == '\n' || b == '\r') && !quoted.triple:
		c.unterminated(*quoted)
	}
	c.at++
}

func (c *scanner) doubled(b byte) bool { return c.at+1 < len(c.text) && c.text[c.at+1] == b }

// quoted returns the innermost f-string.
func (c *scanner) quoted() *open {
	for i := len(c.stack) - 1; i > 0; i-- {
		if c.stack[i].state == inFString {
			return &c.stack[i]
		}
	}
	return &c.stack[0]
}

func (c *scanner) unterminated(o open) {
	kind := "string literal"
	switch f := o.state == inFString && c.isFString(o.at); {
	case f && o.triple:
		kind = "triple-quoted f-string literal"
	case f:
		kind = "f-string literal"
	case o.triple:
		kind = "triple-quoted string literal"
	}
	c.fail(o.at, "unterminated %s (detected at line %d)", kind, c.line(min(c.at, len(c.text))))
}

// unclosed reports the innermost bracket or string that is open at the end.
func (c *scanner) unclosed() {
	_, top := c.top()
	if top.state == inFString {
		c.unterminated(*top)
		return
	}
	c.fail(top.at, "'%c' was never closed", top.char)
	c.err.later = true
}
