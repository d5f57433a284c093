package pydag

import (
	"path/filepath"
	"strings"
)

// arguments evaluates the arguments of a call, each once.
func (f *finder) arguments(call *node, in *scope) args {
	var a args
	list := call.kid(partArguments)
	if list == nil {
		return a
	}
	for _, c := range list.kids {
		switch {
		case c.kind == exprStarred:
			parts, ok := f.eval(c.kids[0], in).elements()
			a.open = a.open || !ok || !f.spend(len(parts)/16)
			for _, p := range parts {
				a.at = append(a.at, arg{value: p, source: p.s})
			}
		case c.kind != partKeyword:
			a.at = append(a.at, arg{value: f.eval(c, in), source: f.brief(c)})
		case c.kid(partIdentifier) != nil:
			a.set(f.of(c.kid(partIdentifier)), arg{value: f.eval(c.last(), in), source: f.brief(c.last())})
		default: // **x
			x := f.eval(c.last(), in)
			a.open = a.open || x.kind != dict || !f.spend(len(x.keys)/16)
			for _, k := range x.keys {
				a.set(k, arg{value: x.named[k], source: x.named[k].s})
			}
		}
	}
	return a
}

// call follows a call. Receiver and arguments are evaluated here and nowhere else.
func (f *finder) call(n *node, in *scope) *value {
	callee := n.kids[0]
	var on, target *value
	name := ""
	switch callee.kind {
	case exprAttribute:
		name = f.of(callee.last())
		on = f.eval(callee.kids[0], in)
		target = f.attribute(on, name)
	case exprName:
		name = f.of(callee)
		target = in.get(name)
	default:
		target = f.eval(callee, in)
	}
	a := f.arguments(n, in)
	switch {
	case target == nil && name == "DAG":
		return f.newDAG(n, a, "dag_id")
	case target == nil:
		if v := f.builtin(name, a); v != nil {
			return v
		}
		return f.operator(n, name, "", a)
	case isFunction(target.kind):
		return f.apply(n, target, a)
	case target.kind == imported:
		return f.callImported(n, target.s, on, a)
	case target.kind == decorator && len(a.at) > 0 && isFunction(a.first().kind):
		return f.decorated(a.first(), target.s, target.with, a.first().def)
	}
	if on != nil {
		if v, done := f.method(n, callee, on, name, a); done {
			return v
		}
	}
	return f.operator(n, name, "", a)
}

// callImported follows a call of something imported, by its qualified name.
func (f *finder) callImported(n *node, q string, on *value, a args) *value {
	name := lastName(q)
	switch {
	case dagName.MatchString(q):
		return f.newDAG(n, a, "dag_id")
	case isDecorator(q):
		if len(a.at) > 0 && isFunction(a.first().kind) {
			return f.decorated(a.first(), q, args{}, a.first().def)
		}
		return &value{kind: decorator, s: q, with: a}
	case name == "TaskGroup":
		return f.group(a)
	case q == "pathlib.Path" && a.first().kind == path:
		return a.first()
	case q == "os.path.basename" && a.first().kind == path:
		return textValue(filepath.Base(a.first().s))
	case strings.HasPrefix(q, "os.path.") && a.first().kind == path && name != "join":
		if name == "dirname" {
			return &value{kind: path, s: filepath.Dir(a.first().s)}
		}
		return a.first()
	case name == "partial" && on != nil && isClass(lastName(on.s)):
		return &value{kind: partial, s: lastName(on.s), with: a}
	}
	return f.operator(n, name, q, a)
}

// method follows a call of a method on a value that is no import.
func (f *finder) method(n, callee *node, on *value, name string, a args) (*value, bool) {
	switch {
	case isFunction(on.kind):
		return f.functionMethod(n, on, name, a)
	case on.kind == partial && strings.HasPrefix(name, "expand"):
		f.addOperator(n, on.s, on.with)
		return &value{kind: taskValue}, true
	case on.kind == taskValue:
		return on, true
	case on.kind == unknown && name == "partial":
		return &value{kind: partial, s: lastName(f.brief(callee.kids[0])), with: a}, true
	case on.kind == text:
		return f.textMethod(on.s, name, a), true
	case on.kind == path && (name == "resolve" || name == "absolute"):
		return on, true
	case on.kind == list && name == "append" && len(a.at) == 1:
		on.items = append(on.items, a.first())
		return &value{}, true
	case on.kind == list && name == "extend":
		more, known := a.first().elements()
		if known && f.spend(len(more)/16) {
			on.items = append(on.items, more...)
		}
		return &value{}, true
	case on.kind == dict:
		return f.dictMethod(on, name, a), true
	}
	return nil, false
}

// functionMethod follows .override, .partial and .expand of a decorated function.
func (f *finder) functionMethod(n *node, on *value, name string, a args) (*value, bool) {
	switch name {
	case "override":
		next := *on
		next.with = on.with.merged(args{keys: a.keys, named: a.named, open: a.open})
		return &next, true
	case "partial":
		return on, true
	case "expand", "expand_kwargs", "as_setup", "as_teardown":
		return f.apply(n, on, a), true
	}
	return nil, false
}

func (f *finder) dictMethod(on *value, name string, a args) *value {
	switch name {
	case "items", "values", "keys":
		all := listValue(nil)
		for _, k := range on.keys {
			switch name {
			case "items":
				all.items = append(all.items, listValue([]*value{textValue(k), on.named[k]}))
			case "values":
				all.items = append(all.items, on.named[k])
			default:
				all.items = append(all.items, textValue(k))
			}
		}
		f.steps += len(on.keys) / 16
		return all
	case "get":
		if v := on.named[a.first().s]; v != nil && a.first().printable() {
			return v
		}
		if a.first().printable() && len(a.at) == 2 {
			return a.nth(1)
		}
	case "copy":
		return f.union(on, &value{})
	}
	return &value{}
}

// textMethods are those without arguments that change a text.
var textMethods = map[string]func(string) string{"lower": strings.ToLower, "upper": strings.ToUpper, "strip": strings.TrimSpace}

func (f *finder) textMethod(s, name string, a args) *value {
	change := textMethods[name]
	switch {
	case name == "format":
		if s, ok := format(s, a); ok && len(s) <= textMax && f.spend(len(s)/256) {
			return textValue(s)
		}
	case name == "join":
		return f.join(s, a.first())
	case change != nil && len(a.at) == 0:
		return textValue(change(s))
	case !a.first().isText():
	case name == "replace" && a.nth(1).isText() && len(a.at) == 2:
		if r := a.nth(1).s; len(s)*(len(r)+1) <= textMax && f.spend(len(s)/256) {
			return textValue(strings.ReplaceAll(s, a.first().s, r))
		}
	case name == "removesuffix":
		return textValue(strings.TrimSuffix(s, a.first().s))
	case name == "removeprefix":
		return textValue(strings.TrimPrefix(s, a.first().s))
	}
	return &value{}
}

func (f *finder) join(with string, v *value) *value {
	parts, known := v.elements()
	var all []string
	size := 0
	for _, p := range parts {
		known = known && p.kind == text
		all = append(all, p.s)
		size += len(p.s) + len(with)
	}
	if !known || size > textMax || !f.spend(size/256+len(parts)/16) {
		return &value{}
	}
	return textValue(strings.Join(all, with))
}
