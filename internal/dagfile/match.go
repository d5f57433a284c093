package dagfile

import (
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// pattern is a regular expression of RE2 whose matching is counted step by step,
// which package regexp does not offer.
type pattern struct {
	prog     *syntax.Prog
	anchored bool   // matches begin at the start of the text alone
	needle   string // part of every match; "" for unknown
}

// compile returns the pattern for expr; ok is false where RE2 refuses expr.
func compile(expr string) (p pattern, ok bool) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return pattern{}, false
	}
	p.needle = needle(re)
	if p.prog, err = syntax.Compile(re.Simplify()); err != nil {
		return pattern{}, false
	}
	p.anchored = p.prog.StartCond()&syntax.EmptyBeginText != 0
	return p, true
}

// needle returns the longest literal text on the top level of re.
func needle(re *syntax.Regexp) (longest string) {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return string(re.Rune)
		}
	case syntax.OpCapture, syntax.OpPlus:
		return needle(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if s := needle(sub); len(s) > len(longest) {
				longest = s
			}
		}
	}
	return longest
}

// machine matches names with patterns, and counts the work in steps of some
// nanoseconds.
type machine struct {
	work int
	seen []int // the round in which an instruction was last reached
	// round counts the positions in all texts.
	round int
	stack []uint32 // instructions to look at
	ready []uint32 // instructions that wait for the next character
}

// matches reports whether p is found in name. Once the work is over maxWork, the
// answer is without meaning.
func (m *machine) matches(p pattern, name string) bool {
	m.work += 1 + len(name)/16
	if !strings.Contains(name, p.needle) {
		return false
	}
	if n := len(p.prog.Inst); len(m.seen) < n {
		m.seen = make([]int, n)
	}
	m.stack = m.stack[:0]
	before, at := rune(-1), 0
	for m.work <= maxWork {
		next, size := rune(-1), 0
		if at < len(name) {
			next, size = utf8.DecodeRuneInString(name[at:])
		}
		if at == 0 || !p.anchored {
			m.stack = append(m.stack, uint32(p.prog.Start))
		}
		if m.follow(p.prog, syntax.EmptyOpContext(before, next)) {
			return true
		}
		if size == 0 || p.anchored && len(m.ready) == 0 {
			return false
		}
		for _, pc := range m.ready {
			if in := &p.prog.Inst[pc]; in.MatchRune(next) {
				m.stack = append(m.stack, in.Out)
			}
		}
		m.work += len(m.ready)
		before, at = next, at+size
	}
	return false
}

// follow fills ready with the instructions that are reached from the stack without
// a character, and reports whether the end of the pattern is among them.
func (m *machine) follow(prog *syntax.Prog, here syntax.EmptyOp) (found bool) {
	m.round++
	m.ready = m.ready[:0]
	for len(m.stack) > 0 {
		pc := m.stack[len(m.stack)-1]
		m.stack = m.stack[:len(m.stack)-1]
		if m.seen[pc] == m.round {
			continue
		}
		m.seen[pc] = m.round
		m.work++
		switch in := &prog.Inst[pc]; in.Op {
		case syntax.InstMatch:
			return true
		case syntax.InstAlt, syntax.InstAltMatch:
			m.stack = append(m.stack, in.Out, in.Arg)
		case syntax.InstCapture, syntax.InstNop:
			m.stack = append(m.stack, in.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(in.Arg)&^here == 0 {
				m.stack = append(m.stack, in.Out)
			}
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			m.ready = append(m.ready, pc)
		}
	}
	return false
}
