package slipway_test

import (
	"testing"
	"time"

	"slipway/internal/slipway"
)

func TestTakes(t *testing.T) {
	for name, tt := range map[string]struct {
		on    bool
		w     slipway.Deploy
		taken bool
	}{
		"switch on":                            {true, slipway.Deploy{Kind: slipway.DAGOnly}, true},
		"switch off":                           {false, slipway.Deploy{Kind: slipway.DAGOnly}, false},
		"a return":                             {false, slipway.Deploy{Kind: slipway.DAGOnly, ReturnTo: 3}, true},
		"a return that became one of an image": {true, returned(slipway.DAGOnly, "i2", "v1"), false},
		"a return that became one of both":     {true, returned(slipway.ImageOnly, "i2", "v2"), false},
		"a return that became one of DAGs":     {true, returned(slipway.ImageOnly, "i1", "v2"), false},
		"a return of which nothing is left":    {true, returned(slipway.ImageOnly, "i1", "v1"), true},
		"a return of both, for an image":       {true, returned(slipway.ImageAndDAG, "i2", "v1"), true},
		"a return of both, for DAGs":           {true, returned(slipway.ImageAndDAG, "i1", "v2"), true},
		"a return of both, for both":           {true, returned(slipway.ImageAndDAG, "i2", "v2"), true},
		"a whole project":                      {false, slipway.Deploy{Kind: slipway.ImageAndDAG}, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := slipway.Deployment{State: slipway.State{Image: "i1", Version: "v1", Mounted: true, DAGDeploys: tt.on}}
			if err := d.Takes(tt.w); (err == nil) != tt.taken {
				t.Errorf("Takes: %v, want taken %v", err, tt.taken)
			}
		})
	}
}

func returned(kind slipway.DeployKind, image string, v slipway.Version) slipway.Deploy {
	return slipway.Deploy{Kind: kind, ReturnTo: 3, After: slipway.State{Image: image, Version: v, Mounted: true, DAGDeploys: true}}
}

func TestExpired(t *testing.T) {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		w    slipway.Deploy
		age  time.Duration
		want string
	}{
		"staged, in time":    {slipway.Deploy{Status: slipway.Staged, UploadedAt: noon}, 24*time.Hour - 1, ""},
		"staged, late":       {slipway.Deploy{Status: slipway.Staged, UploadedAt: noon}, 24 * time.Hour, "Never confirmed within 24 hours. Upload the files again."},
		"half here, late":    {slipway.Deploy{Status: slipway.Initialized}, 25 * time.Hour, "The upload was never completed. Upload the files again."},
		"waits for checking": {slipway.Deploy{Status: slipway.Initialized, UploadedAt: noon}, 25 * time.Hour, ""},
		"queued":             {slipway.Deploy{Status: slipway.Queued, UploadedAt: noon}, 25 * time.Hour, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.w.Expired(noon, noon.Add(tt.age)); got != tt.want {
				t.Errorf("Expired %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	for name, tt := range map[string]struct {
		role   slipway.Role
		status slipway.Status
		kind   slipway.Kind
		ok     bool
	}{
		"author":   {slipway.Author, slipway.Staged, 0, true},
		"early":    {slipway.Author, slipway.Initialized, 0, true},
		"member":   {slipway.Member, slipway.Staged, slipway.Forbidden, false},
		"too late": {slipway.Owner, slipway.Queued, slipway.Conflict, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := slipway.Deploy{Status: tt.status}.Describe(tt.role, slipway.Actor{}, "why")
			kind, _ := slipway.Explain(err)
			if (err == nil) != tt.ok || !tt.ok && kind != tt.kind || tt.ok && w.Description != "why" {
				t.Errorf("%q, %v, want kind %v", w.Description, err, tt.kind)
			}
		})
	}
}

func TestDeployOfHealth(t *testing.T) {
	running, queued := &slipway.Deploy{Status: slipway.Deploying}, &slipway.Deploy{Status: slipway.Queued}
	ordered := slipway.Turn{Switch: &slipway.SwitchOrder{}}
	for name, tt := range map[string]struct {
		queue          []slipway.Turn
		running, first *slipway.Deploy
	}{
		"nothing waits":                {},
		"a switch waits":               {queue: []slipway.Turn{ordered}},
		"a deploy waits":               {queue: []slipway.Turn{{Deploy: queued}}, first: queued},
		"a deploy waits for a switch":  {queue: []slipway.Turn{ordered, {Deploy: queued}}, first: queued},
		"a deploy goes live":           {queue: []slipway.Turn{{Deploy: running}, ordered}, running: running, first: running},
		"a deploy waits for a rollout": {queue: []slipway.Turn{{Deploy: running}, {Deploy: queued}}, running: running, first: running},
	} {
		if got := slipway.RunningDeploy(tt.queue); got != tt.running {
			t.Errorf("%s: the running deploy is %v, want %v", name, got, tt.running)
		}
		if got := slipway.FirstDeploy(tt.queue); got != tt.first {
			t.Errorf("%s: the first deploy is %v, want %v", name, got, tt.first)
		}
	}
}
