package diff

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"slipway/internal/slipway"
)

// MaxPatch is the most bytes of contents compared for one Patch.
const MaxPatch = 32 << 20

// Patch collects changes of text files as a patch for git apply, in a repository
// with the files below dags/. The zero Patch is empty.
type Patch struct {
	body    bytes.Buffer
	skipped []string // paths of binary and large files
	remarks []string // on what a reader of the patch does not see
	read    int64    // bytes of contents
}

// Reserve reports whether the contents of a change belong in the patch: neither
// is larger than MaxSize, and all contents together not larger than MaxPatch,
// which is an error otherwise. A change of the mode alone needs no content, of
// whatever size.
func (p *Patch) Reserve(c slipway.Change) (bool, error) {
	if c.ModeOnly() {
		return true, nil
	}
	if c.Old.Size > MaxSize || c.New.Size > MaxSize {
		p.skipped = append(p.skipped, c.Path)
		return false, nil
	}
	if p.read += c.Old.Size + c.New.Size; p.read > MaxPatch {
		return false, slipway.Errorf(slipway.TooLarge, "This deploy changes too much for a patch: more than %d MiB. Download its version instead.", MaxPatch>>20)
	}
	return true, nil
}

// Empty reports whether no text file was added.
func (p *Patch) Empty() bool { return p.body.Len() == 0 }

// Bytes returns the patch below a title and the list of skipped files, lines
// that git ignores.
func (p *Patch) Bytes(title string) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, title)
	for _, path := range p.skipped {
		fmt.Fprintf(&b, "Not in it, as it is no text or too large: %s\n", named(path))
	}
	for _, text := range p.remarks {
		fmt.Fprintln(&b, text)
	}
	b.WriteByte('\n')
	b.Write(p.body.Bytes())
	return b.Bytes()
}

// Add adds a changed file, or lists a binary file as skipped. Of a change of the
// mode alone, the contents may be nil.
func (p *Patch) Add(c slipway.Change, before, after []byte) error {
	if c.ModeOnly() {
		return p.add(c, "", "")
	}
	if IsBinary(before) || IsBinary(after) {
		p.skipped = append(p.skipped, c.Path)
		return nil
	}
	if err := p.remark(c, before, after); err != nil {
		return err
	}
	return p.add(c, string(before), string(after))
}

// remark notes changes of line endings and encoding, and bidirectional controls.
func (p *Patch) remark(c slipway.Change, before, after []byte) error {
	if c.Op == slipway.Removed || c.New.Link != "" {
		return nil
	}
	if c.Old.Link != "" {
		before = nil // a target is no text
	}
	for _, text := range formWords(before, after, slipway.FormOf(before), slipway.FormOf(after)) {
		p.remarks = append(p.remarks, fmt.Sprintf("In %s: %s", named(c.Path), text))
	}
	bidi, err := AddsBidi(c.Path, before, after)
	if bidi {
		p.remarks = append(p.remarks, fmt.Sprintf("In %s: added lines hold bidirectional controls, which can make code look like other code", named(c.Path)))
	}
	return err
}

// add adds a change of text. A file in place of a link, or the reverse, is a
// removal and an addition.
func (p *Patch) add(c slipway.Change, before, after string) error {
	if c.Op == slipway.Changed && (c.Old.Link == "") != (c.New.Link == "") {
		if err := p.add(slipway.Change{Op: slipway.Removed, Path: c.Path, Old: c.Old}, before, ""); err != nil {
			return err
		}
		c.Op, before = slipway.Added, ""
	}
	hunks, err := hunks(c.Path, before, after, Context)
	if err != nil {
		return err
	}
	old, next := quoted("a/dags/"+c.Path), quoted("b/dags/"+c.Path)
	fmt.Fprintf(&p.body, "diff --git %s %s\n", old, next)
	switch was, is := c.Old.Mode(), c.New.Mode(); {
	case c.Op == slipway.Added:
		fmt.Fprintf(&p.body, "new file mode %s\n", is)
		old = "/dev/null"
	case c.Op == slipway.Removed:
		fmt.Fprintf(&p.body, "deleted file mode %s\n", was)
		next = "/dev/null"
	case was != is:
		fmt.Fprintf(&p.body, "old mode %s\nnew mode %s\n", was, is)
	}
	if len(hunks) > 0 {
		fmt.Fprintf(&p.body, "--- %s\n+++ %s\n", terminated(old), terminated(next))
	}
	for _, h := range hunks {
		p.addHunk(h)
	}
	return nil
}

func (p *Patch) addHunk(h slipway.Hunk) {
	fmt.Fprintf(&p.body, "@@ -%d,%d +%d,%d @@\n", h.OldStart, h.OldLines, h.NewStart, h.NewLines)
	for _, l := range h.Lines {
		p.body.WriteByte(l.Op)
		p.body.WriteString(l.Text)
		p.body.WriteByte('\n')
		if l.NoNewline {
			p.body.WriteString("\\ No newline at end of file\n")
		}
	}
}

// named quotes a file for a remark, with hidden characters made visible.
func named(path string) string { return strconv.Quote(slipway.Visible("dags/" + path)) }

// quoted returns a name in git's quotes, with hidden characters as octal numbers of their
// bytes.
func quoted(name string) string {
	hidden := slipway.HiddenRunes(name)
	if len(hidden) == 0 && !strings.ContainsAny(name, `"\`) {
		return name
	}
	var b strings.Builder
	escaped, at := strings.NewReplacer(`\`, `\\`, `"`, `\"`), 0
	for _, h := range hidden {
		b.WriteString(escaped.Replace(name[at:h.At]))
		at = h.At + utf8.RuneLen(h.Rune)
		for _, c := range []byte(name[h.At:at]) {
			fmt.Fprintf(&b, `\%03o`, c)
		}
	}
	b.WriteString(escaped.Replace(name[at:]))
	return `"` + b.String() + `"`
}

// terminated marks the end of a name with spaces by a tab.
func terminated(name string) string {
	if strings.Contains(name, " ") && !strings.HasPrefix(name, `"`) {
		return name + "\t"
	}
	return name
}
