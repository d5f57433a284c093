package agenttest

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/internal/archive"
	"slipway/internal/bundle"
	"slipway/internal/slipway"
)

// Portal is a small portal on a real bundle store.
type Portal struct {
	bundle.Source
	store *bundle.Store

	mu      sync.Mutex
	want    slipway.Desired
	changed chan struct{} // closed when want changes
	fail    error         // answer to every call
	reports []slipway.Report
}

// NewPortal returns a Portal with an empty bundle store.
func NewPortal(t *testing.T) *Portal {
	t.Helper()
	st, err := bundle.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &Portal{Source: st.Source("ns"), store: st, changed: make(chan struct{})}
}

// Desired returns the desired state once its revision is not since.
func (p *Portal) Desired(ctx context.Context, since string) (slipway.Desired, error) {
	for {
		p.mu.Lock()
		want, changed, err := p.want, p.changed, p.fail
		p.mu.Unlock()
		if err != nil || want.Revision != since {
			return want, err
		}
		select {
		case <-ctx.Done():
			return want, ctx.Err()
		case <-changed:
		}
	}
}

// Manifest opens the manifest of a version.
func (p *Portal) Manifest(ctx context.Context, v slipway.Version) (io.ReadCloser, error) {
	return p.store.OpenManifest(ctx, "ns", v)
}

// Report keeps a report.
func (p *Portal) Report(_ context.Context, r slipway.Report) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail == nil {
		p.reports = append(p.reports, r)
	}
	return p.fail
}

// Wants changes the desired state, and the answer to calls.
func (p *Portal) Wants(d slipway.Desired, fail error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want, p.fail = d, fail
	close(p.changed)
	p.changed = make(chan struct{})
}

// Last returns the last report; zero for none.
func (p *Portal) Last() (r slipway.Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.reports) > 0 {
		r = p.reports[len(p.reports)-1]
	}
	return r
}

// Put stores a version with one file, a.py.
func (p *Portal) Put(t *testing.T, v slipway.Version, text string) slipway.Desired {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "a.py", Mode: 0o644, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	unknown := func(string) (at slipway.Place, ok bool) { return at, false }
	staged, err := p.store.Stage(t.Context(), "ns", bytes.NewReader(b.Bytes()), int64(b.Len()), archive.DefaultLimits(), archive.Search{}, unknown)
	if err == nil {
		_, err = p.store.PutManifest("ns", slipway.Manifest{Version: v, Files: staged.Files})
	}
	if err != nil {
		t.Fatal(err)
	}
	return slipway.Desired{Revision: string(v), DAGs: slipway.FromBundle, Version: v}
}

// RolloutPortal is a Portal with a deploy log.
type RolloutPortal struct {
	*Portal
	Slow   time.Duration // delay of Log
	logged []string      // guarded by the Portal's lock
	early  []string      // errors reported before being logged
}

// NewRolloutPortal returns a RolloutPortal with an empty log.
func NewRolloutPortal(t *testing.T) *RolloutPortal { return &RolloutPortal{Portal: NewPortal(t)} }

// Log keeps lines of a deploy's log.
func (b *RolloutPortal) Log(_ context.Context, component string, lines []string) error {
	time.Sleep(b.Slow)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail == nil {
		for _, l := range lines {
			b.logged = append(b.logged, component+": "+l)
		}
	}
	return b.fail
}

// Report keeps r, and errors that are reported too early.
func (b *RolloutPortal) Report(ctx context.Context, r slipway.Report) error {
	if !strings.Contains(b.Logged(), r.Error) {
		b.mu.Lock()
		b.early = append(b.early, r.Error)
		b.mu.Unlock()
	}
	return b.Portal.Report(ctx, r)
}

// Logged returns the deploy log.
func (b *RolloutPortal) Logged() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.logged, "\n")
}

// Fail changes the answer of every call to an error.
func (p *Portal) Fail(err error) {
	p.mu.Lock()
	want := p.want
	p.mu.Unlock()
	p.Wants(want, err)
}

// Reports returns all reports.
func (p *Portal) Reports() []slipway.Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.reports)
}

// Early returns the errors reported before being logged.
func (b *RolloutPortal) Early() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.early)
}
