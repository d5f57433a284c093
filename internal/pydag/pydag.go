// Package pydag reads Python files without running them: syntax errors, imports,
// and the DAGs that Airflow would find in them.
//
// Syntax is judged by Ruff's parser, compiled to WebAssembly (see ruff/build.sh) and
// run in a sandbox, so that no file can crash, stall or fill the process. DAGs are
// found by following the module as far as its values are constant. A File says where
// that ended: the DAGs are then at least these.
package pydag

import "slipway/internal/slipway"

// Limits of one file. Python itself refuses more than BracketsMax open brackets.
const (
	SizeMax     = 1 << 20 // bytes
	BracketsMax = 200     // open at one place
)

// File is what one Python file says.
type File struct {
	Path     string // as it was given to Read
	Encoding string // "utf-8", or the name in the file's coding comment, in lower case
	Errors   []SyntaxError
	Imports  []Import
	DAGs     []DAG  // in the order in which they are made
	Notes    []Note // by line; with any, the DAGs are at least these
}

// SyntaxError is why Python would not compile the file. There is usually one; Python
// stops at the first, too.
type SyntaxError struct {
	Line    int    // from 1
	Column  int    // in characters, from 1
	Text    string // a sentence without a full stop, as Python's own
	Excerpt string // the line, at most 200 characters around the column
}

// Import is one import statement, or one module of "import a, b".
type Import struct {
	Module   string   // "a.b", without leading dots; may be empty with a Level
	Names    []string // of "from a import b, c"; "*" for all
	Level    int      // leading dots: 0 for an absolute import
	Line     int
	Optional bool // in a function, a try or an if: the file may load without the module
}

// DAG is a DAG that the file makes when Airflow loads it.
type DAG struct {
	ID          string // the source text of the id where Dynamic
	Dynamic     bool   // the id is known only when the file runs
	Conditional bool   // made under a condition that is known only when the file runs
	Schedule    string // a constant's value ("@daily"), else source text; empty for none given
	Tags        []string
	Owner       string // of default_args
	Tasks       []Task // in the order in which they are made
	MoreTasks   bool   // the tasks are at least these
	Line        int
}

// Static reports whether Airflow surely lists the DAG under its ID.
func (d DAG) Static() bool { return !d.Dynamic && !d.Conditional }

// Task is a task of a DAG.
type Task struct {
	ID       string // with the prefixes of its groups; source text where Dynamic
	Dynamic  bool
	Operator string // the operator's name, "@task" or "@asset"
	Line     int
}

// Note is a place where the file makes, or may make, DAGs that cannot be named.
type Note struct {
	Line int
	Text string // a sentence with a full stop
}

// tooLarge refuses a file of n bytes.
func tooLarge(path string, n int) error {
	return slipway.Errorf(slipway.TooLarge, "%s has %.1f MB. Python files of more than 1 MB are not read.", path, float64(n)/(1<<20))
}
