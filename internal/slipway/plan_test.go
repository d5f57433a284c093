package slipway

import (
	"strings"
	"testing"
)

func TestWarning(t *testing.T) {
	many := strings.Split(strings.Repeat("a.py ", 12), " ")[:12]
	for name, tt := range map[string]struct {
		p    Plan
		want string
	}{
		"nothing": {},
		"one":     {p: Plan{RemovedDAGs: []string{"a.py"}}, want: "It removes the DAG file a.py."},
		"two":     {p: Plan{RemovedDAGs: []string{"a.py", "b.py"}}, want: "It removes 2 DAG files: a.py, b.py."},
		"many":    {p: Plan{RemovedDAGs: many}, want: "It removes 12 DAG files: " + strings.Repeat("a.py, ", 9) + "a.py and 2 more."},
		"all":     {p: Plan{RemovedDAGs: []string{"a.py"}, NoDAGs: true}, want: "It removes the DAG file a.py. It leaves Airflow without a single DAG file."},
	} {
		if got := tt.p.Warning(); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
