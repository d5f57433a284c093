package pydag

// rangeMax is how long a range may be to be followed.
const rangeMax = 500

// builtin returns the value of a call of one of Python's own functions, or nil for a
// name that is none of those known here.
func (f *finder) builtin(name string, a args) *value {
	for _, x := range a.at {
		if !f.spend((len(x.items) + len(x.keys)) / 16) {
			return &value{}
		}
	}
	switch name {
	case "range":
		return rangeOf(a)
	case "str":
		if a.first().printable() {
			return textValue(a.first().s)
		}
		return &value{}
	case "list", "tuple", "set", "sorted", "reversed", "frozenset":
		if v, known := a.first().elements(); known && (name == "list" || name == "tuple" || name == "set") {
			return listValue(append([]*value(nil), v...))
		}
		if v, known := a.first().elements(); known {
			return listValue(v) // in another order, which makes the same DAGs
		}
		return &value{}
	case "enumerate":
		return enumerate(a)
	case "zip":
		return zip(a)
	case "dict":
		return dictFrom(a)
	case "len":
		if v, known := a.first().elements(); known {
			return numberValue(len(v))
		}
		return &value{}
	case "print", "globals", "locals", "isinstance", "getattr", "setattr", "open", "int", "float", "bool", "super", "type", "next", "iter", "map", "filter", "sum", "min", "max", "any", "all":
		return &value{}
	}
	return nil
}

func rangeOf(a args) *value {
	from, to, ok := 0, 0, len(a.at) > 0 && len(a.at) < 3
	switch len(a.at) {
	case 1:
		to, ok = a.at[0].int()
	case 2:
		var okTo bool
		from, ok = a.at[0].int()
		to, okTo = a.at[1].int()
		ok = ok && okTo
	}
	if !ok || to-from > rangeMax {
		return &value{}
	}
	all := listValue(nil)
	for i := from; i < to; i++ {
		all.items = append(all.items, numberValue(i))
	}
	return all
}

func enumerate(a args) *value {
	v, known := a.first().elements()
	start := 0
	if s, ok := a.get("start", 1); ok {
		n, isInt := s.int()
		start, known = n, known && isInt
	}
	if !known {
		return &value{}
	}
	all := listValue(nil)
	for i, x := range v {
		all.items = append(all.items, listValue([]*value{numberValue(i + start), x}))
	}
	return all
}

func zip(a args) *value {
	all := listValue(nil)
	for i := 0; len(a.at) > 0; i++ {
		row := listValue(nil)
		for _, x := range a.at {
			v, known := x.elements()
			if !known {
				return &value{}
			}
			if i >= len(v) {
				return all
			}
			row.items = append(row.items, v[i])
		}
		all.items = append(all.items, row)
	}
	return all
}

func dictFrom(a args) *value {
	d := &value{kind: dict}
	if a.open || len(a.at) > 1 || len(a.at) == 1 && a.first().kind != dict {
		return &value{}
	}
	for _, k := range a.first().keys {
		d.set(k, a.first().named[k])
	}
	for _, k := range a.keys {
		d.set(k, a.named[k].value)
	}
	return d
}
