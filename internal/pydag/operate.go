package pydag

import (
	"slices"
	"strings"
)

// between returns the operator that stands between two expressions.
func (f *finder) between(a, b *node) string {
	return strings.Trim(f.text[a.end:b.start], "() \t\r\n\\")
}

// binary returns the value of "a + b" and its like, also for "a += b".
func (f *finder) binary(left, right *node, in *scope) *value {
	a, b := f.eval(left, in), f.eval(right, in)
	op := strings.TrimSuffix(f.between(left, right), "=")
	i, iOK := a.int()
	j, jOK := b.int()
	switch {
	case op == "+" && a.kind == text && b.kind == text:
		if len(a.s)+len(b.s) <= textMax && f.spend(len(a.s)/256) {
			return textValue(a.s + b.s)
		}
	case op == "+" && iOK && jOK:
		return numberValue(i + j)
	case op == "-" && iOK && jOK:
		return numberValue(i - j)
	case op == "*" && iOK && jOK:
		return numberValue(i * j)
	case op == "+" && a.kind == list && b.kind == list:
		if f.spend((len(a.items) + len(b.items)) / 16) {
			return listValue(slices.Concat(a.items, b.items))
		}
	case op == "|" && a.kind == dict && b.kind == dict:
		return f.union(a, b)
	case op == "/" && a.kind == path && b.kind == text:
		return &value{kind: path, s: shorten(a.s, 1000) + "/" + shorten(b.s, 1000)}
	case op == "%" && a.kind == text:
		if s, ok := percent(a.s, b); ok && len(s) <= textMax && f.spend(len(s)/256) {
			return textValue(s)
		}
	}
	return &value{}
}

func (f *finder) union(a, b *value) *value {
	d := &value{kind: dict}
	if !f.spend((len(a.keys) + len(b.keys)) / 16) {
		return d
	}
	for _, from := range []*value{a, b} {
		for _, k := range from.keys {
			d.set(k, from.named[k])
		}
	}
	return d
}

// logic returns the value of a condition, of "a or b", "a if b else c", "not a".
func (f *finder) logic(n *node, in *scope) *value {
	e := n.exprs()
	switch n.kind {
	case exprIf: // in source order: a if b else c
		switch f.eval(e[1], in).truth() {
		case yes:
			return f.eval(e[0], in)
		case no:
			return f.eval(e[2], in)
		}
		f.guess(func() { f.eval(e[0], in); f.eval(e[2], in) })
		return &value{}
	case exprUnaryOp:
		return unary(f.source, n, f.eval(e[0], in))
	case exprCompare:
		return f.compare(n, in)
	}
	return f.either(e, in)
}

// either returns the value of "a or b or c", or with "and".
func (f *finder) either(e []*node, in *scope) *value {
	ends := yes
	if f.between(e[0], e[1]) == "and" {
		ends = no
	}
	for i, c := range e {
		v := f.eval(c, in)
		switch is := v.truth(); {
		case is == ends, i == len(e)-1:
			return v
		case is == maybe:
			f.guess(func() {
				for _, c := range e[i+1:] {
					f.eval(c, in)
				}
			})
			return &value{}
		}
	}
	return &value{}
}

func unary(s source, n *node, v *value) *value {
	op := s.of(n)
	i, isInt := v.int()
	switch {
	case op[0] == '-' && isInt:
		return numberValue(-i)
	case strings.HasPrefix(op, "not") && v.truth() != maybe:
		return boolValue(v.truth() == no)
	}
	return &value{}
}

func (f *finder) compare(n *node, in *scope) *value {
	e := n.exprs()
	a, b := f.eval(e[0], in), f.eval(e[1], in)
	for _, c := range e[2:] {
		f.eval(c, in)
	}
	if len(e) != 2 {
		return &value{}
	}
	comparable := a.kind == text && b.kind == text || a.kind == number && b.kind == number
	switch op := f.between(e[0], e[1]); {
	case op == "==" && comparable:
		return boolValue(a.s == b.s)
	case op == "!=" && comparable:
		return boolValue(a.s != b.s)
	case op == "in", op == "not in":
		if is, known := contains(b, a); known && f.spend((len(b.items)+len(b.keys))/16) {
			return boolValue(is == (op == "in"))
		}
	}
	return &value{}
}

// contains reports whether "x in of" holds, and whether that is known.
func contains(of, x *value) (is, known bool) {
	if of.kind == text {
		return x.kind == text && strings.Contains(of.s, x.s), x.kind == text
	}
	elements, known := of.elements()
	for _, v := range elements {
		if !v.printable() {
			return false, false
		}
		if v.kind == x.kind && v.s == x.s {
			is = true
		}
	}
	return is, known && x.printable()
}
