package pydag

// unfollowed notes the places where a DAG is made that following the module never
// reached: in lambdas, methods, and functions that are passed on.
func (f *finder) unfollowed(nodes []node, module *scope) {
	used := usedNames(f.source, nodes)
	var around []*node // functions, classes and lambdas around the node, outermost first
	for i := range nodes {
		n := &nodes[i]
		for len(around) > 0 && n.start >= around[len(around)-1].end {
			around = around[:len(around)-1]
		}
		if len(around) > 0 && !f.made[n] && makesDAG(f.source, n, module) && f.mayRun(around[0], used) {
			f.note(n, "A DAG is made here, in %s, which is followed only when the file runs.", placeOf(f.source, around))
		}
		switch n.kind {
		case stmtFunctionDef, stmtClassDef, exprLambda:
			around = append(around, n)
		}
	}
}

// usedNames counts how often each name is read.
func usedNames(s source, nodes []node) map[string]int {
	used := map[string]int{}
	for i := range nodes {
		if nodes[i].kind == exprName {
			used[s.of(&nodes[i])]++
		}
	}
	return used
}

// makesDAG reports whether n is a call of DAG, or a function decorated with @dag.
func makesDAG(s source, n *node, module *scope) bool {
	switch n.kind {
	case exprCall:
		return dagName.MatchString(qualified(s, n.kids[0], module))
	case stmtFunctionDef:
		for _, d := range n.kids {
			if d.kind == partDecorator && dagDec.MatchString(qualified(s, called(d.kids[0]), module)) {
				return true
			}
		}
	}
	return false
}

// called returns what a call calls, or n itself.
func called(n *node) *node {
	if n.kind == exprCall {
		return n.kids[0]
	}
	return n
}

// qualified returns the qualified name of an imported name or attribute, or "".
func qualified(s source, n *node, module *scope) string {
	rest := ""
	for n.kind == exprAttribute {
		rest = "." + s.of(n.last()) + rest
		n = n.kids[0]
	}
	if n.kind != exprName {
		return ""
	}
	if v := module.get(s.of(n)); v != nil {
		if v.kind != imported {
			return ""
		}
		return v.s + rest
	}
	return s.of(n) + rest
}

// mayRun reports whether the outermost function around a place may be called though
// no call of it was followed. One that nothing in the file names is for other files.
func (f *finder) mayRun(outermost *node, used map[string]int) bool {
	return outermost.kind == exprLambda || used[f.of(outermost.kid(partIdentifier))] > 0
}

// placeOf names the function around a place.
func placeOf(s source, around []*node) string {
	n := around[len(around)-1]
	if n.kind == exprLambda {
		return "a lambda"
	}
	name := s.of(n.kid(partIdentifier))
	if len(around) > 1 && around[len(around)-2].kind == stmtClassDef {
		return "the method " + s.of(around[len(around)-2].kid(partIdentifier)) + "." + name
	}
	if n.kind == stmtClassDef {
		return "the class " + name
	}
	return "the function " + name
}
