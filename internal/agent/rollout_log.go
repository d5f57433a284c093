package agent

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	maxLine  = 2000 // bytes of one line
	maxLines = 1000 // unsent lines
	maxBatch = 200  // lines of one request

	flushTime = 5 * time.Second
)

// book holds log lines until the portal has received all of them.
type book struct {
	mu      sync.Mutex
	lines   []string
	dropped int // lines left out beyond maxLines

	sending sync.Mutex // keeps lines in order
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
