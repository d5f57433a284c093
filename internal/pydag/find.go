package pydag

import (
	"fmt"
	"sort"
)

// Limits of following a module.
const (
	stepsMax = 200_000 // nodes evaluated, and sizes of values copied
	depthMax = 1_000   // nodes within each other
	callsMax = 8       // functions of the module within each other
	textMax  = 64 << 10
)

// finder follows a module as Airflow would load it, with values as far as they are
// constant: both ways of a condition that is not, once through a loop that is not.
type finder struct {
	source
	dags    []*dagState
	byDAG   map[*DAG]*dagState
	context []*DAG   // "with DAG" and @dag functions around, outermost first
	groups  []string // prefixes of the task groups around
	returns []*value // of the function being followed
	made    map[*node]bool
	notes   map[Note]bool

	steps, depth, calls int
	guesses             int // conditions and loops around that are not constant
}

// dagState is a DAG being made.
type dagState struct {
	DAG
	tasks  map[string]int // how often an id was taken
	groups map[string]int
}

// flow is how a statement ends.
type flow uint8

const (
	goesOn flow = iota
	leavesRound
	leavesLoop
	leavesFunction
)

// find returns the DAGs that a module makes, and where it may make more.
func find(s source, nodes []node, file string) ([]DAG, []Note) {
	f := &finder{source: s, byDAG: map[*DAG]*dagState{}, made: map[*node]bool{}, notes: map[Note]bool{}}
	module := (*scope)(nil).inner()
	module.names["__file__"] = &value{kind: path, s: file}
	module.names["__name__"] = textValue("unusual_prefix_" + file)
	f.block(nodes[0].kids, module)
	f.unfollowed(nodes, module)
	var dags []DAG
	for _, d := range f.dags {
		dags = append(dags, d.DAG)
	}
	return dags, f.sortedNotes()
}

func (f *finder) note(n *node, format string, args ...any) {
	f.notes[Note{Line: f.line(int(n.start)), Text: fmt.Sprintf(format, args...)}] = true
}

func (f *finder) sortedNotes() []Note {
	var notes []Note
	for n := range f.notes {
		notes = append(notes, n)
	}
	sort.Slice(notes, func(i, j int) bool {
		a, b := notes[i], notes[j]
		return a.Line < b.Line || a.Line == b.Line && a.Text < b.Text
	})
	return notes
}

// spend counts steps and reports whether any are left.
func (f *finder) spend(steps int) bool {
	f.steps += steps
	if f.steps > stepsMax {
		f.notes[Note{Line: 1, Text: "The file takes too many steps to follow to its end."}] = true
		return false
	}
	return f.depth < depthMax
}

func (f *finder) block(stmts []*node, in *scope) flow {
	for _, n := range stmts {
		if !n.kind.isStmt() {
			continue
		}
		if !f.spend(1) {
			return leavesFunction
		}
		f.depth++
		end := f.stmt(n, in)
		f.depth--
		if end != goesOn {
			return end
		}
	}
	return goesOn
}

func (f *finder) stmt(n *node, in *scope) flow {
	switch n.kind {
	case stmtImport, stmtImportFrom:
		f.bindImport(n, in)
	case stmtAssign, stmtAnnAssign, stmtAugAssign:
		f.assignment(n, in)
	case stmtReturn:
		v := &value{kind: none}
		if e := n.exprs(); len(e) > 0 {
			v = f.eval(e[0], in)
		}
		f.returns = append(f.returns, v)
		return leavesFunction
	case stmtContinue:
		return leavesRound
	case stmtBreak:
		return leavesLoop
	case stmtIf:
		return f.condition(n, in)
	case stmtTry:
		return f.try(n, in)
	case stmtWith:
		return f.with(n, in)
	case stmtFor:
		e := n.exprs()
		return f.loop(e[0], f.eval(e[1], in), in, func() flow { return f.block(n.kids, in) })
	case stmtWhile, stmtMatch:
		f.guess(func() { f.cases(n, in) })
	case stmtFunctionDef:
		f.define(n, in)
	case stmtClassDef:
		f.class(n, in)
	default:
		for _, e := range n.exprs() {
			f.eval(e, in)
		}
	}
	return goesOn
}

// guess follows statements that may not run, or more than once.
func (f *finder) guess(follow func()) {
	f.guesses++
	follow()
	f.guesses--
}

func (f *finder) cases(n *node, in *scope) {
	f.block(n.kids, in)
	for _, c := range n.kids {
		if c.kind == partMatchCase {
			f.block(c.kids, in)
		}
	}
}

// condition follows the ways of an if that are possible.
func (f *finder) condition(n *node, in *scope) flow {
	known := f.eval(n.exprs()[0], in).truth()
	if known == yes {
		return f.block(n.kids, in)
	}
	if known == maybe {
		f.guess(func() { f.block(n.kids, in) })
	}
	sure := known == no // no way before this one is possible
	for _, c := range n.kids {
		if c.kind != partElifElseClause {
			continue
		}
		known = yes
		if e := c.exprs(); len(e) > 0 {
			known = f.eval(e[0], in).truth()
		}
		switch {
		case known == no:
			continue
		case known == yes && sure:
			return f.block(c.kids, in)
		}
		other := in.inner()
		f.guess(func() { f.block(c.kids, other) })
		in.keepNew(other)
		if known == yes {
			break
		}
		sure = false
	}
	return goesOn
}

// try follows the body; what handlers make counts only where the body does not.
func (f *finder) try(n *node, in *scope) flow {
	end := f.block(n.kids, in)
	for _, c := range n.kids {
		if c.kind == partExceptHandlerExceptHandler {
			other := in.inner()
			f.guess(func() { f.block(c.kids, other) })
			in.keepNew(other)
		}
	}
	return end
}

func (f *finder) with(n *node, in *scope) flow {
	dags, groups := len(f.context), len(f.groups)
	for _, c := range n.kids {
		if c.kind != partWithItem {
			continue
		}
		v := f.eval(c.kids[0], in)
		if len(c.kids) > 1 {
			f.assign(c.kids[1], v, in)
		}
		switch v.kind {
		case dagValue:
			f.context = append(f.context, v.dag)
		case groupValue:
			f.groups = append(f.groups, v.s)
		}
	}
	end := f.block(n.kids, in)
	f.context, f.groups = f.context[:dags], f.groups[:groups]
	return end
}

// loop follows a body for each element, or once where those are not known.
func (f *finder) loop(target *node, over *value, in *scope, body func() flow) flow {
	elements, known := over.elements()
	if !known {
		f.assign(target, &value{}, in)
		f.guess(func() { body() })
		return goesOn
	}
	for _, x := range elements {
		f.assign(target, x, in)
		switch body() {
		case leavesFunction:
			return leavesFunction
		case leavesLoop:
			return goesOn
		}
	}
	return goesOn
}
