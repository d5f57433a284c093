package slipway

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDesired(t *testing.T) {
	for name, tt := range map[string]struct {
		state State
		path  string
		want  Desired
	}{
		"nothing known": {State{}, "", Desired{Revision: "r", DAGs: FromImage, DagsPath: "/usr/local/airflow/dags"}},
		"image": {State{Image: "sha256:1", Version: "v1"}, "/opt/airflow/dags",
			Desired{Revision: "r", DAGs: FromImage, Image: "sha256:1", DagsPath: "/opt/airflow/dags"}},
		"mounted": {State{Image: "sha256:1", Version: "v1", Mounted: true}, "",
			Desired{Revision: "r", DAGs: FromBundle, Version: "v1", Image: "sha256:1", DagsPath: "/usr/local/airflow/dags"}},
		"mounted while disabled": {State{Version: "v1", Mounted: true, NeedsImage: true}, "",
			Desired{Revision: "r", DAGs: FromBundle, Version: "v1", DagsPath: "/usr/local/airflow/dags"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (Deployment{State: tt.state, Settings: Settings{DagsPath: tt.path}}).Desired("r"); got != tt.want {
				t.Errorf("desired %+v, want %+v", got, tt.want)
			}
		})
	}
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// seen returns a component that reported so long before noon.
func seen(name string, ago time.Duration, r Report) Component {
	r.Component = name
	return Component{Report: r, LastSeen: noon.Add(-ago)}
}

func TestRuns(t *testing.T) {
	for name, tt := range map[string]struct {
		report Report
		state  State
		want   bool
	}{
		"mounted":             {Report{DAGs: FromBundle, Version: "v1"}, State{Mounted: true, Version: "v1"}, true},
		"another version":     {Report{DAGs: FromBundle, Version: "v1"}, State{Mounted: true, Version: "v2"}, false},
		"image, wants bundle": {Report{DAGs: FromImage, Version: "v1"}, State{Mounted: true, Version: "v1"}, false},
		"image":               {Report{DAGs: FromImage}, State{}, true},
		"image again":         {Report{DAGs: FromImage}, State{Version: "v1"}, true},
		"bundle, wants image": {Report{DAGs: FromBundle, Version: "v1"}, State{Version: "v1"}, false},
		"nothing yet":         {Report{}, State{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (Component{Report: tt.report}).Runs(tt.state); got != tt.want {
				t.Errorf("runs %v, want %v", got, tt.want)
			}
		})
	}
}

func TestProgressAndHealth(t *testing.T) {
	v1 := Report{DAGs: FromBundle, Version: "v1"}
	old := Report{DAGs: FromBundle, Version: "v0"}
	full := Report{DAGs: FromBundle, Version: "v0", Error: "disk full"}
	moaning := Report{DAGs: FromBundle, Version: "v1", Error: "slow disk"}
	works := Report{Kind: Rollout, Image: "sha256:2"}
	crashed, behind := works, Report{Kind: Rollout, Image: "sha256:1"}
	crashed.Error = "The container a exited with code 1."
	for name, tt := range map[string]struct {
		all         []Component
		running     *Deploy
		want        Progress
		done, stuck bool
		health      Health
		reason      string
	}{
		"none": {nil, nil, Progress{}, true, false, Unconnected, "No component has reported yet."},
		"none, running": {nil, &Deploy{Number: 7}, Progress{}, true, false,
			Going, "#7 is going live."},
		"all run it": {[]Component{seen("a", 0, v1), seen("b", 59*time.Second, v1)}, nil, Progress{Of: 2, Running: 2}, true, false,
			Healthy, ""},
		"all run it, running": {[]Component{seen("a", 0, v1)}, &Deploy{Number: 7}, Progress{Of: 1, Running: 1}, true, false,
			Going, "#7 is on 1 of 1."},
		"one lags": {[]Component{seen("a", 0, v1), seen("b", 0, old)}, nil, Progress{Of: 2, Running: 1}, false, false,
			Unhealthy, "b does not run what is wanted."},
		"one lags, running": {[]Component{seen("a", 0, v1), seen("b", 0, old)}, &Deploy{Number: 7}, Progress{Of: 2, Running: 1}, false, false,
			Going, "#7 is on 1 of 2."},
		"one fails": {[]Component{seen("a", 0, v1), seen("b", 0, full)}, nil,
			Progress{Of: 2, Running: 1, Errors: []string{"b: disk full"}}, false, true, Unhealthy, "b: disk full"},
		"one fails, one lags": {[]Component{seen("a", 0, full), seen("b", 0, old)}, nil,
			Progress{Of: 2, Errors: []string{"a: disk full"}}, false, false, Unhealthy, "a: disk full. And 1 more."},
		"runs it with an error": {[]Component{seen("a", 0, moaning)}, nil, Progress{Of: 1, Running: 1}, true, false,
			Unhealthy, "a: slow disk"},
		"one is silent": {[]Component{seen("a", 0, v1), seen("b", time.Minute, old)}, nil, Progress{Of: 1, Running: 1}, true, false,
			Unhealthy, "b has been silent for 1m0s."},
		"containers work": {[]Component{seen("a", 0, works)}, nil, Progress{Of: 1, Running: 1}, true, false,
			Healthy, ""},
		"a container crashed": {[]Component{seen("a", 0, crashed), seen("b", 0, works)}, nil,
			Progress{Of: 2, Running: 1, Errors: []string{"a: The container a exited with code 1."}}, false, true,
			Unhealthy, "a: The container a exited with code 1."},
		"a container crashed, running": {[]Component{seen("a", 0, crashed), seen("b", 0, behind)}, &Deploy{Number: 7, Kind: ImageOnly, After: State{Image: "sha256:2"}},
			Progress{Of: 2, Errors: []string{"a: The container a exited with code 1."}}, false, false,
			Going, "#7 is on 0 of 2."},
		"silent with an error": {[]Component{seen("a", 90*time.Second, full)}, nil, Progress{}, true, false,
			Unhealthy, "a has been silent for 1m30s."},
		"one is refused": {[]Component{seen("a", 0, v1)}, nil, Progress{Of: 1, Running: 1}, true, false,
			Unhealthy, "The component one is refused, and deploys do not wait for it. At most 200 may be connected with one agent token, and 2000 with all of a Deployment: give some agents a token of their own."},
		"silent, running": {[]Component{seen("a", time.Hour, v1)}, &Deploy{Number: 7}, Progress{}, true, false,
			Going, "#7 is going live."},
	} {
		t.Run(name, func(t *testing.T) {
			d := Deployment{State: State{Mounted: true, Version: "v1", Image: "sha256:2"}}
			p := NewProgress(d.State, tt.all, noon)
			if !reflect.DeepEqual(p, tt.want) || p.Done() != tt.done || p.Stuck() != tt.stuck {
				t.Errorf("progress %+v, done %v, stuck %v; want %+v, %v, %v", p, p.Done(), p.Stuck(), tt.want, tt.done, tt.stuck)
			}
			health, reason := d.Health(tt.all, refusedIn(name), tt.running, noon)
			if health != tt.health || reason != tt.reason {
				t.Errorf("%s, %q; want %s, %q", health, reason, tt.health, tt.reason)
			}
		})
	}
}

func TestHealthWithoutAirflow(t *testing.T) {
	here := func(r Report) []Component {
		c := seen("a", 0, r)
		c.Component = EmbeddedComponent
		return []Component{c}
	}
	mounted := State{Mounted: true, Version: "v1"}
	for name, tt := range map[string]struct {
		d      Deployment
		all    []Component
		want   Health
		reason string
	}{
		"empty, here":              {Deployment{Local: true}, here(Report{DAGs: FromImage}), Unconnected, "Nothing is deployed yet."},
		"empty, with an address":   {Deployment{Settings: Settings{AirflowURL: "https://airflow.example.com"}, Local: true}, here(Report{DAGs: FromImage}), Healthy, ""},
		"empty, with an agent":     {Deployment{}, []Component{seen("worker-0", 0, Report{DAGs: FromImage})}, Healthy, ""},
		"elsewhere, no agent":      {Deployment{State: mounted}, nil, Unconnected, "No component has reported yet."},
		"all gone":                 {Deployment{State: mounted, SeenAt: noon.Add(-SilentAfter)}, nil, Unhealthy, "No component is connected any more; last seen " + noon.Add(-SilentAfter).UTC().Format("2 January 2006 15:04") + " UTC."},
		"gone a moment ago":        {Deployment{State: mounted, SeenAt: noon.Add(time.Second - SilentAfter)}, nil, Creating, "No component is connected at the moment."},
		"gone, here":               {Deployment{Local: true, SeenAt: noon.Add(-time.Hour)}, nil, Creating, "No component has reported yet."},
		"here, at the start":       {Deployment{State: mounted, Local: true}, nil, Creating, "No component has reported yet."},
		"here, before the mount":   {Deployment{State: mounted, Local: true}, here(Report{}), Creating, "this machine has just started."},
		"here, mounted":            {Deployment{State: mounted, Local: true}, here(Report{DAGs: FromBundle, Version: "v1"}), Healthy, ""},
		"here, cannot mount":       {Deployment{State: mounted, Local: true}, here(Report{Error: "disk full"}), Unhealthy, "this machine: disk full"},
		"an image nobody has seen": {Deployment{State: State{Image: "sha256:2"}, ToRun: "sha256:2", Local: true}, here(Report{DAGs: FromImage}), Unhealthy, "It is not known that Airflow runs the image with its DAGs."},
		"an image, not reported":   {Deployment{State: State{Image: "sha256:2"}}, []Component{seen("a", 0, Report{Kind: Rollout})}, Creating, "a has just started."},
	} {
		got, reason := tt.d.Health(tt.all, Refused{}, nil, noon)
		if reason = strings.ReplaceAll(reason, EmbeddedComponent, "this machine"); got != tt.want || reason != tt.reason {
			t.Errorf("%s: %s, %q; want %s, %q", name, got, reason, tt.want, tt.reason)
		}
	}
	if got := Unconnected.Astro(); got != Creating || Unconnected.Words() != "NOT CONNECTED" || Healthy.Astro() != Healthy {
		t.Errorf("the CLI is told %s", got)
	}
}

// refusedIn returns the refused components of a case of TestProgress.
func refusedIn(name string) Refused {
	if name == "one is refused" {
		return Refused{1, "one"}
	}
	return Refused{}
}

func TestMayAppear(t *testing.T) {
	seen := func(token TokenID, n int, ago time.Duration) (all []Component) {
		for range n {
			all = append(all, Component{Token: token, LastSeen: noon.Add(-ago)})
		}
		return all
	}
	of := func(token TokenID, n int) []Component { return seen(token, n, 0) }
	for name, tt := range map[string]struct {
		all  []Component
		want Kind
		says string
	}{
		"first":             {nil, fine, ""},
		"below the limit":   {of("a", MaxComponents-1), fine, ""},
		"at the limit":      {of("a", MaxComponents), TooMany, "The agents of this token report 200 connected components"},
		"of another token":  {of("b", MaxComponents), fine, ""},
		"of all tokens":     {of("b", MaxDeploymentComponents), TooMany, "This Deployment has 2000 connected components"},
		"of the embedded":   {of("", MaxComponents), fine, ""},
		"silent ones":       {append(of("a", MaxComponents-1), seen("a", 1000, SilentAfter)...), fine, ""},
		"all silent":        {seen("a", MaxDeploymentComponents, time.Hour), fine, ""},
		"mixed, at a limit": {append(of("a", MaxComponents), of("b", 5)...), TooMany, "a token of their own"},
	} {
		t.Run(name, func(t *testing.T) { checkError(t, MayAppear("a", slices.Values(tt.all), noon), tt.want, tt.says) })
	}
}

func TestMakesRoom(t *testing.T) {
	c := func(token TokenID, name string, ago time.Duration) Component {
		return Component{Report: Report{Component: name}, Token: token, LastSeen: noon.Add(-ago)}
	}
	full := func(all ...Component) []Component {
		for len(all) < MaxDeploymentComponents {
			all = append(all, c("x", "more", 0))
		}
		return all
	}
	for name, tt := range map[string]struct {
		all  []Component
		want string
	}{
		"none":              {nil, ""},
		"room":              {[]Component{c("a", "old", time.Hour)}, ""},
		"oldest of all":     {full(c("b", "old", 2*time.Hour), c("b", "older", 3*time.Hour)), "older"},
		"oldest of its own": {full(c("b", "older", 3*time.Hour), c("a", "new", time.Minute), c("a", "old", time.Hour), c("b", "oldest", 4*time.Hour)), "old"},
		"connected own":     {full(c("a", "connected", 0), c("b", "old", 2*time.Hour)), "old"},
		"all connected":     {full(c("a", "connected", 0)), ""},
	} {
		got, is := MakesRoom("a", slices.Values(tt.all), noon)
		if is != (tt.want != "") || is && got.Component != tt.want {
			t.Errorf("%s: %q, %v; want %q", name, got.Component, is, tt.want)
		}
	}
}

func TestRefusedText(t *testing.T) {
	if got := (Refused{}).Text(); got != "" {
		t.Error(got)
	}
	if got := (Refused{3, "worker-7"}).Text(); !strings.HasPrefix(got, "3 more components are refused, worker-7 among them, and deploys do not wait for them. At most 200") {
		t.Error(got)
	}
}
