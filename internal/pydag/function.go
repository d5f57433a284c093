package pydag

import "strings"

// define follows a def: its decorators say what calling it makes.
func (f *finder) define(n *node, in *scope) {
	name := f.of(n.kid(partIdentifier))
	v := &value{kind: function, def: n, scope: in}
	for i := len(n.kids) - 1; i >= 0; i-- { // the nearest applies first
		if n.kids[i].kind != partDecorator {
			continue
		}
		d := f.eval(n.kids[i].kids[0], in)
		if d.kind == imported || d.kind == decorator {
			v = f.decorated(v, d.s, d.with, n)
		}
	}
	in.names[name] = v
}

// decorated returns what a decorator makes of a function.
func (f *finder) decorated(v *value, q string, with args, n *node) *value {
	next := *v
	next.with = with
	switch {
	case assetDec.MatchString(q):
		// A DAG with one task, both named after the function.
		name := f.of(v.def.kid(partIdentifier))
		id := arg{value: textValue(name), source: name}
		d := f.addDAG(n, id, with)
		f.addTask(d.dag, n, id, "@asset", "", false)
		return &value{kind: unknown}
	case dagDec.MatchString(q):
		next.kind = dagFunction
	case groupDec.MatchString(q):
		next.kind = groupFunction
	case taskDec.MatchString(q):
		if v.kind == taskFunction { // @setup over @task
			return v
		}
		next.kind = taskFunction
	default:
		return v
	}
	return &next
}

// apply calls a function of the module.
func (f *finder) apply(n *node, v *value, a args) *value {
	name := f.of(v.def.kid(partIdentifier))
	own := arg{value: textValue(name), source: name}
	if v.kind == taskFunction {
		id, ok := v.with.get("task_id", -1)
		if !ok {
			id = own
		}
		f.addTask(f.current(), n, id, "@task", f.prefix(), true)
		return &value{kind: taskValue}
	}
	if f.calls >= callsMax {
		return &value{}
	}
	dags, groups := len(f.context), len(f.groups)
	result := (*value)(nil)
	switch v.kind {
	case dagFunction:
		id, ok := v.with.get("dag_id", 0)
		if !ok {
			id = own
		}
		result = f.addDAG(v.def, id, v.with)
		f.context = append(f.context, result.dag)
	case groupFunction:
		f.groups = append(f.groups, f.groupPrefix(own, v.with))
		result = &value{kind: taskValue}
	}
	returned := f.run(v, a)
	f.context, f.groups = f.context[:dags], f.groups[:groups]
	if result != nil {
		return result
	}
	return returned
}

// run follows the body of a function and returns what it returns.
func (f *finder) run(v *value, a args) *value {
	around := f.returns
	f.returns = nil
	f.calls++
	in := v.scope.inner()
	f.bind(v, a, in)
	f.block(v.def.kids, in)
	f.calls--
	returned := f.returns
	f.returns = around
	return oneOf(returned)
}

// oneOf returns the value that a function with several returns may have: the only one,
// else a DAG among them.
func oneOf(returned []*value) *value {
	switch len(returned) {
	case 0:
		return &value{kind: none, s: "None"}
	case 1:
		return returned[0]
	}
	for _, v := range returned {
		if v.kind == dagValue {
			return v
		}
	}
	return &value{}
}

// bind gives the parameters of a function the arguments of a call.
func (f *finder) bind(v *value, a args, in *scope) {
	list := v.def.kid(partParameters)
	if list == nil {
		return
	}
	at, taken := 0, map[string]bool{}
	for _, p := range list.kids {
		stars := stars(f.source, list, p)
		id, defaults := p.kid(partIdentifier), (*node)(nil)
		if p.kind == partParameterWithDefault {
			id = p.kids[0].kid(partIdentifier)
			if len(p.kids) > 1 {
				defaults = p.kids[1]
			}
		}
		if id == nil {
			continue
		}
		name := f.of(id)
		taken[name] = true
		switch {
		case stars == 1:
			in.names[name] = rest(a, at)
			at = len(a.at)
		case stars == 2:
			in.names[name] = others(a, taken)
		default:
			in.names[name] = f.parameter(a, name, at, defaults, v.scope)
			at++
		}
	}
}

// parameter returns the value of a plain parameter.
func (f *finder) parameter(a args, name string, at int, defaults *node, outside *scope) *value {
	switch x, ok := a.get(name, at); {
	case ok:
		return x.value
	case a.open || defaults == nil:
		return &value{}
	}
	return f.eval(defaults, outside)
}

// stars returns how many stars stand before a parameter.
func stars(s source, list, p *node) int {
	before := strings.TrimRight(s.text[list.start:p.start], " \t\r\n")
	if p.kind == partParameter && strings.HasPrefix(s.of(p), "*") {
		return strings.Count(s.of(p)[:min(2, len(s.of(p)))], "*")
	}
	return len(before) - len(strings.TrimRight(before, "*"))
}

func rest(a args, from int) *value {
	if a.open {
		return &value{}
	}
	all := listValue(nil)
	for i := from; i < len(a.at); i++ {
		all.items = append(all.items, a.at[i].value)
	}
	return all
}

func others(a args, taken map[string]bool) *value {
	if a.open {
		return &value{}
	}
	d := &value{kind: dict}
	for _, k := range a.keys {
		if !taken[k] {
			d.set(k, a.named[k].value)
		}
	}
	return d
}
