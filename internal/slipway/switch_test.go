package slipway

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestSwitchTo(t *testing.T) {
	mounted := State{Version: "v1", Mounted: true, DAGDeploys: true}
	for name, tt := range map[string]struct {
		turned bool // once already, with no deploy since
		on     bool
		role   Role
		tick   bool
		want   Kind
		text   string
	}{
		"disable":                      {false, false, Owner, true, fine, ""},
		"disable, admin":               {false, false, Admin, true, fine, ""},
		"disable, operator":            {false, false, Operator, true, Forbidden, "needs the Owner role"},
		"disable, stranger":            {false, false, NoRole, true, Forbidden, "needs the Owner role"},
		"disable without the tick":     {false, false, Owner, false, Invalid, "Tick that you have the latest version"},
		"enable what is enabled":       {false, true, Owner, true, Conflict, "DAG-only deploys are on already."},
		"disable what is disabled":     {true, false, Owner, true, Conflict, "DAG-only deploys are off already."},
		"switch back, no tick needed":  {true, true, Owner, false, fine, ""},
		"switch back, operator":        {true, true, Operator, true, Forbidden, "needs the Owner role"},
		"operator, nothing to be done": {false, true, Operator, false, Forbidden, "needs the Owner role"},
	} {
		t.Run(name, func(t *testing.T) {
			d := Deployment{State: mounted, Settings: Settings{CICDEnforced: true}} // which does not refuse it
			if tt.turned {
				d = d.Switched(false)
			}
			checkError(t, d.SwitchTo(tt.on, tt.role, tt.tick), tt.want, tt.text)
			want := tt.want
			if want == Invalid { // the tick is of SwitchTo alone
				want = fine
			}
			checkError(t, d.MaySwitch(tt.on, tt.role), want, tt.text)
		})
	}
}

// turnsOf reads a queue: "on" and "off" are switches, "dags:v2", "image:i2",
// "both:i2:v2" deploys, and "x" before one says that it has ended unseen.
func turnsOf(text string) (queue []Turn) {
	for i, word := range strings.Fields(text) {
		word, ended := strings.CutPrefix(word, "x")
		if word == "on" || word == "off" {
			queue = append(queue, Turn{Switch: &SwitchOrder{On: word == "on", Cancelled: ended, Position: int64(i)}})
			continue
		}
		kind, rest, _ := strings.Cut(word, ":")
		image, version, _ := strings.Cut(rest, ":")
		w := &Deploy{Status: Queued, Position: int64(i), Version: Version(version), After: State{Image: image}, UploadedAt: time.Unix(1, 0)}
		switch kind {
		case "dags":
			w.Kind, w.Version, w.After = DAGOnly, Version(rest), State{}
		case "image":
			w.Kind = ImageOnly
		case "both":
			w.Kind = ImageAndDAG
		}
		if ended {
			w.Status = Cancelled
		}
		queue = append(queue, Turn{Deploy: w})
	}
	return queue
}

// TestTail starts from v1 of image i1, enabled, unless it says otherwise.
func TestTail(t *testing.T) {
	enabled := State{Image: "i1", Version: "v1", Mounted: true, DAGDeploys: true}
	disabled := State{Image: "i1", Version: "v1", Mounted: true, NeedsImage: true}
	carried := State{Image: "i1", Version: "v1"}
	again := State{Image: "i1", Version: "v1", DAGDeploys: true, NeedsImage: true}
	state := func(image string, v Version, mounted, on, need bool) State {
		return State{Image: image, Version: v, Mounted: mounted, DAGDeploys: on, NeedsImage: need}
	}
	for name, tt := range map[string]struct {
		now    State
		queue  string
		want   State
		before *State
	}{
		"nothing":                        {enabled, "", enabled, nil},
		"DAGs":                           {enabled, "dags:v2 dags:v3", state("i1", "v3", true, true, false), nil},
		"disable":                        {enabled, "off", disabled, &enabled},
		"disable and back":               {enabled, "off on", enabled, nil},
		"disable, back, disable":         {enabled, "off on off", disabled, &enabled},
		"disable twice":                  {enabled, "off off", disabled, &enabled},
		"disable called back":            {enabled, "xoff", enabled, nil},
		"disable and image":              {enabled, "off both:i2:v2", state("i2", "v1", false, false, false), nil},
		"disable, image, enable":         {enabled, "off both:i2:v2 on", state("i2", "v1", false, true, true), ptr(state("i2", "v1", false, false, false))},
		"disable, image called back, on": {enabled, "off xboth:i2:v2 on", enabled, nil},
		"refused after disabling":        {enabled, "off dags:v2 image:i2", disabled, &enabled},
		"DAGs before disabling":          {enabled, "dags:v2 off", state("i1", "v2", true, false, true), ptr(state("i1", "v2", true, true, false))},
		"DAGs, disable and back":         {enabled, "dags:v2 off on", state("i1", "v2", true, true, false), nil},

		"enable":                          {carried, "on", again, &carried},
		"enable and back":                 {carried, "on off", carried, nil},
		"enable, image":                   {carried, "on image:i2", state("i2", "v1", false, true, true), &carried},
		"enable, image, back":             {carried, "on image:i2 off", state("i2", "v1", false, false, true), ptr(state("i2", "v1", false, true, true))},
		"enable, DAGs":                    {carried, "on dags:v2", state("i1", "v2", true, true, true), &carried},
		"enable, DAGs, back":              {carried, "on dags:v2 off", state("i1", "v2", true, false, true), ptr(state("i1", "v2", true, true, true))},
		"enable, DAGs, back and forth":    {carried, "on dags:v2 off on", state("i1", "v2", true, true, true), nil},
		"enable, DAGs called back, back":  {carried, "on xdags:v2 off", carried, nil},
		"enable, image and DAGs":          {carried, "on both:i2:v2", state("i2", "v2", true, true, false), nil},
		"enable, image and DAGs, disable": {carried, "on both:i2:v2 off", state("i2", "v2", true, false, true), ptr(state("i2", "v2", true, true, false))},
		"enable called back, DAGs":        {carried, "xon dags:v2", carried, nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := Deployment{ID: "d1", Settings: Settings{Name: "etl"}, State: tt.now}
			want := d
			want.State, want.Before = tt.want, tt.before
			if got := d.Projected(turnsOf(tt.queue)); !reflect.DeepEqual(got, want) {
				t.Errorf("at the end %+v, before %+v; want %+v, before %+v", got.State, got.Before, want.State, want.Before)
			}
			if d.State != tt.now || d.Before != nil {
				t.Errorf("the Deployment itself became %+v, before %+v", d.State, d.Before)
			}
		})
	}
}

