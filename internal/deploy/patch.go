package deploy

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	udiff "github.com/aymanbagabas/go-udiff"

	"slipway/internal/slipway"
)

// patchMax is how many bytes of contents a patch compares in all.
const patchMax = 32 << 20

// Patch returns what a deploy does to text files as a patch for git apply, in a
// repository that has them below dags/.
func (e *Engine) Patch(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor) ([]byte, error) {
	r, err := e.Done(ctx, of, number, by)
	if err == nil && r.Deploy.Status == slipway.Staged {
		r, err = e.Review(ctx, of, number, by)
	}
	if err != nil {
		return nil, err
	}
	if c := r.Plan.Counts; len(r.Plan.Changes) == 0 {
		if c.Added+c.Changed+c.Removed > 0 && r.Deploy.WentLive() {
			return nil, slipway.Errorf(slipway.NotFound, "The versions before and after deploy #%d are no longer kept, so that there is no patch.", number)
		}
		return nil, slipway.Errorf(slipway.Conflict, "Deploy #%d changes no file.", number)
	}
	var p patch
	for _, c := range r.Plan.Changes {
		if err := e.addToPatch(ctx, r.Deployment, c, &p); err != nil {
			return nil, err
		}
	}
	if p.body.Len() == 0 {
		return nil, slipway.Errorf(slipway.Conflict, "Deploy #%d changes no text file, and a patch holds nothing else.", number)
	}
	return p.with(fmt.Sprintf("Deploy #%d of %q. Apply it in the repository with: git apply", number, r.Deployment.Name)), nil
}

func (e *Engine) addToPatch(ctx context.Context, d slipway.Deployment, c slipway.Change, p *patch) error {
	if c.Old.Size > diffMax || c.New.Size > diffMax {
		p.left = append(p.left, c.Path)
		return nil
	}
	if p.read += c.Old.Size + c.New.Size; p.read > patchMax {
		return slipway.Errorf(slipway.TooLarge, "This deploy changes too much for a patch: more than %d MiB. Download its version instead.", patchMax>>20)
	}
	before, err := e.text(ctx, d, c.Old)
	if err != nil {
		return err
	}
	after, err := e.text(ctx, d, c.New)
	if err != nil {
		return err
	}
	if isBinary(before) || isBinary(after) {
		p.left = append(p.left, c.Path)
		return nil
	}
	return p.add(c, string(before), string(after))
}

// patch is the making of a patch.
type patch struct {
	body bytes.Buffer
	left []string // paths of what is no text
	read int64    // bytes of contents
}

// with returns the patch below a line of text, which git skips.
func (p *patch) with(title string) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, title)
	for _, path := range p.left {
		fmt.Fprintf(&b, "Not in it, as it is no text or too large: %q\n", "dags/"+path)
	}
	b.WriteByte('\n')
	b.Write(p.body.Bytes())
	return b.Bytes()
}

// add adds a changed file. One that becomes a link, or was one, is removed and
// added.
func (p *patch) add(c slipway.Change, before, after string) error {
	if c.Op == slipway.Changed && (c.Old.Link == "") != (c.New.Link == "") {
		if err := p.add(slipway.Change{Op: slipway.Removed, Path: c.Path, Old: c.Old}, before, ""); err != nil {
			return err
		}
		c.Op, before = slipway.Added, ""
	}
	u, err := udiff.ToUnifiedDiff("", "", before, udiff.Lines(before, after), diffContext)
	if err != nil {
		return fmt.Errorf("compare %s: %w", c.Path, err)
	}
	old, next := quoted("a/dags/"+c.Path), quoted("b/dags/"+c.Path)
	fmt.Fprintf(&p.body, "diff --git %s %s\n", old, next)
	switch was, is := gitMode(c.Old), gitMode(c.New); {
	case c.Op == slipway.Added:
		fmt.Fprintf(&p.body, "new file mode %s\n", is)
		old = "/dev/null"
	case c.Op == slipway.Removed:
		fmt.Fprintf(&p.body, "deleted file mode %s\n", was)
		next = "/dev/null"
	case was != is:
		fmt.Fprintf(&p.body, "old mode %s\nnew mode %s\n", was, is)
	}
	if len(u.Hunks) > 0 {
		fmt.Fprintf(&p.body, "--- %s\n+++ %s\n", terminated(old), terminated(next))
	}
	for _, h := range u.Hunks {
		p.addHunk(hunk(h))
	}
	return nil
}

func (p *patch) addHunk(h slipway.Hunk) {
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

func gitMode(f slipway.File) string {
	switch {
	case f.Link != "":
		return "120000"
	case f.Exec:
		return "100755"
	}
	return "100644"
}

// quoted returns a name as git writes it. Names hold no control characters.
func quoted(name string) string {
	if !strings.ContainsAny(name, `"\`) {
		return name
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// terminated marks where a name with spaces ends.
func terminated(name string) string {
	if strings.Contains(name, " ") && !strings.HasPrefix(name, `"`) {
		return name + "\t"
	}
	return name
}
