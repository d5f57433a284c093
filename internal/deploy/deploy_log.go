package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode"

	"slipway/internal/slipway"
	"slipway/store"
)

const (
	logEvery   = 200 * time.Millisecond // is how often lines are kept
	logLine    = 2000                   // bytes to keep of a line
	logLines   = 5000                   // lines to keep of a rollout
	logPage    = 1000                   // lines in one answer of Log
	logOmitted = "What follows is left out: the log is too long."
)

// deployLog stores the output of a rollout line by line, during the rollout.
type deployLog struct {
	*base
	ctx  context.Context // never cancelled: lines of a cancelled command are kept, too
	w    slipway.Deploy
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	rest    []byte // of an unfinished line
	pending []string
	count   int
	last    string // last line of the command that was not empty
	err     error
}

// keep stores new lines at intervals until Close.
func (l *deployLog) keep() {
	defer close(l.done)
	tick := time.NewTicker(logEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			l.flush()
			return
		case <-tick.C:
			l.flush()
		}
	}
}

// Close stores the remaining lines.
func (l *deployLog) Close() error {
	l.mu.Lock()
	if len(l.rest) > 0 {
		l.line(string(l.rest))
		l.rest = nil
	}
	l.mu.Unlock()
	close(l.stop)
	<-l.done
	return l.err
}

func (l *deployLog) flush() {
	l.mu.Lock()
	lines := l.pending
	l.pending = nil
	l.mu.Unlock()
	if len(lines) == 0 {
		return
	}
	err := l.store.Update(l.ctx, func(tx *store.Tx) error { return tx.AddLog(l.w.ID, lines) })
	if err != nil {
		l.mu.Lock()
		l.err = errors.Join(l.err, fmt.Errorf("keep log: %w", err))
		l.mu.Unlock()
		return
	}
	l.watchers.notify(l.w.Deployment)
}

// Write takes the output of a command.
func (l *deployLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, b...)
	for {
		text, rest, found := strings.Cut(string(l.rest), "\n")
		if !found {
			if len(l.rest) > logLine {
				l.line(string(l.rest))
				l.rest = nil
			}
			return len(b), nil
		}
		l.rest = []byte(rest)
		l.line(text)
	}
}

// line notes a line of a command. The caller holds l.mu.
func (l *deployLog) line(text string) {
	text = plain(text)
	if strings.TrimSpace(text) != "" {
		l.last = text
	}
	l.add(text)
}

func (l *deployLog) add(text string) {
	switch l.count++; {
	case l.count < logLines:
		l.pending = append(l.pending, text)
	case l.count == logLines:
		l.pending = append(l.pending, logOmitted)
	}
}

// note notes a line of our own.
func (l *deployLog) note(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count >= logLines { // a long log still gets its last line
		l.pending = append(l.pending, text)
		return
	}
	l.add(text)
}

// lastLine returns the last line of the command, as an addition to a sentence.
func (l *deployLog) lastLine() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.last
	if len(l.rest) > 0 {
		last = plain(string(l.rest))
	}
	if last = strings.TrimSpace(last); last == "" {
		return ""
	}
	return " It said last: " + strings.TrimSuffix(last, ".") + "."
}

// plain returns a line for display: the text after the last carriage return,
// without colours, other control codes and internal addresses.
func plain(text string) string {
	text = strings.TrimRight(text, "\r")
	text = text[strings.LastIndex(text, "\r")+1:]
	text = strings.ToValidUTF8(text, "�")
	var b strings.Builder
	escaped := false
	for _, r := range text {
		switch {
		case r == '\x1b':
			escaped = true
		case escaped:
			escaped = !unicode.IsLetter(r)
		case r == '\t' || !unicode.IsControl(r):
			b.WriteRune(r)
		}
	}
	text = slipway.HideAddresses(b.String())
	if len(text) > logLine {
		text = strings.ToValidUTF8(text[:logLine], "") + "…"
	}
	return text
}