func ptr(s State) *State { return &s }

func TestTailPassesOverAnAppliedSwitch(t *testing.T) {
	d := Deployment{State: State{DAGDeploys: true}}
	queue := []Turn{{Switch: &SwitchOrder{On: false, AppliedAt: time.Unix(1, 0)}}}
	if got := d.Projected(queue); !got.DAGDeploys {
		t.Errorf("the switch had its turn, and was turned again: %+v", got.State)
	}
}

func TestSwitchesBack(t *testing.T) {
	for queue, want := range map[string]bool{
		"": false, "off": true, "off on": false, "off on off": true, "off both:i2:v2": false, "off both:i2:v2 on": true,
		"off both:i2:v2 on dags:v2": false, "off both:i2:v2 on image:i3": false, "off both:i2:v2 on both:i3:v3": false,
		"off both:i2:v2 on dags:v2 off": true, "dags:v2": false,
	} {
		t.Run(queue, func(t *testing.T) {
			d := Deployment{State: State{Image: "i1", Version: "v1", Mounted: true, DAGDeploys: true}}.Projected(turnsOf(queue))
			if got := d.SwitchesBack(); got != want {
				t.Errorf("switches back: %v, want %v; %+v, before %+v", got, want, d.State, d.Before)
			}
		})
	}
}

// TestReturnOverTheSwitch: what a return restored, the switch must not
// restore once more.
func TestReturnOverTheSwitch(t *testing.T) {
	carried := State{Image: "i1"}
	d := Deployment{State: carried}.Projected(turnsOf("on dags:v2"))
	row := Deploy{Number: 2, After: d.State, LiveAt: live}
	d = d.Switched(false)
	back, err := d.Return(row, Owner, true)
	checkError(t, err, fine, "")
	d = d.Deployed(back)
	if d.State != row.After || d.Before != nil {
		t.Errorf("after the return %+v, before %+v; want %+v and nothing before", d.State, d.Before, row.After)
	}
}

// TestSwitchesBackOnlyToWhatRuns: whatever went live since is not undone.
func TestSwitchesBackOnlyToWhatRuns(t *testing.T) {
	now := State{Image: "i1", Version: "v1", Mounted: true, DAGDeploys: true, NeedsImage: true}
	for name, tt := range map[string]struct {
		edit func(*State) // of what was before
		want bool
	}{
		"same":            {func(*State) {}, true},
		"another version": {func(s *State) { s.Version = "v0" }, false},
		"not mounted":     {func(s *State) { s.Mounted = false }, false},
		"another image":   {func(s *State) { s.Image = "i0" }, false},
		"same setting":    {func(s *State) { s.DAGDeploys = true }, false},
	} {
		t.Run(name, func(t *testing.T) {
			before := now
			before.DAGDeploys, before.NeedsImage = false, false
			tt.edit(&before)
			d := Deployment{State: now, Before: &before}
			if got := d.SwitchesBack(); got != tt.want {
				t.Errorf("switches back: %v, want %v", got, tt.want)
			}
			got := d.Switched(false)
			if restored := got.Before == nil; restored != tt.want || got.Version != "v1" || !got.Mounted || got.Image != "i1" {
				t.Errorf("switched, it is %+v, before %+v", got.State, got.Before)
			}
		})
	}
}

