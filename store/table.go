package store

import (
	"cmp"
	"strings"

	"slipway/internal/slipway"
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

// Listing is the wanted part of a list, for all lists: it is found, ordered, cut
// and counted in SQL.
type Listing struct {
	Search        string // a part of any searched column, in any case; "" for all
	Sorts         []Sort // the first one decides; none for the usual order
	Limit, Offset int
}

// Sort is an order of a list by a field.
type Sort struct {
	Field string // one that the list has; others are ignored
	Down  bool
}

// conditions collects the conditions of a query, with arguments.
type conditions struct {
	parts   []string
	args    []any
	counted string // FROM of the count, where the conditions need less than the rows; "" for the same
}

func (c *conditions) add(part string, args ...any) {
	c.parts = append(c.parts, part)
	c.args = append(c.args, args...)
}

// among adds that an expression is one of values, unless there are none.
func (c *conditions) among(expression string, values []string) {
	if len(values) > 0 {
		c.add(expression+" IN (SELECT value FROM json_each(?))", asJSON(values))
	}
}

// search adds that one of the columns has a text, in any case. LIKE alone knows the
// case of ASCII letters only.
func (c *conditions) search(text string, columns ...string) {
	if text == "" {
		return
	}
	var parts []string
	var args []any
	for _, column := range columns {
		parts = append(parts, `small(`+column+`) LIKE ? ESCAPE '\'`)
		args = append(args, "%"+likeSigns.Replace(strings.ToLower(text))+"%")
	}
	c.add("("+strings.Join(parts, " OR ")+")", args...)
}

// where returns the WHERE of a query, "" for no condition.
func (c *conditions) where() string {
	if len(c.parts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.parts, " AND ")
}

// order returns the ORDER BY of l: its sorts by the columns of their fields,
// before the usual order.
func (l Listing) order(columns map[string]string, usual string) string {
	var by []string
	for _, s := range l.Sorts {
		column, known := columns[s.Field]
		if known && s.Down {
			column += " DESC"
		}
		if known {
			by = append(by, column)
		}
	}
	return " ORDER BY " + strings.Join(append(by, usual), ", ")
}

// listed returns the part of a list, and the number of all that match. from
// begins with FROM.
func listed[T any](tx *Tx, what string, scan func(row) (T, error), columns, from string, c conditions, order string, l Listing) ([]T, int, error) {
	counted := cmp.Or(c.counted, from)
	total, err := tx.count(what, "SELECT COUNT(*) "+counted+c.where(), c.args...)
	if err != nil || l.Offset >= total {
		return nil, total, err
	}
	page, err := list(tx, what, scan, "SELECT "+columns+" "+from+c.where()+order+" LIMIT ? OFFSET ?", append(c.args, l.Limit, l.Offset)...)
	return page, total, err
}

// Reach is a Workspace that an actor sees, or one Deployment in it.
type Reach struct {
	Workspace  slipway.WorkspaceID
	Deployment slipway.DeploymentID // of a token for one; "" for the whole Workspace
	Role       slipway.Role
}

// Reaches returns what by sees; everything is true for an admin of the
// Organization, who sees all Workspaces.
func (tx *Tx) Reaches(by slipway.Actor) (all []Reach, everything bool, err error) {
	scan := func(r row) (one Reach, err error) {
		err = r.Scan(&one.Workspace, &one.Deployment, &one.Role)
		return one, err
	}
	if by.Token != "" {
		all, err = list(tx, "reach of a token", scan, `SELECT t.workspace, COALESCE(t.deployment, ''), t.role FROM tokens t WHERE `+tokenWorks, tx.worksArgs(by)...)
		return all, false, err
	}
	admins, err := tx.count("reach of an admin", `SELECT COUNT(*) FROM users WHERE id = ? AND admin AND disabled_at = 0`, by.User)
	if err != nil || admins > 0 {
		return nil, admins > 0, err
	}
	all, err = list(tx, "reach of a person", scan, `
		SELECT m.workspace, '', m.role FROM members m JOIN users u ON u.id = m.user WHERE m.user = ? AND u.disabled_at = 0`, by.User)
	return all, false, err
}

// within adds that a row is in one of the Workspaces of all. One alone is
// compared by itself, so that an index has the rows in order.
func (c *conditions) within(column string, all []Reach) {
	if len(all) == 1 {
		c.add(column+" = ?", all[0].Workspace)
		return
	}
	names := []string{}
	for _, r := range all {
		names = append(names, string(r.Workspace))
	}
	c.add(column+" IN (SELECT value FROM json_each(?))", asJSON(names))
}
