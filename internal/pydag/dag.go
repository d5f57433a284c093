package pydag

import (
	"fmt"
	"strings"
)

// newDAG follows a call of DAG or its like.
func (f *finder) newDAG(n *node, a args, idName string) *value {
	id, ok := a.get(idName, 0)
	if !ok {
		id = arg{value: &value{}, source: f.brief(n)}
	}
	return f.addDAG(n, id, a)
}

// addDAG records a DAG that is made at n.
func (f *finder) addDAG(n *node, id arg, a args) *value {
	f.made[n] = true
	d := &dagState{tasks: map[string]int{}, groups: map[string]int{}}
	d.DAG = DAG{ID: id.s, Line: f.line(int(n.start)), Conditional: f.guesses > 0, Schedule: schedule(a), Owner: owner(a)}
	if id.kind != text {
		d.ID, d.Dynamic = id.source, true
		f.note(n, "The id of this DAG is known only when the file runs: %s.", shorten(id.source, 80))
	}
	if f.guesses > 0 && !d.Dynamic {
		f.note(n, "Whether DAG %s is made is known only when the file runs.", shorten(d.ID, 80))
	}
	if tags, ok := a.get("tags", -1); ok {
		elements, _ := tags.elements()
		for _, t := range elements {
			if t.kind == text {
				d.Tags = append(d.Tags, t.s)
			}
		}
	}
	f.dags = append(f.dags, d)
	f.byDAG[&d.DAG] = d
	return &value{kind: dagValue, dag: &d.DAG}
}

// schedule returns the schedule among the arguments of a DAG.
func schedule(a args) string {
	for _, name := range []string{"schedule", "schedule_interval", "timetable"} {
		x, ok := a.get(name, -1)
		switch {
		case !ok:
		case x.printable() || x.kind == none:
			return x.s
		default:
			return x.source
		}
	}
	return ""
}

func owner(a args) string {
	if x, ok := a.get("default_args", -1); ok && x.kind == dict && x.named["owner"].isText() {
		return x.named["owner"].s
	}
	return ""
}

// current returns the DAG that tasks go to here, or nil.
func (f *finder) current() *DAG {
	if len(f.context) == 0 {
		return nil
	}
	return f.context[len(f.context)-1]
}

// prefix returns the prefix of task ids here.
func (f *finder) prefix() string {
	if len(f.groups) == 0 {
		return ""
	}
	return f.groups[len(f.groups)-1]
}

// group follows a call of TaskGroup.
func (f *finder) group(a args) *value {
	id, ok := a.get("group_id", 0)
	if !ok {
		id = arg{value: &value{}}
	}
	return &value{kind: groupValue, s: f.prefixOf(id, a, false)}
}

// groupPrefix returns the prefix that a @task_group gives to its tasks. Calling it
// again makes another group: name__1.
func (f *finder) groupPrefix(own arg, a args) string {
	id, ok := a.get("group_id", 0)
	if !ok {
		id = own
	}
	return f.prefixOf(id, a, true)
}

func (f *finder) prefixOf(id arg, a args, numbered bool) string {
	full := f.prefix() + id.s
	if x, ok := a.get("prefix_group_id", -1); ok && x.value.is("False") {
		return f.prefix()
	}
	if id.kind != text {
		return f.prefix() + "?."
	}
	if d := f.byDAG[f.current()]; d != nil && numbered {
		times := d.groups[full]
		d.groups[full]++
		if times > 0 {
			full = fmt.Sprintf("%s__%d", full, times)
		}
	}
	return shorten(full, 1000) + "."
}

// operator follows a call of something that may be an operator: a class that is given
// a task_id. Anything else imported from outside may make tasks that are not known.
func (f *finder) operator(n *node, name, q string, a args) *value {
	_, has := a.get("task_id", -1)
	switch {
	case isClass(name) && has, has && operator.MatchString(name), a.open && operator.MatchString(name):
		f.addOperator(n, name, a)
		return &value{kind: taskValue}
	case mayMakeTasks(q) && f.current() != nil:
		f.current().MoreTasks = true
	}
	return &value{}
}

// addOperator records a task made by an operator.
func (f *finder) addOperator(n *node, name string, a args) {
	to := f.current()
	if x, ok := a.get("dag", -1); ok && x.kind == dagValue {
		to = x.dag
	}
	prefix := f.prefix()
	if x, ok := a.get("task_group", -1); ok && x.kind == groupValue {
		prefix = x.s
	}
	id, ok := a.get("task_id", -1)
	if !ok {
		id = arg{value: &value{}, source: "**kwargs"}
	}
	f.addTask(to, n, id, name, prefix, false)
}

// addTask records a task. Decorated functions called again get a number: name__1.
func (f *finder) addTask(to *DAG, n *node, id arg, by, prefix string, numbered bool) {
	d := f.byDAG[to]
	if d == nil {
		return
	}
	t := Task{ID: prefix + id.s, Operator: by, Line: f.line(int(n.start))}
	if id.kind != text || strings.Contains(prefix, "?.") {
		t.Dynamic, d.MoreTasks = true, true
		t.ID = prefix + id.source
	} else {
		times := d.tasks[t.ID]
		d.tasks[t.ID]++
		switch {
		case times > 0 && !numbered:
			return // Airflow refuses a second task of one id
		case times > 0:
			t.ID = fmt.Sprintf("%s__%d", t.ID, times)
		}
	}
	if f.guesses > 0 && len(f.context) > 0 && !d.Conditional {
		d.MoreTasks = true
	}
	d.Tasks = append(d.Tasks, t)
}
