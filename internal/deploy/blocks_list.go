package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"slipway/internal/slipway"
	"slipway/store"
)

// PutBlockList makes the archive of a deploy out of blocks, in the order given,
// and has it staged. Sent again, it changes nothing any more.
func (e *Engine) PutBlockList(ctx context.Context, id slipway.DeployID, blocks []string) (slipway.Deploy, error) {
	return e.takeWhole(ctx, id, func(u store.Upload, f *os.File) error {
		size, err := e.checkBlocks(u.ID, blocks)
		if err != nil {
			return err
		}
		if err := e.spare(size); err != nil {
			return err
		}
		for _, block := range blocks {
			if err := appendFile(f, e.blockPath(u.ID, block)); err != nil {
				return fmt.Errorf("assemble upload: %w", err)
			}
		}
		return nil
	})
}

// checkBlocks returns the size of the archive that blocks make.
func (e *Engine) checkBlocks(upload string, blocks []string) (size int64, err error) {
	for _, block := range blocks {
		n, there := sizeOf(e.blockPath(upload, block))
		if !there {
			return 0, ErrNoBlock
		}
		size += n
	}
	if size > e.cfg.Limits.Archive { // a block may stand in the list twice
		return 0, tooLarge("The archive", e.cfg.Limits.Archive)
	}
	return size, nil
}

func appendFile(f *os.File, path string) error {
	block, err := os.Open(path)
	if err != nil {
		return err
	}
	defer block.Close()
	_, err = io.Copy(f, block)
	return err
}

// PutBlob takes the archive of a deploy in whole and has it staged. Sent again,
// it changes nothing any more.
func (e *Engine) PutBlob(ctx context.Context, id slipway.DeployID, r io.Reader) (slipway.Deploy, error) {
	return e.takeWhole(ctx, id, func(u store.Upload, f *os.File) error {
		limit := e.cfg.Limits.Archive
		n, err := e.copyIn(f, io.LimitReader(r, limit))
		if err == nil && n == limit && !atEnd(r) {
			err = tooLarge("The archive", e.cfg.Limits.Archive)
		}
		return err
	})
}

// takeWhole has fill write the archive of a deploy, one request at a time. What
// an earlier one wrote before it broke is written over.
func (e *Engine) takeWhole(ctx context.Context, id slipway.DeployID, fill func(store.Upload, *os.File) error) (w slipway.Deploy, err error) {
	u, w, arrived, err := e.openUpload(ctx, id)
	if err != nil || arrived {
		return w, err
	}
	if _, err := e.arriving.begin(u.ID, 0); err != nil {
		return w, slipway.Errorf(slipway.TooMany, "The files of deploy #%d are being received by another request. Try again in a moment.", w.Number)
	}
	defer e.arriving.end(u.ID, false)
	if now, isHere, err := e.arrivedMeanwhile(ctx, id); err != nil || isHere {
		return now, err
	}
	if err := e.fillUpload(u, w, fill); err != nil {
		return w, err
	}
	if w, err = e.arrived(context.WithoutCancel(ctx), u, w); err != nil {
		return w, err
	}
	return w, e.dropBlocks(u.ID)
}

// arrivedMeanwhile looks again once this request has the upload for itself.
func (e *Engine) arrivedMeanwhile(ctx context.Context, id slipway.DeployID) (slipway.Deploy, bool, error) {
	_, w, arrived, err := e.openUpload(ctx, id)
	return w, arrived, err
}

func (e *Engine) fillUpload(u store.Upload, w slipway.Deploy, fill func(store.Upload, *os.File) error) error {
	f, err := os.OpenFile(e.uploadPath(u.ID), os.O_WRONLY|os.O_TRUNC|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open upload: %w", err)
	}
	err = fill(u, f)
	if size, there := sizeOf(f.Name()); err == nil && there && size == 0 {
		err = slipway.Errorf(slipway.Invalid, "The archive of deploy #%d is empty.", w.Number)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return received(err)
	}
	return nil
}
