package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"slipway/internal/slipway"
	"slipway/store"
)

// inBlocks is the Length of an upload of unknown length, in blocks or whole.
// Unlike an upload by form, a lost connection does not end the upload.
const inBlocks = -2

// blocksSuffix is the suffix of the folder with an upload's blocks.
const blocksSuffix = ".d"

// maxBlocks is how many blocks an upload may have, as in Azure Blob Storage.
const maxBlocks = 50_000

// ErrNoBlock is the error of PutBlockList for a list with a missing block.
var ErrNoBlock = &slipway.Error{Kind: slipway.Invalid, Text: "The list names a block that was not uploaded for this deploy."}

// blocks receives archives as the blocks and block lists of Azure Blob Storage.
type blocks struct {
	*base
	endings     *endings
	uploadFiles *uploadFiles
	uploads     *uploads
}

// BeginBlocks makes a deploy for an archive in blocks.
func (b *blocks) BeginBlocks(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, n NewUpload) (slipway.Deploy, error) {
	n.Length = inBlocks
	_, w, err := b.uploads.BeginUpload(ctx, of, by, n)
	return w, err
}

// Arriving returns a deploy and the upload for the upload address. The address
// has no more rights than the author of the deploy: without access of the
// author, Arriving refuses. found is false when the deploy takes no more files.
func (b *blocks) Arriving(ctx context.Context, id slipway.DeployID) (u store.Upload, w slipway.Deploy, found bool, err error) {
	var refusal error
	err = b.store.View(ctx, func(tx *store.Tx) (err error) {
		if w, err = tx.LoadDeploy(id); err != nil {
			return err
		}
		if u, found, err = tx.UploadOf(id); err != nil {
			return err
		}
		refusal = lostAccess(tx, w)
		return nil
	})
	if err != nil || refusal == nil {
		return u, w, found, err
	}
	kind, text := slipway.Explain(refusal)
	if kind == slipway.Internal {
		return u, w, found, refusal
	}
	err = slipway.Errorf(slipway.Forbidden, "This upload address no longer works. %s", text)
	if w.Status == slipway.Initialized {
		err = errors.Join(err, b.endings.Refuse(ctx, w, refusal))
	}
	return u, w, found, err
}

// openUpload returns an upload in blocks that takes more bytes, after another
// check of the author's role. arrived reports a complete upload: the request is
// a repetition.
func (b *blocks) openUpload(ctx context.Context, id slipway.DeployID) (u store.Upload, w slipway.Deploy, arrived bool, err error) {
	u, w, found, err := b.Arriving(ctx, id)
	switch {
	case err != nil:
		return u, w, false, err
	case w.HasDAGs() && w.Status != slipway.Failed && w.Status != slipway.Cancelled:
		return u, w, true, nil
	case w.Status.Ended():
		return u, w, false, errEnded(w)
	case !found || u.Length != inBlocks:
		return u, w, false, slipway.Errorf(slipway.Conflict, "Deploy #%d takes no files in this way.", w.Number)
	}
	u, w, err = b.uploads.mayAppend(ctx, u.ID, w.By)
	return u, w, false, err
}

// errEnded says how w ended.
func errEnded(w slipway.Deploy) error {
	text := fmt.Sprintf("Deploy #%d is %s.", w.Number, w.Status)
	if w.Reason != "" {
		text += " " + w.Reason
	}
	return slipway.Errorf(slipway.Conflict, "%s", text)
}

// PutBlock stores a block of a deploy's archive. A repeated block replaces the
// earlier one.
func (b *blocks) PutBlock(ctx context.Context, id slipway.DeployID, block string, r io.Reader) error {
	u, w, arrived, err := b.openUpload(ctx, id)
	if err != nil {
		return err
	}
	if arrived {
		return slipway.Errorf(slipway.Conflict, "The files of deploy #%d are complete. Make a new deploy.", w.Number)
	}
	total, err := b.blockTotal(u.ID)
	if err != nil {
		return fmt.Errorf("blocks of upload: %w", err)
	}
	path := b.uploadFiles.blockPath(u.ID, block)
	old, known := sizeOf(path)
	if !known && total.count >= maxBlocks {
		return slipway.Errorf(slipway.TooLarge, "An upload may have at most %d blocks.", maxBlocks)
	}
	size, err := b.writeBlock(path, w, r, b.cfg.Limits.Archive-(total.bytes-old))
	if err != nil {
		return err
	}
	b.countBlock(u.ID, size-old, !known)
	if _, _, _, err := b.Arriving(context.WithoutCancel(ctx), id); err != nil {
		return err
	}
	return b.uploads.touch(context.WithoutCancel(ctx), u, w, false) // recorded also if the client is gone
}

func sizeOf(path string) (int64, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	return info.Size(), true
}

