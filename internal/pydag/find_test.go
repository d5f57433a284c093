package pydag

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// listed writes DAGs and their tasks: "id(task task+)", "?" for dynamic, "+" for more
// tasks, "!" for conditional.
func listed(dags []DAG) string {
	var all []string
	for _, d := range dags {
		var tasks []string
		for _, t := range d.Tasks {
			tasks = append(tasks, t.ID)
		}
		s := d.ID + "(" + strings.Join(tasks, " ")
		if d.MoreTasks {
			s += "+"
		}
		s += ")"
		if d.Dynamic {
			s = "?" + s
		}
		if d.Conditional {
			s = "!" + s
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

const sdk = "from airflow.sdk import DAG, dag, task, task_group, TaskGroup, asset\n"

func TestFindDAGs(t *testing.T) {
	r := opened(t, 1)
	for name, tt := range map[string]struct {
		text, want string
		notes      int
	}{
		"with":                  {text: sdk + "with DAG('a', schedule='@daily') as d:\n  BashOperator(task_id='x')\n", want: "a(x)"},
		"dag=":                  {text: sdk + "d = DAG(dag_id='a')\nBashOperator(task_id='x', dag=d)\n", want: "a(x)"},
		"decorator":             {text: sdk + "@dag\ndef a():\n  @task\n  def x(): ...\n  x()\na()\n", want: "a(x)"},
		"decorator, not called": {text: sdk + "@dag\ndef a(): ...\n", want: ""},
		"decorator with id":     {text: sdk + "@dag(dag_id='b')\ndef a(): ...\na()\n", want: "b()"},
		"asset":                 {text: sdk + "@asset(schedule=None)\ndef raw(): ...\n", want: "raw(raw)"},
		"loop":                  {text: sdk + "for c in ['de', 'fr']:\n  with DAG(f'sales_{c}'): ...\n", want: "sales_de() sales_fr()"},
		"loop with continue":    {text: sdk + "for c in ['de', 'fr']:\n  if c == 'de': continue\n  DAG(f'sales_{c}')\n", want: "sales_fr()"},
		"factory":               {text: sdk + "def make(n, *, p='x'):\n  return DAG(p + '_' + n)\nmake('a')\nmake('b', p='y')\n", want: "x_a() y_b()"},
		"factory with stars":    {text: sdk + "def make(*a, **k):\n  return DAG(*a, **k)\nmake('a', schedule=None)\n", want: "a()"},
		"file name":             {text: sdk + "from pathlib import Path\nDAG(Path(__file__).stem)\n", want: "sales_daily()"},
		"groups":                {text: sdk + "with DAG('a'):\n  with TaskGroup('g'):\n    with TaskGroup('h'):\n      AOperator(task_id='x')\n", want: "a(g.h.x)"},
		"task group twice":      {text: sdk + "with DAG('a'):\n  @task\n  def x(): ...\n  @task_group\n  def g(): x()\n  g()\n  g()\n", want: "a(g.x g__1.x)"},
		"task twice":            {text: sdk + "with DAG('a'):\n  @task\n  def x(): ...\n  x()\n  x()\n", want: "a(x x__1)"},
		"override":              {text: sdk + "with DAG('a'):\n  @task\n  def x(): ...\n  x.override(task_id='y')()\n", want: "a(y)"},
		"inner call once":       {text: sdk + "with DAG('a'):\n  @task\n  def days(): ...\n  @task\n  def turnover(day): ...\n  @task\n  def report(t): ...\n  report(turnover.expand(day=days()))\n", want: "a(days turnover report)"},
		"partial":               {text: sdk + "with DAG('a'):\n  BashOperator.partial(task_id='x').expand(b=[1])\n", want: "a(x)"},
		"imported partial":      {text: sdk + "from airflow.providers.standard.operators.bash import BashOperator\nwith DAG('a'):\n  BashOperator.partial(task_id='x').expand(b=[1])\n", want: "a(x)"},
		"imported task":         {text: sdk + "from shop.steps import load\nwith DAG('a'):\n  load()\n", want: "a(+)"},
		"id of environment":     {text: sdk + "import os\nDAG(os.environ['X'])\n", want: "?os.environ['X']()", notes: 1},
		"if":                    {text: sdk + "import os\nif os.getenv('X'):\n  DAG('a')\nelse:\n  DAG('b')\n", want: "!a() !b()", notes: 2},
		"main":                  {text: sdk + "if __name__ == '__main__':\n  DAG('a')\n", want: ""},
		"lambda":                {text: sdk + "make = lambda n: DAG(n)\nmake('a')\n", want: "", notes: 1},
		"method":                {text: sdk + "class F:\n  def make(self): return DAG('a')\nF().make()\n", want: "", notes: 1},
		"function passed on":    {text: sdk + "def make(n): return DAG(n)\nlist(map(make, ['a']))\n", want: "", notes: 1},
		"function of a helper":  {text: sdk + "def make(n): return DAG(n)\n", want: ""},
		"Airflow 2":             {text: "from airflow.models.dag import DAG\nimport airflow\nDAG('a')\nairflow.DAG('b')\n", want: "a() b()"},
		"no DAG":                {text: "class A: pass\nA('a')\n", want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := read(t, r, tt.text)
			if got := listed(f.DAGs); got != tt.want || len(f.Notes) != tt.notes || len(f.Errors) != 0 {
				t.Errorf("DAGs %q, notes %v, errors %v; want %q and %d notes", got, f.Notes, f.Errors, tt.want, tt.notes)
			}
		})
	}
}

func TestFactsOfADAG(t *testing.T) {
	f := read(t, opened(t, 1), sdk+"from datetime import timedelta\nwith DAG('a', schedule=timedelta(days=1), tags=['x', 'y'], default_args={'owner': 'ines'}):\n  AOperator(task_id='t')\n")
	want := []DAG{{ID: "a", Schedule: "timedelta(days=1)", Tags: []string{"x", "y"}, Owner: "ines", Line: 3, Tasks: []Task{{ID: "t", Operator: "AOperator", Line: 4}}}}
	if diff := cmp.Diff(want, f.DAGs); diff != "" {
		t.Error(diff)
	}
}

func TestImports(t *testing.T) {
	f := read(t, opened(t, 1), "import os, a.b as c\nfrom . import x\nfrom ..p.q import y as z, w\ntry:\n  from s import *\nexcept ImportError: pass\n")
	want := []Import{
		{Module: "os", Line: 1}, {Module: "a.b", Line: 1}, {Names: []string{"x"}, Level: 1, Line: 2},
		{Module: "p.q", Names: []string{"y", "w"}, Level: 2, Line: 3}, {Module: "s", Names: []string{"*"}, Line: 5, Optional: true},
	}
	if diff := cmp.Diff(want, f.Imports); diff != "" {
		t.Error(diff)
	}
}
