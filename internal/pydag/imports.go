package pydag

import "strings"

// imports returns the import statements of a module in source order.
func imports(s source, nodes []node) []Import {
	var all []Import
	var within []*node // what may skip the statements in it, around the node
	for i := range nodes {
		n := &nodes[i]
		for len(within) > 0 && n.start >= within[len(within)-1].end {
			within = within[:len(within)-1]
		}
		switch n.kind {
		case stmtFunctionDef, stmtTry, stmtIf, exprLambda:
			within = append(within, n)
		case stmtImport:
			for _, c := range n.kids {
				if c.kind == partAlias {
					all = append(all, Import{Module: moduleName(s, c.kids[0]), Line: s.line(int(n.start)), Optional: len(within) > 0})
				}
			}
		case stmtImportFrom:
			next := importFrom(s, n)
			next.Optional = len(within) > 0
			all = append(all, next)
		}
	}
	return all
}

func importFrom(s source, n *node) Import {
	i := Import{Line: s.line(int(n.start))}
	dots := int(n.end)
	for _, c := range n.kids {
		dots = min(dots, int(c.start))
		switch c.kind {
		case partIdentifier:
			i.Module = moduleName(s, c)
		case partAlias:
			i.Names = append(i.Names, s.of(c.kids[0]))
		}
	}
	i.Level = strings.Count(s.text[n.start:dots], ".")
	return i
}

// moduleName returns a dotted name, which may have space around its dots.
func moduleName(s source, n *node) string {
	return strings.Join(strings.FieldsFunc(s.of(n), func(r rune) bool { return strings.ContainsRune(" \t\f\r\n\\", r) }), "")
}
