package pydag

import (
	"encoding/binary"
	"errors"
)

// node is one node of the tree: kind, byte range, children in source order.
type node struct {
	kind       kind
	start, end uint32
	kids       []*node
}

var errOutput = errors.New("the parser's answer does not fit its format")

// recordSize is the length of a node in the parser's answer: kind, depth, start, end.
const recordSize = 16

// tree builds the tree from the parser's records of a source of size bytes. It returns
// all nodes in source order; the first is the module.
func tree(b []byte, size int) ([]node, error) {
	n := len(b) / recordSize
	if n == 0 || len(b)%recordSize != 0 {
		return nil, errOutput
	}
	all, parent, count := make([]node, n), make([]int32, n), make([]int32, n)
	var open []int32 // the node open at each depth
	for i := range all {
		r := b[i*recordSize:]
		k, depth, start, end := word(r), int(word(r[4:])), word(r[8:]), word(r[12:])
		if k >= uint32(kinds) || depth > len(open) || (depth == 0) != (i == 0) || start > end || int64(end) > int64(size) {
			return nil, errOutput
		}
		all[i] = node{kind: kind(k), start: start, end: end}
		open = append(open[:depth], int32(i))
		if depth > 0 {
			parent[i] = open[depth-1]
			count[parent[i]]++
		}
	}
	adopt(all, parent, count)
	return all, nil
}

// adopt gives each node its children, out of one array.
func adopt(all []node, parent, count []int32) {
	kids := make([]*node, 0, len(all))
	for i := range all {
		at, c := len(kids), int(count[i])
		kids = kids[:min(at+c, cap(kids))]
		all[i].kids = kids[at : at : at+c]
	}
	for i := 1; i < len(all); i++ {
		p := &all[parent[i]]
		p.kids = append(p.kids, &all[i])
	}
}

func word(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

// kid returns the first child of the kind, or nil.
func (n *node) kid(k kind) *node {
	for _, c := range n.kids {
		if c.kind == k {
			return c
		}
	}
	return nil
}

// last returns the last child, or n itself without any.
func (n *node) last() *node {
	if len(n.kids) == 0 {
		return n
	}
	return n.kids[len(n.kids)-1]
}

func (n *node) stmts() []*node { return n.filter(kind.isStmt) }
func (n *node) exprs() []*node { return n.filter(kind.isExpr) }

func (n *node) filter(is func(kind) bool) []*node {
	var some []*node
	for _, c := range n.kids {
		if is(c.kind) {
			some = append(some, c)
		}
	}
	return some
}
