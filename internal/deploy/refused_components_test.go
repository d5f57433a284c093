package deploy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// Beyond the limit of connected components a report is refused, and said so until a
// component of the name is taken or falls silent. Silent components make room.
func TestRefusedComponents(t *testing.T) {
	a := newApp(t)
	p := a.farAway(t)
	now := time.Now()
	a.Store.Now = func() time.Time { return now }
	report := func(name string) error {
		return p.Report(t.Context(), slipway.Report{Component: name, DAGs: slipway.FromImage})
	}
	want := func(want slipway.Refused) {
		t.Helper()
		if got := a.Engine.Refused(a.sales(t).ID); got != want {
			t.Errorf("%+v are refused, want %+v", got, want)
		}
	}
	for i := range slipway.MaxComponents {
		if err := report(fmt.Sprintf("a-%03d", i)); err != nil {
			t.Fatal(err)
		}
	}
	want(slipway.Refused{})
	for _, name := range []string{"late-2", "late-1", "late-2"} {
		wantKind(t, report(name), slipway.TooMany, "Give more agents a token of their own")
	}
	want(slipway.Refused{Count: 2, One: "late-1"})
	if err := report("a-007"); err != nil { // known already
		t.Error(err)
	}
	now = now.Add(slipway.SilentAfter)
	want(slipway.Refused{})
	for i := range slipway.MaxDeploymentComponents + 100 { // Pods with new names, each gone before the next
		if i%slipway.MaxComponents == 0 {
			now = now.Add(slipway.SilentAfter)
		}
		if err := report(fmt.Sprintf("pod-%05d", i)); err != nil {
			t.Fatalf("pod %d: %v", i, err)
		}
	}
	all := a.Engine.Components(a.sales(t).ID)
	if len(all) != slipway.MaxDeploymentComponents || !strings.HasPrefix(all[len(all)-1].Component, "pod-0") {
		t.Errorf("%d components are listed, want %d", len(all), slipway.MaxDeploymentComponents)
	}
}

// The time of the last report is kept when the components have gone.
func TestSeenAt(t *testing.T) {
	a := newApp(t)
	p := a.farAway(t)
	if at := a.Engine.SeenAt(a.sales(t).ID); !at.IsZero() {
		t.Errorf("seen %v before the first report", at)
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	a.Store.Now = func() time.Time { return now }
	for _, leaving := range []bool{false, true} {
		if err := p.Report(t.Context(), slipway.Report{Component: "worker-0", DAGs: slipway.FromImage, Leaving: leaving}); err != nil {
			t.Fatal(err)
		}
	}
	seen := now
	now = now.Add(2 * slipway.ForgottenAfter)
	d := a.sales(t)
	d.SeenAt = a.Engine.SeenAt(d.ID)
	health, reason := d.Health(a.Engine.Components(d.ID), slipway.Refused{}, nil, now)
	if !d.SeenAt.Equal(seen) || health != slipway.Unhealthy || !strings.Contains(reason, "last seen") {
		t.Errorf("seen %v, want %v; %s, %q", d.SeenAt, seen, health, reason)
	}
}

// TestSeenAfterARestart: a portal that has just started knows when an agent asked last.
func TestSeenAfterARestart(t *testing.T) {
	a := newApp(t)
	a.farAway(t)
	now := time.Now().UTC().Truncate(time.Millisecond)
	a.Store.Now = func() time.Time { return now }
	storetest.Update(t, a.Store, func(tx *store.Tx) error {
		made, err := tx.AddToken(store.Token{ID: tx.NewTokenID(), Secret: "s", Kind: store.AgentToken, Name: "agent", Workspace: a.Workspace.ID, Deployment: a.Sales.ID, Role: slipway.Member})
		return errors.Join(err, tx.TouchToken(made.ID))
	})
	seen := now
	now = now.Add(time.Hour)
	a.Build(t)
	a.Run(t)
	a.Eventually(t, "the last use of the agent's token is known", func() bool { return a.Engine.SeenAt(a.Sales.ID).Equal(seen) })
	d := a.sales(t)
	d.SeenAt = a.Engine.SeenAt(d.ID)
	if health, reason := d.Health(nil, slipway.Refused{}, nil, now); health != slipway.Unhealthy || !strings.Contains(reason, "last seen") {
		t.Errorf("%s, %q", health, reason)
	}
}
