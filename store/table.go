package store

import (
	"strings"
)

// table lists the columns of a table, each once, with the column's field in T.
type table[T any] struct {
	name    string
	alias   string // in queries
	columns []column[T]
}

// column is a column and the address of its field: a pointer, or a millis or
// jsonText around one, to scan into and to read from.
type column[T any] struct {
	name  string
	part  part
	field func(*T) any
}

// part groups the columns by the update that writes a column.
type part int

const (
	fixed    part = iota // written by the insert alone
	progress             // of a deploy
	settings             // of a Deployment, edited by people
	desired              // state of a Deployment
)

// selected returns the columns for a SELECT, in order.
func (t table[T]) selected() string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = t.alias + "." + c.name
	}
	return strings.Join(names, ", ")
}

// fields returns the fields of v in the order of selected.
func (t table[T]) fields(v *T) []any {
	all := make([]any, len(t.columns))
	for i, c := range t.columns {
		all[i] = c.field(v)
	}
	return all
}

// scan reads a row of selected columns.
func (t table[T]) scan(r row) (v T, err error) {
	err = r.Scan(t.fields(&v)...)
	return v, err
}

// insert returns an INSERT of all columns, with the values of v.
func (t table[T]) insert(v *T) (query string, values []any) {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return "INSERT INTO " + t.name + " (" + strings.Join(names, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(names)-1) + ")", t.fields(v)
}

// update returns the SET list of an UPDATE of a part's columns, with the values
// of v.
func (t table[T]) update(p part, v *T) (set string, values []any) {
	var names []string
	for _, c := range t.columns {
		if c.part == p {
			names = append(names, c.name+" = ?")
			values = append(values, c.field(v))
		}
	}
	return strings.Join(names, ", "), values
}
