package slipway

import (
	"slices"
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

// TestWipes: many lost DAG files need the name of the Deployment, which stands for the
// ticks about DAG files.
func TestWipes(t *testing.T) {
	names := func(n int) []string { return slices.Repeat([]string{"a.py"}, n) }
	stops := slices.Repeat([]StopDAG{{"a.py", StopIgnored}}, 5)
	for name, tt := range map[string]struct {
		p    Plan
		want bool
	}{
		"few":                 {Plan{RemovedDAGs: names(4), DAGs: DAGFiles{4, 0}, NoDAGs: true}, false},
		"all":                 {Plan{RemovedDAGs: names(5), DAGs: DAGFiles{5, 0}, NoDAGs: true}, true},
		"all but their files": {Plan{StoppedDAGs: stops, DAGs: DAGFiles{5, 0}, NoDAGs: true}, true},
		"half":                {Plan{RemovedDAGs: names(6), DAGs: DAGFiles{12, 6}}, true},
		"less than half":      {Plan{RemovedDAGs: names(5), DAGs: DAGFiles{12, 7}}, false},
		"moved":               {Plan{RemovedDAGs: names(12), DAGs: DAGFiles{12, 12}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := tt.p
			p.Deployment = "sales-prod"
			if p.Wipes() != tt.want {
				t.Fatalf("wipes: %t, want %t", p.Wipes(), tt.want)
			}
			if need := p.Ticks(); (need.Name == "sales-prod") != tt.want || tt.want && (need.RemoveDAGs || need.NoDAGs) {
				t.Errorf("ticks %+v", need)
			}
			if err := p.Check(Ticks{RemoveDAGs: true, NoDAGs: true, Name: "sales"}); (err != nil) != tt.want {
				t.Errorf("with ticks and another name: %v", err)
			}
			if err := p.Check(Ticks{RemoveDAGs: true, NoDAGs: true, Name: " sales-prod "}); err != nil {
				t.Errorf("with the name: %v", err)
			}
			if err := p.Check(p.Ticks()); err != nil {
				t.Errorf("over the API: %v", err)
			}
		})
	}
}

// TestImageDAGs: of mounted DAG files, those that the image does not have are lost.
func TestImageDAGs(t *testing.T) {
	mounted := []string{"a.py", "b.py", "z.zip"}
	const unknown = "The files in the dags folder of the image are not all known."
	for name, tt := range map[string]struct {
		in       []string
		all      bool
		lost     []string
		dags     DAGFiles
		none     bool
		unjudged string
	}{
		"the same":          {mounted, true, nil, DAGFiles{3, 3}, false, ""},
		"one is missing":    {[]string{"a.py", "x.sql", "z.zip"}, true, []string{"b.py"}, DAGFiles{3, 2}, false, ""},
		"others":            {[]string{"n.py"}, true, mounted, DAGFiles{3, 1}, false, ""},
		"no DAG":            {[]string{"x.sql"}, true, mounted, DAGFiles{3, 0}, true, ""},
		"not known":         {nil, false, nil, DAGFiles{3, 0}, false, unknown},
		"not all known":     {[]string{"a.py"}, false, nil, DAGFiles{3, 1}, false, unknown},
		"the known ones do": {append([]string{"more.py"}, mounted...), false, nil, DAGFiles{3, 4}, false, ""},
		"in another folder": {[]string{"old/a.py", "b.py", "z.zip"}, true, []string{"a.py"}, DAGFiles{3, 3}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := Plan{}.WithImageDAGs(mounted, tt.in, tt.all)
			if !slices.Equal(p.RemovedDAGs, tt.lost) || p.DAGs != tt.dags || p.NoDAGs != tt.none || p.Unjudged != tt.unjudged {
				t.Errorf("lost %q, %+v, none %v, unjudged %q", p.RemovedDAGs, p.DAGs, p.NoDAGs, p.Unjudged)
			}
		})
	}
}