// writeBlock writes at most room bytes of r to path.
func (b *blocks) writeBlock(path string, w slipway.Deploy, r io.Reader, room int64) (n int64, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, fmt.Errorf("keep block: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), partialBlock+"*")
	if err != nil {
		return 0, fmt.Errorf("keep block: %w", err)
	}
	defer os.Remove(f.Name()) // finds nothing once renamed
	n, err = b.uploadFiles.copyIn(f, io.LimitReader(r, room))
	if err == nil && n == room && !atEnd(r) {
		err = tooLarge(w.Upload, b.cfg.Limits.Archive)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, unavailable(fmt.Errorf("receive upload: %w", err))
	}
	return n, os.Rename(f.Name(), path)
}

func (b *blocks) countBlock(upload string, bytes int64, added bool) {
	b.uploadFiles.blocks.mu.Lock()
	defer b.uploadFiles.blocks.mu.Unlock()
	t := b.uploadFiles.blocks.all[upload]
	t.bytes += bytes
	if added {
		t.count++
	}
	b.uploadFiles.blocks.all[upload] = t
}

// partialBlock is the prefix of a block's file name during writing. Names of whole
// blocks are hex and never begin with "put-".
const partialBlock = "put-"

// PutBlockList assembles the archive of a deploy from blocks, in the order of
// the list, and wakes staging. A repeated request changes nothing.
func (b *blocks) PutBlockList(ctx context.Context, id slipway.DeployID, blocks []string) (slipway.Deploy, error) {
	return b.receiveWhole(ctx, id, func(u store.Upload, f *os.File) error {
		size, err := b.checkBlocks(u.ID, blocks)
		if err != nil {
			return err
		}
		if err := b.uploadFiles.freeSpace(size); err != nil {
			return err
		}
		for _, block := range blocks {
			if err := appendFile(f, b.uploadFiles.blockPath(u.ID, block)); err != nil {
				return fmt.Errorf("assemble upload: %w", err)
			}
		}
		return nil
	})
}

// checkBlocks returns the size of the archive from blocks.
func (b *blocks) checkBlocks(upload string, blocks []string) (size int64, err error) {
	for _, block := range blocks {
		n, exists := sizeOf(b.uploadFiles.blockPath(upload, block))
		if !exists {
			return 0, ErrNoBlock
		}
		size += n
	}
	if size > b.cfg.Limits.Archive { // a block may stand in the list twice
		return 0, tooLarge("The archive", b.cfg.Limits.Archive)
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

// PutBlob receives the archive of a deploy in one request and wakes staging. A
// repeated request changes nothing.
func (b *blocks) PutBlob(ctx context.Context, id slipway.DeployID, r io.Reader) (slipway.Deploy, error) {
	return b.receiveWhole(ctx, id, func(u store.Upload, f *os.File) error {
		limit := b.cfg.Limits.Archive
		n, err := b.uploadFiles.copyIn(f, io.LimitReader(r, limit))
		if err == nil && n == limit && !atEnd(r) {
			err = tooLarge("The archive", b.cfg.Limits.Archive)
		}
		return err
	})
}

// receiveWhole lets fill write the archive of a deploy, one request at a time. The
// bytes of an earlier, broken request are overwritten.
func (b *blocks) receiveWhole(ctx context.Context, id slipway.DeployID, fill func(store.Upload, *os.File) error) (w slipway.Deploy, err error) {
	u, w, arrived, err := b.openUpload(ctx, id)
	if err != nil || arrived {
		return w, err
	}
	if _, err := b.uploadFiles.arriving.begin(u.ID, 0); err != nil {
		return w, slipway.Errorf(slipway.TooMany, "The files of deploy #%d are being received by another request. Try again in a moment.", w.Number)
	}
	defer b.uploadFiles.arriving.end(u.ID, false)
	if now, isHere, err := b.arrivedBefore(ctx, id); err != nil || isHere {
		return now, err
	}
	if err := b.fillUpload(u, w, fill); err != nil {
		return w, err
	}
	if w, err = b.uploads.arrived(context.WithoutCancel(ctx), u, w); err != nil {
		return w, err
	}
	return w, b.uploadFiles.dropBlocks(u.ID)
}

// arrivedBefore checks again after this request has reserved the upload.
func (b *blocks) arrivedBefore(ctx context.Context, id slipway.DeployID) (slipway.Deploy, bool, error) {
	_, w, arrived, err := b.openUpload(ctx, id)
	return w, arrived, err
}

func (b *blocks) fillUpload(u store.Upload, w slipway.Deploy, fill func(store.Upload, *os.File) error) error {
	f, err := os.OpenFile(b.uploadFiles.uploadPath(u.ID), os.O_WRONLY|os.O_TRUNC|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open upload: %w", err)
	}
	err = fill(u, f)
	if size, exists := sizeOf(f.Name()); err == nil && exists && size == 0 {
		err = slipway.Errorf(slipway.Invalid, "The archive of deploy #%d is empty.", w.Number)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return unavailable(fmt.Errorf("receive upload: %w", err))
	}
	return nil
}

// blockTotal returns the count and size of an upload's blocks. After a restart,
// blockTotal reads the folder.
func (b *blocks) blockTotal(upload string) (t blockTotal, err error) {
	b.uploadFiles.blocks.mu.Lock()
	defer b.uploadFiles.blocks.mu.Unlock()
	t, known := b.uploadFiles.blocks.all[upload]
	if known {
		return t, nil
	}
	entries, err := os.ReadDir(b.uploadFiles.blocksPath(upload))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return t, err
	}
	for _, f := range entries {
		if size, exists := sizeOf(filepath.Join(b.uploadFiles.blocksPath(upload), f.Name())); exists {
			t.bytes, t.count = t.bytes+size, t.count+1
		}
	}
	if b.uploadFiles.blocks.all == nil {
		b.uploadFiles.blocks.all = map[string]blockTotal{}
	}
	b.uploadFiles.blocks.all[upload] = t
	return t, nil
}
