package slipway

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestReportCheck(t *testing.T) {
	const v = Version("2026-11-22T14:03:51.2040000Z")
	for name, tt := range map[string]struct {
		report Report
		want   string // of the refusal
	}{
		"mounted":        {Report{Component: " worker-0 ", DAGs: FromBundle, Version: v, Kind: Sidecar}, ""},
		"rollout":        {Report{Component: "worker-0", Kind: Rollout, Image: "sha256:1"}, ""},
		"no name":        {Report{Component: " "}, "A component's name has 1 to 100"},
		"long name":      {Report{Component: strings.Repeat("a", 101)}, "A component's name has 1 to 100"},
		"name of lines":  {Report{Component: "a\nb"}, "A component's name has 1 to 100"},
		"odd kind":       {Report{Component: "a", Kind: "boss"}, `There is no kind of agent "boss".`},
		"odd source":     {Report{Component: "a", DAGs: "ether"}, `DAGs come from no "ether".`},
		"made-up number": {Report{Component: "a", Version: "../../x"}, `There can be no DAG bundle version "../../x".`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tt.report.Check()
			if tt.want == "" {
				if err != nil || got.Component != "worker-0" {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			if _, text := Explain(err); !strings.HasPrefix(text, tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	got, err := Report{Component: "a", Error: "x\x1b[31m\n" + strings.Repeat("ä", 2000), Warning: "y\n", Age: -1, Done: -2, Total: -3}.Check()
	if err != nil || !strings.HasPrefix(got.Error, "x [31m ä") || len(got.Error) > 2010 || !strings.HasSuffix(got.Error, "…") {
		t.Errorf("error of %d bytes, %v", len(got.Error), err)
	}
	if got.Warning != "y " {
		t.Errorf("warning %q", got.Warning)
	}
	if got.Age != 0 || got.Done != 0 || got.Total != 0 {
		t.Errorf("numbers %+v", got)
	}
}

func TestGone(t *testing.T) {
	for name, tt := range map[string]struct {
		ago       time.Duration
		ephemeral bool
		want      bool
	}{
		"just seen":         {0, true, false},
		"silent":            {time.Minute, false, false},
		"silent, ephemeral": {time.Minute, true, true},
		"for an hour":       {time.Hour, false, false},
		"for longer":        {time.Hour + time.Second, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := seen("a", tt.ago, Report{Ephemeral: tt.ephemeral}).Gone(noon); got != tt.want {
				t.Errorf("gone %v, want %v", got, tt.want)
			}
		})
	}
}

func TestAbout(t *testing.T) {
	all := []Component{
		seen("new", 0, Report{Revision: "2", Error: "about this"}),
		seen("old", 0, Report{Revision: "1", Error: "about another"}),
		seen("lost", 0, Report{Error: "about all"}),
	}
	want := map[string]string{"new": "about this", "old": "", "lost": "about all"}
	for _, c := range About("2", all) {
		if c.Error != want[c.Component] {
			t.Errorf("%s has %q, want %q", c.Component, c.Error, want[c.Component])
		}
	}
	crashed := seen("a", 0, Report{Kind: Rollout, Image: "sha256:1", Revision: "1", Error: "It crashed."})
	s := State{Image: "sha256:1"}
	if p := NewProgress(s, About("2", []Component{crashed}), noon); p.Done() || p.Stuck() {
		t.Errorf("a rollout that had an error: %+v, want one that is waited for", p)
	}
	if p := NewProgress(s, About("1", []Component{crashed}), noon); !p.Stuck() {
		t.Errorf("a rollout that has one: %+v", p)
	}
	if all[1].Error == "" {
		t.Error("the components themselves were changed")
	}
}

func TestStragglers(t *testing.T) {
	s := State{Mounted: true, Version: "2026-11-22T14:03:51.2040000Z", Image: "sha256:2"}
	old := Report{DAGs: FromBundle, Version: "2026-11-22T14:03:50.0000000Z"}
	failing, busy, begun := old, old, old
	failing.Error = "The disk is full."
	busy.Step, busy.Done, busy.Total, begun.Step = "mounting", 1, 4, "mounting"
	for name, tt := range map[string]struct {
		c    Component
		want string
	}{
		"runs it":       {seen("a", 0, Report{DAGs: FromBundle, Version: s.Version}), ""},
		"silent":        {seen("a", time.Minute, old), ""},
		"behind":        {seen("a", 0, old), "a has 2026-11-22 14:03:50.000"},
		"failing":       {seen("a", 0, failing), "a: The disk is full"},
		"busy":          {seen("a", 0, busy), "a is mounting (25 %)"},
		"just begun":    {seen("a", 0, begun), "a is mounting"},
		"on its image":  {seen("a", 0, Report{DAGs: FromImage}), "a has the DAGs of its image"},
		"empty":         {seen("a", 0, Report{}), "a has nothing mounted"},
		"another image": {seen("a", 0, Report{Kind: Rollout, Image: "sha256:1"}), "a runs another image"},
		"any image":     {seen("a", 0, Report{Kind: Rollout}), "a has not said what it runs"},
		"that image":    {seen("a", 0, Report{Kind: Rollout, Image: "sha256:2"}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(Stragglers(s, []Component{tt.c}, noon), "|"); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	crashed := seen("a", 0, Report{Kind: Rollout, Image: "sha256:2", Error: "It crashed."})
	if got := Stragglers(s, []Component{crashed}, noon); len(got) != 1 || got[0] != "a: It crashed" {
		t.Errorf("crashed: %q", got)
	}
	both := []Component{seen("a", 0, Report{}), seen("a", 0, Report{Kind: Rollout})}
	if got := Mounting(both); len(got) != 1 || got[0].Kind != "" || len(both) != 2 {
		t.Errorf("mounting: %+v", got)
	}
}

func TestAgentVersions(t *testing.T) {
	all := []Component{{Report: Report{Agent: "0.8"}}, {Report: Report{Agent: "0.9"}}, {}, {Report: Report{Agent: "0.9"}}}
	want := []AgentVersion{{"0.9", 2}, {"0.8", 1}, {"", 1}}
	if got := AgentVersions(all); !slices.Equal(got, want) {
		t.Errorf("versions %v, want %v", got, want)
	}
}
