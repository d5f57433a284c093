package slipway_test

import (
	"strings"
	"testing"
	"time"

	"slipway/internal/slipway"
)

func TestAppliesImages(t *testing.T) {
	now := time.Unix(1e9, 0)
	component := func(kind slipway.AgentKind, step string, silent time.Duration) slipway.Component {
		return slipway.Component{Report: slipway.Report{Kind: kind, Step: step}, LastSeen: now.Add(-silent)}
	}
	for name, tt := range map[string]struct {
		d       slipway.Deployment
		all     []slipway.Component
		applies bool
		ending  bool
	}{
		"nothing":                     {slipway.Deployment{}, nil, false, false},
		"here":                        {slipway.Deployment{Local: true}, nil, false, false},
		"an apply command":            {slipway.Deployment{Local: true, ApplyCommand: "compose"}, nil, true, false},
		"an apply command of before":  {slipway.Deployment{ApplyCommand: "compose"}, nil, false, false},
		"a sidecar":                   {slipway.Deployment{}, []slipway.Component{component(slipway.Sidecar, slipway.StepEnding, 0)}, false, false},
		"a rollout agent":             {slipway.Deployment{}, []slipway.Component{component(slipway.Rollout, "pulling the image", time.Second)}, true, false},
		"one that waits for tasks":    {slipway.Deployment{}, []slipway.Component{component(slipway.Rollout, slipway.StepEnding, time.Second)}, true, true},
		"one that has fallen silent":  {slipway.Deployment{}, []slipway.Component{component(slipway.Rollout, slipway.StepEnding, slipway.SilentAfter)}, false, false},
		"a rollout agent, and a late": {slipway.Deployment{}, []slipway.Component{component(slipway.Rollout, "", time.Hour), component(slipway.Rollout, "", 0)}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			if applies, ending := tt.d.AppliesImages(tt.all, now), slipway.Ending(tt.all, now); applies != tt.applies || ending != tt.ending {
				t.Errorf("applies %v, want %v; ending %v, want %v", applies, tt.applies, ending, tt.ending)
			}
		})
	}
}

func TestUncovers(t *testing.T) {
	mounted := slipway.State{Image: "i1", Version: "v1", Mounted: true}
	on, bare := mounted, mounted
	on.DAGDeploys, bare.Mounted = true, false
	image := slipway.State{Image: "i2"}
	for name, tt := range map[string]struct {
		s    slipway.State
		w    slipway.Deploy
		want bool
	}{
		"an image that carries DAGs":      {mounted, slipway.Deploy{Kind: slipway.ImageAndDAG, After: image}, true},
		"nothing is mounted":              {bare, slipway.Deploy{Kind: slipway.ImageAndDAG, After: image}, false},
		"DAGs come with it":               {on, slipway.Deploy{Kind: slipway.ImageAndDAG, After: image, Version: "v2", UploadedAt: time.Unix(1, 0)}, false},
		"an image alone":                  {on, slipway.Deploy{Kind: slipway.ImageOnly, After: image}, false},
		"DAGs":                            {on, slipway.Deploy{Kind: slipway.DAGOnly, Version: "v2"}, false},
		"a safe switch off":               {on, slipway.Deploy{Kind: slipway.ImageAndDAG, After: image, Switch: &slipway.SafeSwitch{}}, true},
		"a return to another image's":     {on, slipway.Deploy{Kind: slipway.ImageAndDAG, After: image, ReturnTo: 1}, true},
		"a return to the image that runs": {on, slipway.Deploy{Kind: slipway.DAGOnly, After: bare, ReturnTo: 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.s.RemovesDAGs(tt.w); got != tt.want {
				t.Errorf("RemovesDAGs %v, want %v", got, tt.want)
			}
		})
	}
}

func TestRunsImageTick(t *testing.T) {
	p := slipway.Plan{ByHand: true}
	_, text := slipway.Explain(p.Check(slipway.Ticks{}))
	if want := slipway.ErrNothingApplies.Text + " Or tick that you restart Airflow with it yourself."; text != want {
		t.Errorf("refused with %q, want %q", text, want)
	}
	if err := p.Check(p.Ticks()); err != nil {
		t.Errorf("ticked: %v", err)
	}
	if !strings.HasPrefix(p.Warning(), "Nothing here can run its image: ") {
		t.Errorf("warning %q", p.Warning())
	}
}
