package docker

import (
	"context"
	"strings"
	"testing"
	"time"

	"slipway/internal/agent"
	"slipway/internal/agent/agenttest"
	"slipway/internal/slipway"
)

// A component whose containers are removed leaves; it is back with them.
func TestRolloutScalesDown(t *testing.T) {
	y, p := newYard(t), agenttest.NewRolloutPortal(t)
	y.at = agent.Place{Deployment: "cm1", Component: "scheduler"}
	ref := y.images["two"]
	p.Wants(slipway.Desired{Revision: "1", DAGs: slipway.FromImage, Image: ref, Deployment: "cm1", Runtime: "3.1-4"}, nil)
	rollout(t, p, y.agent(t, time.Minute))
	agenttest.Eventually(t, "it misses containers", func() bool { return strings.HasPrefix(p.Last().Error, "No container that runs") && !p.Last().Leaving })
	y.run(t, "aa", "one")
	agenttest.Eventually(t, "it rolls out", func() bool { return p.Last().Image == y.image("two").Digest() && p.Last().Error == "" })
	y.onlyLeft(t, y.agent(t, time.Minute), "aa")
	y.Docker(t, "rm", "--force", "aa")
	agenttest.Eventually(t, "it has left", func() bool { return p.Last().Leaving })
	y.run(t, "aa", "two")
	agenttest.Eventually(t, "it is back", func() bool { return !p.Last().Leaving && p.Last().Image == y.image("two").Digest() })
}

// rollout runs a Rollout on d until the test ends.
func rollout(t *testing.T, p *agenttest.RolloutPortal, d *Docker) {
	t.Helper()
	r := agent.NewRollout(agent.RolloutConfig{
		Component: "scheduler", Driver: d, Portal: p, Registry: "slipway.example:8888", Log: quiet(),
		Login: func() (agent.Login, error) { return agent.Login{User: "agent", Password: "secret"}, nil },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}
