package deploy

import (
	"context"
	"fmt"
	"io"

	"slipway/internal/diff"
	"slipway/internal/slipway"
)

// Diff compares the contents of a changed file line by line.
func (e *Engine) Diff(ctx context.Context, d slipway.Deployment, c slipway.Change) (slipway.FileDiff, error) {
	return e.diff(ctx, d, c, diff.Context)
}

// diff compares the contents of a changed file, with so many unchanged lines
// around each change.
func (e *Engine) diff(ctx context.Context, d slipway.Deployment, c slipway.Change, around int) (slipway.FileDiff, error) {
	f, small := diff.New(c)
	if !small {
		return f, nil
	}
	before, after, err := e.contentsOf(ctx, d, c)
	if err != nil {
		return f, err
	}
	err = diff.Contents(&f, before, after, around)
	return f, err
}

// Patch returns a deploy's changes of text files as a patch for git apply, in a
// repository with the DAG bundle's files below dags/.
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
	var p diff.Patch
	for _, c := range r.Plan.Changes {
		if err := e.addToPatch(ctx, r.Deployment, c, &p); err != nil {
			return nil, err
		}
	}
	if p.Empty() {
		return nil, slipway.Errorf(slipway.Conflict, "Deploy #%d changes no text file, and a patch holds nothing else.", number)
	}
	return p.Bytes(fmt.Sprintf("Deploy #%d of %q. Apply it in the repository with: git apply", number, r.Deployment.Name)), nil
}

func (e *Engine) addToPatch(ctx context.Context, d slipway.Deployment, c slipway.Change, p *diff.Patch) error {
	if ok, err := p.Reserve(c); err != nil || !ok {
		return err
	}
	before, after, err := e.contentsOf(ctx, d, c)
	if err != nil {
		return err
	}
	return p.Add(c, before, after)
}

// contentsOf returns a changed file's contents before and after the change.
func (e *Engine) contentsOf(ctx context.Context, d slipway.Deployment, c slipway.Change) (before, after []byte, err error) {
	if before, err = e.text(ctx, d, c.Old); err != nil {
		return nil, nil, err
	}
	after, err = e.text(ctx, d, c.New)
	return before, after, err
}

// text returns the content of f, the target of a symlink, or nothing for the
// zero File.
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
