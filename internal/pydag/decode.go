package pydag

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"

	"slipway/internal/slipway"
)

var (
	cookie    = regexp.MustCompile(`^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)`)
	emptyLine = regexp.MustCompile(`^[ \t\f]*(?:#|$)`)
	byteOrder = []byte("\xef\xbb\xbf")

	// pythonOnly matches names of Python's encodings that may be none of ours.
	pythonOnly = regexp.MustCompile(`^(cp|utf|u8|iso|l[0-9]|euc|mac|windows|hz|johab|kz|ptcp|tis|gb|chinese|big5|shift|s?jis|ms|koi8|palmos|hp|rot|idna|punycode|raw|unicode|mbcs|oem|ansi|euro|arabic|greek|hebrew|cyrillic|thai|ibm|[0-9])`)
)

// decode turns a file into UTF-8 text, as PEP 263 says, and names its encoding. Text
// that Python would refuse gives a syntax error.
func decode(path string, b []byte) (text, name string, _ *SyntaxError, _ error) {
	rest, bom := bytes.CutPrefix(b, byteOrder)
	name, line := cookieOf(rest)
	usual := normal(name)
	switch {
	case bom && usual != "utf-8":
		return "", name, &SyntaxError{Line: line, Column: 1, Text: fmt.Sprintf("encoding problem: %s with BOM", name), Excerpt: excerptOf(rest, line)}, nil
	case bytes.IndexByte(rest, 0) >= 0:
		return "", name, badByte(rest, bytes.IndexByte(rest, 0), "source code cannot contain null bytes"), nil
	case usual == "utf-8" || usual == "utf8":
		return decodeUTF8(rest, name)
	case usual == "ascii" || usual == "us-ascii":
		return decodeASCII(rest, name)
	}
	e := known(usual)
	if e == nil && pythonOnly.MatchString(usual) {
		return "", name, nil, slipway.Errorf(slipway.Invalid, "%s is written in the encoding %s, which is not read here.", path, name)
	}
	if e == nil {
		return "", name, &SyntaxError{Line: line, Column: 1, Text: "unknown encoding: " + name, Excerpt: excerptOf(rest, line)}, nil
	}
	u, err := e.NewDecoder().Bytes(rest)
	if err != nil {
		return "", name, &SyntaxError{Line: line, Column: 1, Text: fmt.Sprintf("encoding problem: %s", name)}, nil
	}
	return string(u), name, nil, nil
}

// cookieOf returns the encoding that a comment of the first two lines names, and the
// number of that line; "utf-8" and 1 without one.
func cookieOf(b []byte) (string, int) {
	for line := 1; line <= 2; line++ {
		var text []byte
		text, b = cutLine(b)
		if m := cookie.FindSubmatch(text); m != nil {
			return strings.ToLower(string(m[1])), line
		}
		if !emptyLine.Match(text) {
			break
		}
	}
	return "utf-8", 1
}

// cutLine returns the first line of b and what follows it.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexAny(b, "\r\n")
	if i < 0 {
		return b, nil
	}
	if bytes.HasPrefix(b[i:], []byte("\r\n")) {
		return b[:i], b[i+2:]
	}
	return b[:i], b[i+1:]
}

// normal returns Python's own name for the names that its tokenizer knows, else the
// name with hyphens.
func normal(name string) string {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	for _, usual := range []struct{ name, is string }{{"utf-8", "utf-8"}, {"latin-1", "iso-8859-1"}, {"iso-8859-1", "iso-8859-1"}, {"iso-latin-1", "iso-8859-1"}} {
		if name == usual.name || strings.HasPrefix(name, usual.name+"-") {
			return usual.is
		}
	}
	return name
}

// known returns the encoding of a name, or nil.
func known(name string) encoding.Encoding {
	switch name {
	case "iso-8859-1", "latin1", "iso8859-1", "l1", "cp819":
		return charmap.ISO8859_1 // the index of HTML takes it for windows-1252
	case "cp437", "ibm437":
		return charmap.CodePage437
	case "cp850", "ibm850":
		return charmap.CodePage850
	case "cp852", "ibm852":
		return charmap.CodePage852
	}
	if e, err := htmlindex.Get(name); err == nil && !strings.HasPrefix(name, "utf-16") && !strings.HasPrefix(name, "utf16") {
		return e
	}
	return nil
}

func decodeUTF8(b []byte, name string) (string, string, *SyntaxError, error) {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return "", name, badByte(b, i, fmt.Sprintf("(unicode error) 'utf-8' codec can't decode byte 0x%02x", b[i])), nil
		}
		i += n
	}
	return string(b), name, nil, nil
}

func decodeASCII(b []byte, name string) (string, string, *SyntaxError, error) {
	for i, c := range b {
		if c >= utf8.RuneSelf {
			return "", name, badByte(b, i, fmt.Sprintf("(unicode error) 'ascii' codec can't decode byte 0x%02x", c)), nil
		}
	}
	return string(b), name, nil, nil
}

func badByte(b []byte, at int, text string) *SyntaxError {
	s := newSource(string(b[:at]))
	line := s.line(at)
	return &SyntaxError{Line: line, Column: s.column(at), Text: text, Excerpt: excerptOf(b, line)}
}

// excerptOf returns the start of a line of bytes that may be no text.
func excerptOf(b []byte, line int) string {
	s := newSource(string(b))
	if line > len(s.lines) {
		return ""
	}
	text := strings.ToValidUTF8(s.lineText(line), "\uFFFD")
	return around(strings.ReplaceAll(text, "\x00", "\uFFFD"), 1)
}
