package deploy

import (
	"context"
	"fmt"
	"io"

	"slipway/internal/slipway"
	"slipway/store"
)

// DiffContents compares two contents that the file at path had, named by their
// sha256; "" for no file.
func (e *Engine) DiffContents(ctx context.Context, d slipway.Deployment, path, old, next string) (slipway.FileDiff, error) {
	diff := slipway.FileDiff{Path: path, OldSHA256: old, NewSHA256: next}
	before, err := e.contentAt(ctx, d, path, old)
	if err != nil {
		return diff, err
	}
	after, err := e.contentAt(ctx, d, path, next)
	if err != nil {
		return diff, err
	}
	diff.OldSize, diff.NewSize = int64(len(before)), int64(len(after))
	switch {
	case len(before) > diffMax || len(after) > diffMax:
		diff.TooLarge = true
		return diff, nil
	case isBinary(before) || isBinary(after):
		diff.Binary = true
		return diff, nil
	}
	return compared(diff, string(before), string(after), diffContext)
}

// contentAt reads a content, or a byte more of it than can be compared.
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
	b, err := io.ReadAll(io.LimitReader(r, diffMax+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return b, nil
}
