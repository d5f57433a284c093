package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

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

// A report that the portal is slow to take when the agent ends comes before the one
// that signs off: else the portal would wait for an agent that is gone.
func TestSignOffIsTheLastReport(t *testing.T) {
	var mu sync.Mutex
	var taken []slipway.Report
	arrived := make(chan struct{}, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodGet { // the desired state
			<-req.Context().Done()
			return
		}
		var r slipway.Report
		if err := json.NewDecoder(req.Body).Decode(&r); err != nil {
			t.Error(err)
		}
		if !r.Leaving {
			arrived <- struct{}{}
			time.Sleep(300 * time.Millisecond)
		}
		mu.Lock()
		defer mu.Unlock()
		taken = append(taken, r)
		w.WriteHeader(http.StatusNoContent)
	}))
	at, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewRemote(RemoteConfig{URL: at, Token: func() (string, error) { return "swa_x", nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- New(Config{Dir: mountDir(t), Component: "worker-0", Portal: p, Log: slog.New(slog.DiscardHandler)}).Run(ctx)
	}()
	<-arrived
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	srv.Close() // waits for requests
	if len(taken) < 2 || !taken[len(taken)-1].Leaving {
		t.Errorf("the reports were %+v", taken)
	}
}
