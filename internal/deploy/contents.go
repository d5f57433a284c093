package deploy

import (
	"context"
	"fmt"
	"io"

	"slipway/internal/diff"
	"slipway/internal/slipway"
	"slipway/store"
)

// DiffContents compares two contents of the file at path, given by sha256, or ""
// for no file.
func (e *Engine) DiffContents(ctx context.Context, d slipway.Deployment, path, old, next string) (slipway.FileDiff, error) {
	f := slipway.FileDiff{Path: path, OldSHA256: old, NewSHA256: next}
	before, err := e.contentAt(ctx, d, path, old)
	if err != nil {
		return f, err
	}
	after, err := e.contentAt(ctx, d, path, next)
	if err != nil {
		return f, err
	}
	f.OldSize, f.NewSize = int64(len(before)), int64(len(after))
	err = diff.Contents(&f, before, after, diff.Context)
	return f, err
}

// contentAt reads a content, up to one byte over diff.MaxSize.
func (e *Engine) contentAt(ctx context.Context, d slipway.Deployment, path, sum string) ([]byte, error) {
	if sum == "" {
		return nil, nil
	}
	f, stored := slipway.File{Path: path, SHA256: sum}, false
	err := e.store.View(ctx, func(tx *store.Tx) (err error) {
		f.Place, stored, err = tx.Content(d.ID, sum)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !stored {
		return nil, slipway.Errorf(slipway.NotFound, "What dags/%s held then is no longer kept.", path)
	}
	r, err := e.Content(ctx, d, f)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, diff.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return b, nil
}
