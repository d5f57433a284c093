package pydag

import "strings"

// assignment follows "a = b", "a: T = b" and "a += b".
func (f *finder) assignment(n *node, in *scope) {
	e := n.exprs()
	last := e[len(e)-1]
	switch n.kind {
	case stmtAnnAssign:
		if len(e) == 3 {
			f.assign(e[0], f.eval(last, in), in)
		}
	case stmtAugAssign:
		f.assign(e[0], f.binary(e[0], last, in), in)
	default:
		v := f.eval(last, in)
		for _, target := range e[:len(e)-1] {
			f.assign(target, v, in)
		}
	}
}

// assign gives a name, or each name of a tuple, its value.
func (f *finder) assign(target *node, v *value, in *scope) {
	if !f.spend(1) {
		return
	}
	switch target.kind {
	case exprName:
		in.names[f.of(target)] = v
	case exprTuple, exprList:
		parts, known := v.elements()
		for i, c := range target.exprs() {
			x := &value{}
			if known && i < len(parts) && c.kind != exprStarred {
				x = parts[i]
			}
			f.assign(c, x, in)
		}
	case exprSubscript:
		e := target.exprs()
		if d, key := f.eval(e[0], in), f.eval(e[1], in); d.kind == dict && key.printable() {
			d.set(key.s, v)
		}
	}
}

// bindImport gives the names of an import statement their qualified names.
func (f *finder) bindImport(n *node, in *scope) {
	i := Import{}
	if n.kind == stmtImportFrom {
		i = importFrom(f.source, n)
	}
	for _, c := range n.kids {
		if c.kind != partAlias {
			continue
		}
		name := moduleName(f.source, c.kids[0])
		as := f.of(c.last())
		switch {
		case n.kind == stmtImportFrom && newVersions.MatchString(name):
			in.names[as] = boolValue(true)
		case n.kind == stmtImportFrom:
			in.names[as] = &value{kind: imported, s: strings.Repeat(".", i.Level) + i.Module + "." + name}
		case len(c.kids) == 1:
			first, _, _ := strings.Cut(name, ".")
			in.names[first] = &value{kind: imported, s: first}
		default:
			in.names[as] = &value{kind: imported, s: name}
		}
	}
}

// class follows the body of a class, without its methods. A subclass of DAG that does
// not change how one is made stands for DAG.
func (f *finder) class(n *node, in *scope) {
	name := f.of(n.kid(partIdentifier))
	v := &value{kind: imported, s: "local." + strings.TrimSuffix(name, "DAG") + "Class"}
	if bases := n.kid(partArguments); bases != nil && !hasInit(f.source, n) {
		for _, b := range bases.exprs() {
			if x := f.eval(b, in); x.kind == imported && dagName.MatchString(x.s) {
				v = x
			}
		}
	}
	body := in.inner()
	for _, c := range n.stmts() {
		if c.kind != stmtFunctionDef {
			f.block([]*node{c}, body)
		}
	}
	in.names[name] = v
}

func hasInit(s source, class *node) bool {
	for _, c := range class.stmts() {
		if c.kind == stmtFunctionDef && s.of(c.kid(partIdentifier)) == "__init__" {
			return true
		}
	}
	return false
}
