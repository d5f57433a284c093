package pydag

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// bag is a program for Airflow's Python that prints, for each example DAG file that it
// can load, the ids of its DAGs.
const bag = `
import json, os, sys
from airflow.dag_processing.dagbag import DagBag
import airflow.example_dags, airflow.providers.standard as standard
folders = [os.path.dirname(airflow.example_dags.__file__), os.path.join(list(standard.__path__)[0], "example_dags")]
found = {}
for folder in folders:
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            path = os.path.join(folder, name)
            b = DagBag(path)
            if not b.import_errors:
                found[path] = sorted(b.dags)
print("FOUND " + json.dumps(found))
`

// Every DAG whose id is constant is found under the id that Airflow gives it, no other,
// and no file that Airflow loads is called broken.
func TestExamplesOfAirflow(t *testing.T) {
	if os.Getenv("SLIPWAY_AIRFLOW") == "" {
		t.Skip("compares with an installed Airflow: SLIPWAY_AIRFLOW=1, after scripts/airflow-deps.sh")
	}
	python, err := filepath.Abs("../../.cache/airflow3/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", bag)
	cmd.Env = append(os.Environ(), "AIRFLOW_HOME="+t.TempDir(), "AIRFLOW__CORE__LOAD_EXAMPLES=False", "AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ask Airflow: %v\n%s", err, out)
	}
	var real map[string][]string
	for line := range strings.Lines(string(out)) {
		if text, ok := strings.CutPrefix(line, "FOUND "); ok {
			if err := json.Unmarshal([]byte(text), &real); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(real) < 40 {
		t.Fatalf("Airflow loaded %d files, want 40 and more:\n%s", len(real), out)
	}
	compareWithAirflow(t, real)
}

func compareWithAirflow(t *testing.T, real map[string][]string) {
	r, n := opened(t, 2), 0
	for path, want := range real {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := r.Read(context.Background(), path, b, 11)
		if err != nil || len(f.Errors) > 0 {
			t.Errorf("%s: %v %v, want no error", path, f.Errors, err)
		}
		var got []string
		for _, d := range f.DAGs {
			if d.Static() {
				got = append(got, d.ID)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: DAGs %q, Airflow has %q", path, got, want)
		}
		for _, id := range got {
			if !slices.Contains(want, id) {
				t.Errorf("%s: DAG %q, which Airflow does not have", path, id)
			}
		}
		n += len(got)
	}
	t.Logf("%d files, %d DAGs", len(real), n)
}
