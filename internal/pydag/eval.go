package pydag

import (
	"path/filepath"
	"strconv"
	"strings"
)

// eval returns the value of an expression, as far as it is constant, and makes the
// DAGs and tasks that evaluating it would make. It is called once for each time that
// Python would evaluate the expression.
func (f *finder) eval(n *node, in *scope) *value {
	if !f.spend(1) {
		return &value{}
	}
	f.depth++
	defer func() { f.depth-- }()
	switch n.kind {
	case exprStringLiteral, exprFString:
		return f.string(n, in)
	case exprNumberLiteral:
		return &value{kind: number, s: strings.ReplaceAll(f.of(n), "_", "")}
	case exprBooleanLiteral:
		return &value{kind: boolean, s: f.of(n)}
	case exprNoneLiteral:
		return &value{kind: none, s: "None"}
	case exprName:
		if v := in.get(f.of(n)); v != nil {
			return v
		}
	case exprAttribute:
		return f.attribute(f.eval(n.kids[0], in), f.of(n.last()))
	case exprCall:
		return f.call(n, in)
	case exprList, exprTuple, exprSet:
		return f.listOf(n, in)
	case exprDict:
		return f.dictOf(n, in)
	case exprBinOp:
		e := n.exprs()
		return f.binary(e[0], e[1], in)
	case exprSubscript:
		return f.subscript(n, in)
	case exprListComp, exprGenerator, exprSetComp, exprDictComp:
		return f.comprehension(n, in)
	case exprNamed:
		e := n.exprs()
		v := f.eval(e[1], in)
		f.assign(e[0], v, in)
		return v
	case exprLambda: // its body runs when it is called
	case exprIf, exprBoolOp, exprCompare, exprUnaryOp:
		return f.logic(n, in)
	default:
		for _, c := range n.exprs() {
			f.eval(c, in)
		}
	}
	return &value{}
}

// string joins the parts of a string or an f-string.
func (f *finder) string(n *node, in *scope) *value {
	var b strings.Builder
	known := true
	for _, part := range n.kids {
		pieces := []*node{part}
		if part.kind == partFString {
			pieces = part.kids
		}
		for _, p := range pieces {
			s, ok := f.piece(p, part, in)
			known = known && ok
			b.WriteString(s)
		}
	}
	if !known || !f.spend(b.Len()/256) || b.Len() > textMax {
		return &value{}
	}
	return textValue(b.String())
}

// piece returns a part of a string: a literal, the text of an f-string, or a field.
func (f *finder) piece(n, part *node, in *scope) (string, bool) {
	switch n.kind {
	case partStringLiteral:
		return unquote(f.of(n))
	case partInterpolatedStringLiteralElement:
		s := strings.NewReplacer("{{", "{", "}}", "}").Replace(f.of(n))
		if prefix, _, _ := strings.Cut(f.of(part)[:min(3, len(f.of(part)))], `"`); strings.ContainsAny(prefix, "rR") {
			return s, true
		}
		return unescape(s)
	case partInterpolatedElement:
		v := f.eval(n.kids[0], in)
		return v.s, v.printable() && len(n.kids) == 1 && !strings.ContainsAny(f.text[n.kids[0].end:n.end], "!=")
	}
	return "", false
}

// attribute returns the value of v.name.
func (f *finder) attribute(v *value, name string) *value {
	switch {
	case v.kind == imported:
		return &value{kind: imported, s: v.s + "." + name}
	case v.kind == path && name == "stem":
		base := filepath.Base(v.s)
		return textValue(strings.TrimSuffix(base, filepath.Ext(base)))
	case v.kind == path && name == "name":
		return textValue(filepath.Base(v.s))
	case v.kind == path && name == "parent":
		return &value{kind: path, s: filepath.Dir(v.s)}
	case isFunction(v.kind) && name == "__name__":
		return textValue(f.of(v.def.kid(partIdentifier)))
	case v.kind == dagValue && name == "dag_id" && !v.dag.Dynamic:
		return textValue(v.dag.ID)
	}
	return &value{}
}

