package agent

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"slipway/internal/agent/agenttest"
	"slipway/internal/slipway"
)

// logLines is a log that several goroutines may write and read.
type logLines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logLines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// TestLossAndRecoveryAreLogged: both agents log once that the portal is away,
// and once that it answers again.
func TestLossAndRecoveryAreLogged(t *testing.T) {
	for name, run := range map[string]func(ctx context.Context, p *agenttest.RolloutPortal, log *slog.Logger) error{
		"DAGs": func(ctx context.Context, p *agenttest.RolloutPortal, log *slog.Logger) error {
			return New(Config{Dir: mountDir(t), Component: "worker-0", Portal: p, Log: log}).Run(ctx)
		},
		"images": func(ctx context.Context, p *agenttest.RolloutPortal, log *slog.Logger) error {
			return NewRollout(RolloutConfig{
				Component: "worker-0", Driver: &Exec{}, Portal: p, Log: log, Login: func() (Login, error) { return Login{}, nil },
			}).Run(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, log := agenttest.NewRolloutPortal(t), &logLines{}
			p.Wants(slipway.Desired{}, errors.New("the portal is away"))
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- run(ctx, p, slog.New(slog.NewTextHandler(log, nil))) }()
			agenttest.Eventually(t, "the loss is logged", func() bool { return log.count("ask for the desired state") == 1 })

			p.Wants(slipway.Desired{Revision: "1", DAGs: slipway.FromImage}, nil)

			agenttest.Eventually(t, "the recovery is logged", func() bool { return log.count("the portal answers again") == 1 })
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if n := log.count("ask for the desired state"); n != 1 {
				t.Errorf("the loss is logged %d times, want once", n)
			}
		})
	}
}
