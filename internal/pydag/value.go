package pydag

import (
	"strconv"
	"strings"
)

type valueKind uint8

const (
	unknown       valueKind = iota
	text                    // s is the string
	number                  // s is its text
	boolean                 // s is True or False
	none                    //
	list                    // items: of a list, tuple or set
	dict                    // keys and items by key
	path                    // s is a file path
	imported                // s is the qualified name
	function                // def: any function
	dagFunction             // def: decorated with @dag
	taskFunction            // def: decorated with @task
	groupFunction           // def: decorated with @task_group
	decorator               // s is its qualified name, with arguments: @task.branch(task_id="a")
	partial                 // s is the operator's name: Operator.partial(task_id="a")
	dagValue                // dag
	groupValue              // prefix in s
	taskValue               //
)

// value is a value of the module as far as it is known.
type value struct {
	kind  valueKind
	s     string
	items []*value
	keys  []string
	named map[string]*value
	def   *node
	scope *scope // of def: where it was defined
	with  args   // of a decorated function, a decorator, a partial
	dag   *DAG
}

func textValue(s string) *value   { return &value{kind: text, s: s} }
func listValue(v []*value) *value { return &value{kind: list, items: v} }
func numberValue(n int) *value    { return &value{kind: number, s: strconv.Itoa(n)} }
func isFunction(k valueKind) bool { return k >= function && k <= groupFunction }
func (v *value) isText() bool     { return v != nil && v.kind == text }
func (v *value) is(s string) bool { return v != nil && v.kind == boolean && v.s == s }
func (v *value) printable() bool  { return v.kind == text || v.kind == number || v.kind == boolean }
func (v *value) int() (int, bool) {
	n, err := strconv.Atoi(v.s)
	return n, v.kind == number && err == nil
}

func boolValue(b bool) *value {
	if b {
		return &value{kind: boolean, s: "True"}
	}
	return &value{kind: boolean, s: "False"}
}

// truth is what a condition is known to be.
type truth uint8

const (
	maybe truth = iota
	yes
	no
)

func (v *value) truth() truth {
	var is bool
	switch v.kind {
	case boolean:
		is = v.s == "True"
	case none:
	case text:
		is = v.s != ""
	case list, dict:
		is = len(v.items)+len(v.keys) > 0
	default:
		return maybe
	}
	if is {
		return yes
	}
	return no
}

// set sets an item of a dict.
func (v *value) set(key string, x *value) {
	if v.named == nil {
		v.named = map[string]*value{}
	}
	if _, has := v.named[key]; !has {
		v.keys = append(v.keys, key)
	}
	v.named[key] = x
}

// elements returns what a loop over v goes through, and whether that is known.
func (v *value) elements() ([]*value, bool) {
	switch v.kind {
	case list:
		return v.items, true
	case dict:
		var all []*value
		for _, k := range v.keys {
			all = append(all, textValue(k))
		}
		return all, true
	}
	return nil, false
}

// arg is an argument of a call: its value and its source text.
type arg struct {
	*value
	source string
}

// args are the arguments of a call.
type args struct {
	at    []arg
	keys  []string // names in order
	named map[string]arg
	open  bool // with *x or **x of unknown content
}

func (a *args) set(name string, x arg) {
	if a.named == nil {
		a.named = map[string]arg{}
	}
	if _, has := a.named[name]; !has {
		a.keys = append(a.keys, name)
	}
	a.named[name] = x
}

// get returns the argument of a name, or at a position; -1 for none.
func (a *args) get(name string, at int) (arg, bool) {
	if x, ok := a.named[name]; ok {
		return x, true
	}
	if at >= 0 && at < len(a.at) {
		return a.at[at], true
	}
	return arg{}, false
}

// first returns the value of the first argument, or an unknown one.
func (a *args) first() *value { return a.nth(0) }

func (a *args) nth(i int) *value {
	if i < len(a.at) {
		return a.at[i].value
	}
	return &value{}
}

// merged returns a with the named arguments of b over its own.
func (a args) merged(b args) args {
	m := args{at: a.at, open: a.open || b.open}
	for _, from := range []args{a, b} {
		for _, k := range from.keys {
			m.set(k, from.named[k])
		}
	}
	if len(b.at) > 0 {
		m.at = b.at
	}
	return m
}

// scope holds the names of a module or of a function.
type scope struct {
	names map[string]*value
	up    *scope
}

func (s *scope) inner() *scope { return &scope{names: map[string]*value{}, up: s} }

// get returns the value of a name, or nil.
func (s *scope) get(name string) *value {
	for ; s != nil; s = s.up {
		if v, ok := s.names[name]; ok {
			return v
		}
	}
	return nil
}

// keepNew takes the names of other that s does not have yet.
func (s *scope) keepNew(other *scope) {
	for k, v := range other.names {
		if _, has := s.names[k]; !has {
			s.names[k] = v
		}
	}
}

// lastName returns the part of a qualified name after the last dot.
func lastName(q string) string { return q[strings.LastIndexByte(q, '.')+1:] }