func (f *finder) listOf(n *node, in *scope) *value {
	all, known := []*value{}, true
	for _, c := range n.exprs() {
		if c.kind != exprStarred {
			all = append(all, f.eval(c, in))
			continue
		}
		parts, ok := f.eval(c.kids[0], in).elements()
		known = known && ok && f.spend(len(parts)/16)
		all = append(all, parts...)
	}
	if !known {
		return &value{}
	}
	return listValue(all)
}

// dictOf follows a dict display. A "**x" has no key, which the number of nodes tells
// only for the whole, so the text before each value is looked at.
func (f *finder) dictOf(n *node, in *scope) *value {
	d, known := &value{kind: dict}, true
	e := n.exprs()
	for i := 0; i < len(e); i++ {
		if strings.HasSuffix(strings.TrimRight(f.text[n.start:e[i].start], " \t\r\n("), "**") {
			x := f.eval(e[i], in)
			known = known && x.kind == dict && f.spend(len(x.keys)/16)
			for _, k := range x.keys {
				d.set(k, x.named[k])
			}
			continue
		}
		if i+1 == len(e) {
			return &value{}
		}
		key, v := f.eval(e[i], in), f.eval(e[i+1], in)
		known = known && key.printable()
		d.set(key.s, v)
		i++
	}
	if !known {
		return &value{}
	}
	return d
}

func (f *finder) subscript(n *node, in *scope) *value {
	e := n.exprs()
	if len(e) != 2 {
		return &value{}
	}
	of, key := f.eval(e[0], in), f.eval(e[1], in)
	if of.kind == dict && key.printable() && of.named[key.s] != nil {
		return of.named[key.s]
	}
	if i, ok := key.int(); ok && of.kind == list {
		if i < 0 {
			i += len(of.items)
		}
		if i >= 0 && i < len(of.items) {
			return of.items[i]
		}
	}
	if cut := strings.TrimPrefix(f.of(e[1]), ":-"); of.kind == text && e[1].kind == exprSlice && len(cut) == len(f.of(e[1]))-2 {
		if i, err := strconv.Atoi(cut); err == nil && i > 0 && i <= len(of.s) {
			return textValue(of.s[:len(of.s)-i])
		}
	}
	return &value{}
}

// comprehension follows a comprehension as loops within each other.
func (f *finder) comprehension(n *node, in *scope) *value {
	var loops []*node
	for _, c := range n.kids {
		if c.kind == partComprehension {
			loops = append(loops, c)
		}
	}
	inner, results := in.inner(), n.exprs()
	all, pairs, known := listValue(nil), &value{kind: dict}, true
	var run func(i int) flow
	run = func(i int) flow {
		if i < len(loops) {
			e := loops[i].exprs()
			over := f.eval(e[1], inner)
			_, ok := over.elements()
			known = known && ok
			return f.loop(e[0], over, inner, func() flow {
				switch f.all(e[2:], inner) {
				case no:
					return goesOn
				case maybe:
					known = false
					f.guess(func() { run(i + 1) })
					return goesOn
				}
				return run(i + 1)
			})
		}
		if !f.spend(1) {
			return leavesFunction
		}
		var last *value
		for _, r := range results {
			v := f.eval(r, inner)
			if last != nil {
				known = known && last.printable()
				pairs.set(last.s, v)
			}
			last = v
		}
		all.items = append(all.items, last)
		return goesOn
	}
	run(0)
	switch {
	case !known:
		return &value{}
	case n.kind == exprDictComp:
		return pairs
	}
	return all
}

// all returns whether all conditions hold.
func (f *finder) all(conditions []*node, in *scope) truth {
	result := yes
	for _, c := range conditions {
		switch f.eval(c, in).truth() {
		case no:
			return no
		case maybe:
			result = maybe
		}
	}
	return result
}
