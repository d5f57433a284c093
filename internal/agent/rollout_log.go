package agent

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	maxLine  = 2000 // bytes of one line
	maxLines = 1000 // that wait for the portal
	maxBatch = 200  // lines of one request

	flushTime = 5 * time.Second
)

// book holds the lines that the portal has not got yet.
type book struct {
	mu      sync.Mutex
	lines   []string
	dropped int // lines for which there was no room

	sending sync.Mutex // so that lines stay in order
}

func (b *book) add(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lines) >= maxLines {
		b.dropped++
		return
	}
	if len(line) > maxLine {
		line = strings.ToValidUTF8(line[:maxLine], "") + "…"
	}
	b.lines = append(b.lines, line)
}

// batch returns the lines to send next.
func (b *book) batch() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lines) < maxLines && b.dropped > 0 {
		b.lines = append(b.lines, fmt.Sprintf("(%d lines were left out)", b.dropped))
		b.dropped = 0
	}
	return b.lines[:min(len(b.lines), maxBatch):min(len(b.lines), maxBatch)]
}

// sent forgets the first n lines.
func (b *book) sent(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = b.lines[n:]
}

// say puts a line into the deploy's log.
func (r *Rollout) say(line string) {
	r.book.add(line)
	r.said.set()
}

// logging sends lines as they come.
func (r *Rollout) logging(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.said:
		}
		for tries := 0; r.flush(ctx) != nil && ctx.Err() == nil; tries++ {
			pause(ctx, tries, nil)
		}
	}
}

// flush sends all lines that wait.
func (r *Rollout) flush(ctx context.Context) error {
	r.book.sending.Lock()
	defer r.book.sending.Unlock()
	for {
		lines := r.book.batch()
		if len(lines) == 0 {
			return nil
		}
		if err := r.cfg.Portal.Log(ctx, r.cfg.Component, lines); err != nil {
			return err
		}
		r.book.sent(len(lines))
	}
}

// flushWithin sends all lines that wait, unless that takes too long.
func (r *Rollout) flushWithin(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d)
	defer cancel()
	if err := r.flush(ctx); err != nil {
		r.log.Warn("send the deploy's log", slog.Any("error", err))
	}
}