func TestTurnPosition(t *testing.T) {
	for want, turn := range map[int64]Turn{3: {Deploy: &Deploy{Position: 3}}, 4: {Switch: &SwitchOrder{Position: 4}}} {
		if got := turn.Position(); got != want {
			t.Errorf("position %d, want %d", got, want)
		}
	}
}

// TestImageToRun: DAGs that come from an image which nothing here rolls out are
// there once somebody knows that Airflow runs it.
func TestImageToRun(t *testing.T) {
	mounted := State{Image: "i1", Version: "v1", Mounted: true}
	carried := State{Image: "i2", Version: "v1"}
	byHand := Deploy{Kind: ImageAndDAG, ByHand: true, After: State{Image: "i3"}}
	for name, tt := range map[string]struct {
		now  Deployment
		w    Deploy
		want string
	}{
		"mounted DAGs go, by hand":      {Deployment{State: mounted}, byHand, "i3"},
		"mounted DAGs go, rolled out":   {Deployment{State: mounted}, Deploy{Kind: ImageAndDAG, After: State{Image: "i3"}}, ""},
		"a switch off, by hand":         {Deployment{State: State{Image: "i1", Version: "v1", Mounted: true, DAGDeploys: true}}, Deploy{Kind: ImageAndDAG, ByHand: true, Switch: &SafeSwitch{}, After: State{Image: "i3"}}, "i3"},
		"the next image":                {Deployment{State: carried, ToRun: "i2"}, Deploy{Kind: ImageAndDAG, After: State{Image: "i3"}}, "i3"},
		"the next image, known before":  {Deployment{State: carried}, Deploy{Kind: ImageAndDAG, After: State{Image: "i3"}}, ""},
		"a return to a bundle":          {Deployment{State: carried, ToRun: "i2"}, Deploy{Kind: ImageAndDAG, ReturnTo: 1, After: mounted}, ""},
		"a return to an image, by hand": {Deployment{State: mounted}, Deploy{Kind: ImageAndDAG, ReturnTo: 1, ByHand: true, After: carried}, "i2"},
		"a switch on with DAGs":         {Deployment{State: carried, ToRun: "i2"}, Deploy{Kind: ImageAndDAG, Switch: &SafeSwitch{On: true}, Version: "v2", UploadedAt: noon, After: State{Image: "i2"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.now.Deployed(tt.w); got.ToRun != tt.want {
				t.Errorf("to run is %q, want %q; %+v", got.ToRun, tt.want, got.State)
			}
		})
	}
}

func TestStateRuns(t *testing.T) {
	d := Deployment{State: State{Image: "i2"}, ToRun: "i2", Settings: Settings{ImageRole: Operator}}
	for name, tt := range map[string]struct {
		now    Deployment
		digest string
		role   Role
		kind   Kind
		text   string
	}{
		"it runs":           {d, "i2", Operator, fine, ""},
		"known already":     {Deployment{State: d.State}, "i2", Owner, fine, ""},
		"too small a role":  {d, "i2", Author, Forbidden, "needs the Operator role"},
		"an older image":    {d, "i1", Owner, Conflict, "Another image is wanted by now"},
		"no image":          {Deployment{}, "", Owner, Conflict, "Another image"},
		"forbidden, unsaid": {d, "", Member, Forbidden, "Deploying an image needs"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tt.now.StateRuns(tt.digest, tt.role)
			checkError(t, err, tt.kind, tt.text)
			if err == nil && (got.ToRun != "" || got.State != tt.now.State) {
				t.Errorf("afterwards %q, %+v", got.ToRun, got.State)
			}
		})
	}
}

func TestKnownToRun(t *testing.T) {
	runs, other := Report{Kind: Rollout, Image: "team/airflow@i2"}, Report{Kind: Rollout, Image: "i1"}
	crashed := runs
	crashed.Error = "The container a exited with code 1."
	for name, tt := range map[string]struct {
		all  []Component
		want bool
	}{
		"nobody says":      {nil, false},
		"only of DAGs":     {[]Component{seen("a", 0, Report{DAGs: FromImage})}, false},
		"the agent":        {[]Component{seen("a", 0, runs)}, true},
		"one of two":       {[]Component{seen("a", 0, runs), seen("b", 0, other)}, false},
		"silent":           {[]Component{seen("a", time.Hour, runs)}, false},
		"crashed":          {[]Component{seen("a", 0, crashed)}, false},
		"the other silent": {[]Component{seen("a", 0, runs), seen("b", time.Hour, other)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := KnownToRun("i2", tt.all, noon); got != tt.want {
				t.Errorf("known %v, want %v", got, tt.want)
			}
		})
	}
}
