package pydag

import "strings"

// parserError is an error as the parser reports it.
type parserError struct {
	start, end int // bytes
	text       string
}

// syntaxErrors returns the errors of a file where Python would report them, by place.
// The first is Python's; the parser goes on after it.
func syntaxErrors(s source, tokens *tokenError, found []parserError, nodes []node) []SyntaxError {
	var all []SyntaxError
	for i, e := range found {
		if i == 0 {
			e = refine(s, tokens, e, nodes)
		}
		next := s.errorAt(e.start, e.text)
		if len(all) == 0 || all[len(all)-1].Line != next.Line {
			all = append(all, next)
		}
		if len(all) == errorsMax {
			break
		}
	}
	return all
}

// errorsMax is how many errors of one file are kept.
const errorsMax = 20

// refine moves the parser's first error to where Python reports it: the tokenizer's
// errors come first, and a missing comma is reported from the element before it.
func refine(s source, tokens *tokenError, e parserError, nodes []node) parserError {
	if tokens != nil && (!tokens.later || e.start >= len(s.text) || s.line(e.start) > s.line(tokens.at)) {
		return parserError{start: tokens.at, end: tokens.at + 1, text: tokens.text}
	}
	if strings.HasPrefix(e.text, "Expected `,`") {
		if n := elementBefore(e.start, nodes); n != nil {
			return parserError{start: int(n.start), end: e.end, text: "invalid syntax. Perhaps you forgot a comma?"}
		}
	}
	return e
}

// elementBefore returns the last element of a list, a call … that ends before at, in
// the innermost one that reaches there.
func elementBefore(at int, nodes []node) *node {
	var best *node
	for i := range nodes {
		n := &nodes[i]
		if int(n.start) > at || int(n.end) < at || !hasElements(n.kind) {
			continue
		}
		for _, c := range n.kids {
			if c.kind == partKeyword {
				c = c.last()
			}
			if int(c.end) <= at && (best == nil || c.end >= best.end) {
				best = c
			}
		}
	}
	return best
}

func hasElements(k kind) bool {
	return k == partArguments || k == exprList || k == exprTuple || k == exprDict || k == exprSet
}
