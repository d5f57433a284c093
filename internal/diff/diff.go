// Package diff compares two contents of a file line by line and word by word,
// and writes patches for git.
package diff

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	udiff "github.com/aymanbagabas/go-udiff"

	"slipway/internal/slipway"
)

const (
	// MaxSize is the size of the largest content compared, in bytes.
	MaxSize = 1 << 20

	// Context is the usual number of unchanged lines around a change.
	Context = 3

	maxLines     = 5_000 // in all hunks of a file
	binaryPrefix = 8000  // bytes searched for a NUL, as git does
)

// New returns the FileDiff of a change, without hunks, and whether its contents
// may be compared: none of them is larger than MaxSize.
func New(c slipway.Change) (d slipway.FileDiff, small bool) {
	d = slipway.FileDiff{
		Path: c.Path, OldSize: c.Old.Size, NewSize: c.New.Size, OldSHA256: c.Old.SHA256, NewSHA256: c.New.SHA256,
	}
	d.TooLarge = c.Old.Size > MaxSize || c.New.Size > MaxSize
	return d, !d.TooLarge
}

// Contents fills in the hunks of d with the unchanged lines around each change and
// those in shown, and marks the words that differ. For large and binary contents, d
// has a flag instead of hunks.
func Contents(d *slipway.FileDiff, before, after []byte, shown []slipway.LineRange) error {
	if d.TooLarge = len(before) > MaxSize || len(after) > MaxSize; d.TooLarge {
		return nil
	}
	was, is := slipway.FormOf(before), slipway.FormOf(after)
	d.Words = formWords(before, after, was, is)
	if !was.Shown() || !is.Shown() {
		d.Binary = true
		return nil
	}
	hunks, err := hunks(d.Path, string(before), string(after), Context)
	if err != nil {
		return err
	}
	lines := 0
	for _, h := range hunks {
		for _, l := range h.Lines {
			switch l.Op {
			case '+':
				d.Added++
			case '-':
				d.Removed++
			}
		}
		lines += len(h.Lines)
	}
	if lines > maxLines {
		d.TooLarge = true
		return nil
	}
	d.Lines = lineCount(after)
	hunks = widened(hunks, string(after), shown, maxLines-lines)
	readable(hunks, was, is)
	markWords(hunks)
	d.Hunks = hunks
	return nil
}

// formWords names the parts of the form of after that are unusual, or other than
// before.
func formWords(before, after []byte, was, is slipway.TextForm) []string {
	switch {
	case len(after) == 0: // removed, or emptied
		return nil
	case len(before) == 0:
		return is.Words()
	}
	return is.Since(was, true)
}

// readable makes the lines of hunks characters. Line ends of Windows are left out
// where all lines, before and after, have them.
func readable(hunks []slipway.Hunk, was, is slipway.TextForm) {
	alike := was.OneEnd() && is.OneEnd() && (was.Ends == is.Ends || was.Ends == "" || is.Ends == "")
	for _, h := range hunks {
		for i := range h.Lines {
			l := &h.Lines[i]
			if l.Text = slipway.Readable(l.Text); alike && !l.NoNewline {
				l.Text = strings.TrimSuffix(l.Text, "\r")
			}
		}
	}
}

// AddsBidi reports whether lines that after adds to before hold bidirectional
// controls.
func AddsBidi(path string, before, after []byte) (bool, error) {
	if !bytes.ContainsFunc(after, slipway.IsBidi) {
		return false, nil
	}
	hunks, err := hunks(path, string(before), string(after), 0)
	for _, h := range hunks {
		for _, l := range h.Lines {
			if l.Op == '+' && strings.ContainsFunc(l.Text, slipway.IsBidi) {
				return true, nil
			}
		}
	}
	return false, err
}

// IsBinary reports whether b is no text: it has a NUL near its beginning, or is
// not UTF-8.
func IsBinary(b []byte) bool {
	return bytes.IndexByte(b[:min(len(b), binaryPrefix)], 0) >= 0 || !utf8.Valid(b)
}

func hunks(path, before, after string, around int) ([]slipway.Hunk, error) {
	u, err := udiff.ToUnifiedDiff("", "", before, udiff.Lines(before, after), around)
	if err != nil {
		return nil, fmt.Errorf("compare %s: %w", path, err)
	}
	var all []slipway.Hunk
	for _, h := range u.Hunks {
		all = append(all, hunk(h))
	}
	return all, nil
}

func hunk(from *udiff.Hunk) slipway.Hunk {
	h := slipway.Hunk{OldStart: from.FromLine, NewStart: from.ToLine}
	for _, l := range from.Lines {
		text, terminated := strings.CutSuffix(l.Content, "\n")
		line := slipway.DiffLine{Op: ' ', Text: text, NoNewline: !terminated}
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
	// As diff -u, a side without lines has the number of the line before.
	if h.OldLines == 0 {
		h.OldStart--
	}
	if h.NewLines == 0 {
		h.NewStart--
	}
	return h
}
