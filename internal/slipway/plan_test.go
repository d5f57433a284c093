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
		"hidden":  {p: Plan{RemovedDAGs: []string{"a\u200b.py"}, Bidi: []string{"b\u200b.py"}}, want: "It removes the DAG file a⟨ZWSP⟩.py. Changed lines hold bidirectional controls, which can make code look like other code: b⟨ZWSP⟩.py."},
		"invisible": {
			p:    Plan{Invisible: []string{"a\u200b.py", "\u2800"}},
			want: "Names of new files have characters that nobody sees, which can make one file look like another: a⟨ZWSP⟩.py, ⟨U+2800⟩.",
		},
		"two":     {p: Plan{RemovedDAGs: []string{"a.py", "b.py"}}, want: "It removes 2 DAG files: a.py, b.py."},
		"many":    {p: Plan{RemovedDAGs: many}, want: "It removes 12 DAG files: " + strings.Repeat("a.py, ", 9) + "a.py and 2 more."},
		"all":     {p: Plan{RemovedDAGs: []string{"a.py"}, NoDAGs: true}, want: "It removes the DAG file a.py. It leaves Airflow without a single DAG file."},
		"emptied": {p: Plan{StoppedDAGs: []StopDAG{{"a.py", StopEmpty}}}, want: "Airflow no longer loads the DAG file a.py: it is empty."},
		"stopped": {
			p: Plan{RemovedDAGs: []string{"d.py"}, StoppedDAGs: []StopDAG{{"a.py", StopDangling}, {"b.py", StopIgnored}, {"c.py", StopPointer}}, Pointers: []string{"c.py"}},
			want: "It removes the DAG file d.py. Airflow no longer loads 3 DAG files: a.py (a link to nothing), b.py (named by .airflowignore), c.py (a Git LFS pointer). " +
				`The file c.py is a Git LFS pointer, not the file itself: run "git lfs pull" before packing.`,
		},
		"unjudged": {p: Plan{Unjudged: "It is long."}, want: "Slipway cannot tell which DAG files Airflow stops loading. It is long."},
		"pointers": {p: Plan{Pointers: []string{"a", "b"}}, want: `2 files are Git LFS pointers, not the files themselves: a, b. Run "git lfs pull" before packing.`},
	} {
		if got := tt.p.Warning(); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
