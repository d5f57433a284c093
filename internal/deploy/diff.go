package deploy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	udiff "github.com/aymanbagabas/go-udiff"

	"slipway/internal/slipway"
)

const (
	diffMax      = 1 << 20 // bytes of a content that is compared
	diffLines    = 5_000   // in all hunks of a file
	diffContext  = 3
	binaryWithin = 8000 // bytes in which a NUL tells that a content is no text
)

// Diff compares the contents of a changed file line by line.
func (e *Engine) Diff(ctx context.Context, d slipway.Deployment, c slipway.Change) (slipway.FileDiff, error) {
	return e.diff(ctx, d, c, diffContext)
}

// diff is Diff with so many unchanged lines around each change.
func (e *Engine) diff(ctx context.Context, d slipway.Deployment, c slipway.Change, around int) (slipway.FileDiff, error) {
	diff := slipway.FileDiff{
		Path: c.Path, OldSize: c.Old.Size, NewSize: c.New.Size, OldSHA256: c.Old.SHA256, NewSHA256: c.New.SHA256,
	}
	if c.Old.Size > diffMax || c.New.Size > diffMax {
		diff.TooLarge = true
		return diff, nil
	}
	before, err := e.text(ctx, d, c.Old)
	if err != nil {
		return diff, err
	}
	after, err := e.text(ctx, d, c.New)
	if err != nil {
		return diff, err
	}
	if isBinary(before) || isBinary(after) {
		diff.Binary = true
		return diff, nil
	}
	return compared(diff, string(before), string(after), around)
}

// text returns the content of f, for a symlink its target, for no file nothing.
func (e *Engine) text(ctx context.Context, d slipway.Deployment, f slipway.File) ([]byte, error) {
	if f.SHA256 == "" {
		return []byte(f.Link), nil
	}
	r, err := e.Content(ctx, d, f)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Path, err)
	}
	return b, nil
}

func isBinary(b []byte) bool {
	return bytes.IndexByte(b[:min(len(b), binaryWithin)], 0) >= 0 || !utf8.Valid(b)
}

func compared(diff slipway.FileDiff, before, after string, around int) (slipway.FileDiff, error) {
	u, err := udiff.ToUnifiedDiff("", "", before, udiff.Lines(before, after), around)
	if err != nil {
		return diff, fmt.Errorf("compare %s: %w", diff.Path, err)
	}
	lines := 0
	for _, h := range u.Hunks {
		next := hunk(h)
		for _, l := range next.Lines {
			switch l.Op {
			case '+':
				diff.Added++
			case '-':
				diff.Removed++
			}
		}
		lines += len(next.Lines)
		diff.Hunks = append(diff.Hunks, next)
	}
	if lines > diffLines {
		diff.TooLarge, diff.Hunks = true, nil
	}
	markWords(diff.Hunks)
	return diff, nil
}

func hunk(from *udiff.Hunk) slipway.Hunk {
	h := slipway.Hunk{OldStart: from.FromLine, NewStart: from.ToLine}
	for _, l := range from.Lines {
		text, ended := strings.CutSuffix(l.Content, "\n")
		line := slipway.DiffLine{Op: ' ', Text: text, NoNewline: !ended}
		switch l.Kind {
		case udiff.Delete:
			line.Op = '-'
		case udiff.Insert:
			line.Op = '+'
		}
		if line.Op != '+' {
			line.Old = h.OldStart + h.OldLines
			h.OldLines++
		}
		if line.Op != '-' {
			line.New = h.NewStart + h.NewLines
			h.NewLines++
		}
		h.Lines = append(h.Lines, line)
	}
	// A side without lines is named by the line before it, as diff -u does.
	if h.OldLines == 0 {
		h.OldStart--
	}
	if h.NewLines == 0 {
		h.NewStart--
	}
	return h
}
