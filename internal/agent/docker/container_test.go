package docker

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNamesHoldRoles(t *testing.T) {
	until := time.Date(2026, 11, 23, 3, 15, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		role  role
		until time.Time
		want  string
	}{
		"in charge": {inCharge, time.Time{}, "airflow-1"},
		"next":      {next, time.Time{}, "airflow-1.slipway-next"},
		"held":      {held, until, "airflow-1.slipway-held-until-20261123T031500Z"},
		"old":       {old, time.Time{}, "airflow-1.slipway-old-0123456789ab"},
		"draining":  {draining, until, "airflow-1.slipway-until-20261123T031500Z-0123456789ab"},
	} {
		t.Run(name, func(t *testing.T) {
			got := box{ID: "0123456789abcdef", Base: "airflow-1"}.as(tt.role, until)
			if got != tt.want {
				t.Errorf("name %s, want %s", got, tt.want)
			}
			if b := newBox(got); b.Base != "airflow-1" || b.Role != tt.role || !b.Until.Equal(tt.until) {
				t.Errorf("read as %+v", b)
			}
		})
	}
}

func TestChores(t *testing.T) {
	now := time.Date(2026, 11, 23, 3, 15, 0, 0, time.UTC)
	const (
		heldLate, heldStill     = "a.slipway-held-until-20261123T031500Z", "a.slipway-held-until-20261123T031501Z"
		drainLate, drainsStill  = "a.slipway-until-20261123T031500Z-1", "a.slipway-until-20261123T031501Z-1"
		candidate, oldOne, boss = "a.slipway-next", "a.slipway-old-1", "a"
	)
	up := func(name, agent string) box {
		b := newBox(name)
		b.Agent, b.Running = agent, true
		return b
	}
	down := func(name string) box { return newBox(name) }
	for name, tt := range map[string]struct {
		all  []box
		want map[string]verb
	}{
		"nothing going on":             {[]box{up(boss, ""), up("b", "")}, nil},
		"at work":                      {[]box{up(boss, ""), up(candidate, "me")}, nil},
		"left before health":           {[]box{up(boss, ""), up(candidate, "dead")}, map[string]verb{candidate: remove}},
		"left without the other":       {[]box{up(candidate, "dead")}, map[string]verb{candidate: remove}},
		"decided":                      {[]box{up(oldOne, ""), up(candidate, "dead")}, map[string]verb{candidate: promote}},
		"decided by us":                {[]box{up(oldOne, ""), up(candidate, "me")}, map[string]verb{candidate: promote}},
		"replaced":                     {[]box{up(oldOne, ""), up(boss, "me")}, map[string]verb{oldOne: dismiss}},
		"the successor is gone":        {[]box{up(oldOne, "")}, map[string]verb{oldOne: promote}},
		"drains":                       {[]box{up(drainsStill, ""), up(boss, "me")}, nil},
		"has drained":                  {[]box{down(drainsStill), up(boss, "me")}, map[string]verb{drainsStill: remove}},
		"drains too long":              {[]box{up(drainLate, ""), up(boss, "me")}, map[string]verb{drainLate: remove}},
		"drains, scaled away":          {[]box{up(drainsStill, "")}, nil},
		"held, at work":                {[]box{down(heldStill), up(candidate, "me")}, nil},
		"held, left":                   {[]box{down(heldStill), up(candidate, "dead")}, map[string]verb{candidate: remove, heldStill: revive}},
		"held, stops":                  {[]box{up(heldStill, "")}, nil},
		"held, has not stopped":        {[]box{up(heldLate, "")}, map[string]verb{heldLate: promote}},
		"held beside a new one":        {[]box{down(heldStill), up(boss, "")}, map[string]verb{heldStill: dismiss}},
		"each by itself":               {[]box{up("b.slipway-next", "dead"), up("b", ""), up(boss, "")}, map[string]verb{"b.slipway-next": remove}},
		"a name that somebody made up": {[]box{up("a.slipway-until-soon", ""), up(boss, "")}, map[string]verb{"a.slipway-until-soon": remove}},
	} {
		t.Run(name, func(t *testing.T) {
			var got map[string]verb
			for _, c := range chores(tt.all, "me", now) {
				if got == nil {
					got = map[string]verb{}
				}
				got[c.box.Name] = c.verb
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("chores (-want +got):\n%s", diff)
			}
		})
	}
}
