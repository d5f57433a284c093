package deploy

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"slipway/internal/quota"
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

// ErrMD5 is the error for an archive with another MD5 than announced.
var ErrMD5 = &slipway.Error{Kind: slipway.Invalid, Text: "The archive that arrived has another MD5 than the one announced. Upload it again."}

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

// Blob returns the archive of a deploy as received by the upload address. found
// is false until the archive is complete.
func (b *blocks) Blob(ctx context.Context, w slipway.Deploy) (blob store.Blob, found bool, err error) {
	err = b.store.View(ctx, func(tx *store.Tx) (err error) {
		blob, found, err = tx.Blob(w.ID)
		return err
	})
	return blob, found && w.HasDAGs(), err
}

// Blocks returns the blocks of the archive of a deploy; nil for an archive that came
// whole, or is not complete.
func (b *blocks) Blocks(ctx context.Context, w slipway.Deploy) (all []store.Block, err error) {
	if !w.HasDAGs() {
		return nil, nil
	}
	err = b.store.View(ctx, func(tx *store.Tx) (err error) {
		all, err = tx.Blocks(w.ID)
		return err
	})
	return all, err
}

// Received returns the blocks of an archive that is not complete.
func (b *blocks) Received(ctx context.Context, w slipway.Deploy) ([]store.Block, error) {
	u, _, found, err := b.Arriving(ctx, w.ID)
	if err != nil || !found || w.HasDAGs() {
		return nil, err
	}
	return b.uploadFiles.receivedBlocks(u.ID)
}

// openUpload returns an upload in blocks that takes more bytes, after another
// check of the author's role. arrived reports a complete upload: the request may
// be a repetition.
func (b *blocks) openUpload(ctx context.Context, id slipway.DeployID) (u store.Upload, w slipway.Deploy, arrived bool, err error) {
	u, w, found, err := b.Arriving(ctx, id)
	switch {
	case err != nil:
		return u, w, false, err
	case w.Status == slipway.Failed || w.Status == slipway.Cancelled:
		return u, w, false, errEnded(w)
	case !w.QueuedAt.IsZero():
		return u, w, false, slipway.Errorf(slipway.Conflict, "Deploy #%d is confirmed, and its files stay as they are. Make a new deploy for other files.", w.Number)
	case w.HasDAGs():
		return u, w, true, nil
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

// errComplete refuses other files than those that arrived.
func errComplete(w slipway.Deploy) error {
	return slipway.Errorf(slipway.Conflict, "The files of deploy #%d are complete, and these are others. Make a new deploy for them.", w.Number)
}

// sameBytes returns nil if r has the bytes with a SHA-256, of at most size.
func sameBytes(w slipway.Deploy, r io.Reader, size int64, sha string) error {
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(r, size+1)); err != nil {
		return fmt.Errorf("receive upload: %w", err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != sha {
		return errComplete(w)
	}
	return nil
}

// repeatedBlock returns nil for a block of the archive that arrived, and an error
// for another one.
func (b *blocks) repeatedBlock(ctx context.Context, w slipway.Deploy, block string, r io.Reader) error {
	all, err := b.Blocks(ctx, w)
	if err != nil {
		return err
	}
	for _, known := range all {
		if known.ID == block {
			return sameBytes(w, r, known.Size, known.SHA256)
		}
	}
	return errComplete(w)
}

// PutBlock stores a block of a deploy's archive. A repeated block replaces the
// earlier one until the archive is complete.
func (b *blocks) PutBlock(ctx context.Context, id slipway.DeployID, block string, r io.Reader) error {
	u, w, arrived, err := b.openUpload(ctx, id)
	if err != nil {
		return err
	}
	if arrived {
		return b.repeatedBlock(ctx, w, block, r)
	}
	path := b.uploadFiles.blockPath(u.ID, block)
	if err := b.writeBlock(u, w, path, r); err != nil {
		return err
	}
	if _, _, _, err := b.Arriving(context.WithoutCancel(ctx), id); err != nil {
		return err
	}
	return b.uploads.touch(context.WithoutCancel(ctx), u, w, false) // recorded also if the client is gone
}

// sizeOf returns the bytes of a file. A file that cannot be looked at is an error, and
// not missing: a sender was told so, and would send all again.
func sizeOf(path string) (n int64, exists bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("size of upload: %w", err)
	}
	return info.Size(), true, nil
}

// writeBlock writes r to the block at path.
func (b *blocks) writeBlock(u store.Upload, w slipway.Deploy, path string, r io.Reader) (err error) {
	one, err := b.openBlock(u.ID, w, path)
	if err != nil {
		return unavailable(err)
	}
	defer func() { one.end(err == nil) }()
	defer os.Remove(one.Name()) // finds nothing once renamed
	_, err = b.uploadFiles.copyIn(u.ID, one, r)
	if err = errors.Join(err, one.Close()); err != nil {
		return unavailable(fmt.Errorf("receive upload: %w", err))
	}
	return one.keep(path)
}

// openBlock is a block being written. The bytes count on arrival, so that
// parallel blocks cannot pass the limit of an archive together.
type openBlock struct {
	*os.File
	files  *uploadFiles
	total  *blockTotal
	upload string
	key    string // of the block in total
	most   int64  // bytes of an archive
	deploy slipway.Deploy
	old    int64 // bytes of the earlier block, for a repeated one
	known  bool  // the block is a repeated one
	size   int64 // bytes counted, under the lock of blocks
}

// openBlock counts a block that begins, without the bytes of the earlier one.
func (b *blocks) openBlock(upload string, w slipway.Deploy, path string) (one *openBlock, err error) {
	number := fmt.Sprintf("#%d", w.Number)
	err = b.uploadFiles.whileOpen(upload, number, func() error {
		t, err := b.uploadFiles.blockTotal(upload)
		if err != nil {
			return fmt.Errorf("blocks of upload: %w", err)
		}
		one = &openBlock{files: b.uploadFiles, total: t, upload: upload, key: filepath.Base(path), most: b.cfg.Limits.Archive, deploy: w}
		if one.old, one.known, err = sizeOf(path); err != nil {
			return err
		}
		switch {
		case t.closed:
			return quota.Over(number)
		case t.writing[one.key] != nil:
			return slipway.Errorf(slipway.TooMany, "This block of deploy #%d is being received by another request. Try again in a moment.", w.Number)
		case !one.known && t.count >= maxBlocks:
			return slipway.Errorf(slipway.TooLarge, "An upload may have at most %d blocks.", maxBlocks)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("keep block: %w", err)
		}
		if one.File, err = os.CreateTemp(filepath.Dir(path), partialBlock+"*"); err != nil {
			return fmt.Errorf("keep block: %w", err)
		}
		if !one.known {
			t.count++
		}
		t.bytes -= one.old
		t.writing[one.key] = one
		return nil
	})
	return one, err
}

// Write implements io.Writer. Bytes beyond the limit of an archive are refused,
// and so are bytes after the end of the upload.
func (o *openBlock) Write(p []byte) (int, error) {
	if err := o.count(int64(len(p))); err != nil {
		return 0, err
	}
	n, err := o.File.Write(p)
	if n < len(p) {
		o.uncount(int64(len(p) - n))
	}
	return n, err
}

// count adds bytes to the blocks of the upload, unless the sum passes the limit.
func (o *openBlock) count(bytes int64) error {
	o.files.blocks.mu.Lock()
	defer o.files.blocks.mu.Unlock()
	switch {
	case o.total.closed:
		return o.over()
	case o.total.bytes+bytes > o.most:
		return tooLarge(o.deploy.Upload, o.most)
	}
	o.total.bytes += bytes
	o.size += bytes
	return nil
}

func (o *openBlock) uncount(bytes int64) {
	o.files.blocks.mu.Lock()
	defer o.files.blocks.mu.Unlock()
	o.total.bytes -= bytes
	o.size -= bytes
}

// over is the refusal of a block for an upload that is assembled or has ended.
func (o *openBlock) over() error { return quota.Over(fmt.Sprintf("#%d", o.deploy.Number)) }

// keep gives a complete block its name.
func (o *openBlock) keep(path string) error {
	o.files.blocks.mu.Lock()
	defer o.files.blocks.mu.Unlock()
	if o.total.closed {
		return o.over()
	}
	return os.Rename(o.Name(), path)
}

// end counts either the new block or, after a failure, the earlier one. Of a closed
// upload neither is left.
func (o *openBlock) end(kept bool) {
	o.files.blocks.mu.Lock()
	defer o.files.blocks.mu.Unlock()
	t := o.total
	delete(t.writing, o.key)
	switch {
	case t.closed:
		o.files.ledger.Return(o.upload, o.old+o.size)
	case kept:
		o.files.ledger.Return(o.upload, o.old)
	default:
		o.files.ledger.Return(o.upload, o.size)
		t.bytes += o.old - o.size
		if !o.known {
			t.count--
		}
	}
}

// partialBlock is the prefix of a block's file name during writing. Names of whole
// blocks are hex and never begin with "put-".
const partialBlock = "put-"

// PutBlockList assembles the archive of a deploy from blocks, in the order of
// the list, and wakes staging. sum is the MD5 of the archive; nil for any. A
// repeated request changes nothing, and another list is refused.
func (b *blocks) PutBlockList(ctx context.Context, id slipway.DeployID, blocks []string, sum []byte) (slipway.Deploy, error) {
	return b.receiveWhole(ctx, id, wholeUpload{
		md5: sum,
		fill: func(u store.Upload, to io.Writer) (all []store.Block, err error) {
			size, err := b.checkBlocks(u.ID, blocks)
			if err != nil {
				return nil, err
			}
			if err := b.uploadFiles.Fits(size); err != nil {
				return nil, err
			}
			if all, err = b.assemble(u, to, blocks); err != nil {
				return nil, fmt.Errorf("assemble upload: %w", err)
			}
			return all, nil
		},
		repeats: func(w slipway.Deploy, blob store.Blob) error {
			known, err := b.Blocks(ctx, w)
			if err != nil {
				return err
			}
			same := slices.EqualFunc(known, blocks, func(b store.Block, id string) bool { return b.ID == id })
			if !same || len(blocks) == 0 || sum != nil && blob.MD5 != base64.StdEncoding.EncodeToString(sum) {
				return errComplete(w)
			}
			return nil
		},
	})
}

// checkBlocks returns the size of the archive from blocks.
func (b *blocks) checkBlocks(upload string, blocks []string) (size int64, err error) {
	sizes := map[string]int64{} // a block may stand in the list more than once
	for _, block := range blocks {
		n, known := sizes[block]
		if !known {
			exists := false
			if n, exists, err = sizeOf(b.uploadFiles.blockPath(upload, block)); err != nil {
				return 0, err
			}
			if !exists {
				return 0, ErrNoBlock
			}
			sizes[block] = n
		}
		size += n
	}
	if size > b.cfg.Limits.Archive {
		return 0, tooLarge("The archive", b.cfg.Limits.Archive)
	}
	return size, nil
}

// assemble writes the blocks of a list to an archive, and hashes each block once.
func (b *blocks) assemble(u store.Upload, to io.Writer, list []string) (all []store.Block, err error) {
	space := b.uploadFiles.ledger.Writer(u.ID, to)
	defer func() { err = errors.Join(err, space.Close()) }()
	known, buffer := map[string]store.Block{}, make([]byte, copyBuffer)
	for _, id := range list {
		block, again := known[id]
		if again {
			_, err = b.readBlock(u, space, id, buffer)
		} else {
			sum := sha256.New()
			block.ID = id
			block.Size, err = b.readBlock(u, io.MultiWriter(space, sum), id, buffer)
			block.SHA256 = hex.EncodeToString(sum.Sum(nil))
			known[id] = block
		}
		if err != nil {
			return nil, err
		}
		all = append(all, block)
	}
	return all, nil
}

// readBlock writes the bytes of a block to an archive.
func (b *blocks) readBlock(u store.Upload, to io.Writer, id string, buffer []byte) (int64, error) {
	f, err := os.Open(b.uploadFiles.blockPath(u.ID, id))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{f}, buffer)
}

// PutBlob receives the archive of a deploy in one request and wakes staging. sum
// is the MD5 of the archive; nil for any. A repeated request changes nothing, and
// other bytes are refused.
func (b *blocks) PutBlob(ctx context.Context, id slipway.DeployID, r io.Reader, sum []byte) (slipway.Deploy, error) {
	return b.receiveWhole(ctx, id, wholeUpload{
		md5: sum,
		fill: func(u store.Upload, to io.Writer) ([]store.Block, error) {
			limit := b.cfg.Limits.Archive
			n, err := b.uploadFiles.copyIn(u.ID, to, io.LimitReader(r, limit+1))
			if err == nil && n > limit {
				err = tooLarge("The archive", limit)
			}
			return nil, err
		},
		repeats: func(w slipway.Deploy, blob store.Blob) error {
			got := md5.New()
			err := sameBytes(w, io.TeeReader(r, got), blob.Size, blob.SHA256)
			if err == nil && sum != nil && !bytes.Equal(got.Sum(nil), sum) {
				err = ErrMD5
			}
			return err
		},
	})
}

// wholeUpload is a request that completes an archive.
type wholeUpload struct {
	md5     []byte // of the archive, as announced; nil for any
	fill    func(u store.Upload, to io.Writer) ([]store.Block, error)
	repeats func(slipway.Deploy, store.Blob) error // an error, if the request differs from the one that made the archive
}

// receiveWhole completes the archive of a deploy, one request at a time. The
// bytes of an earlier, broken request are overwritten.
func (b *blocks) receiveWhole(ctx context.Context, id slipway.DeployID, request wholeUpload) (w slipway.Deploy, err error) {
	u, w, arrived, err := b.openUpload(ctx, id)
	if err != nil {
		return w, err
	}
	if arrived {
		return b.repeated(ctx, w, request)
	}
	if _, err := b.uploadFiles.arriving.begin(u.ID, 0); err != nil {
		return w, slipway.Errorf(slipway.TooMany, "The files of deploy #%d are being received by another request. Try again in a moment.", w.Number)
	}
	defer b.uploadFiles.arriving.end(u.ID, false)
	if _, now, isHere, err := b.openUpload(ctx, id); err != nil {
		return now, err
	} else if isHere { // another request was faster
		return b.repeated(ctx, now, request)
	}
	blob, err := b.fillUpload(u, w, request)
	if err != nil {
		return w, err
	}
	ctx = context.WithoutCancel(ctx)
	if err := b.keepBlob(ctx, blob); err != nil {
		return w, err
	}
	if w, err = b.uploads.arrived(ctx, u, w); err != nil {
		return w, err
	}
	return w, b.uploadFiles.dropBlocks(u.ID)
}

// keepBlob records the archive of a deploy that still takes files.
func (b *blocks) keepBlob(ctx context.Context, blob store.Blob) error {
	return b.store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.LoadDeploy(blob.Deploy)
		switch {
		case err != nil:
			return err
		case now.Status != slipway.Initialized:
			return errEnded(now)
		}
		if err := tx.KeepBlob(blob); err != nil {
			return err
		}
		return b.uploadFiles.hold(tx, now)
	})
}

// repeated answers a request for an archive that is complete. Without a record of
// the archive, nothing is known to be the same.
func (b *blocks) repeated(ctx context.Context, w slipway.Deploy, request wholeUpload) (slipway.Deploy, error) {
	blob, found, err := b.Blob(ctx, w)
	if err != nil {
		return w, err
	}
	if !found {
		return w, errComplete(w)
	}
	return w, request.repeats(w, blob)
}

// fillUpload writes the archive of u, and returns the sums.
func (b *blocks) fillUpload(u store.Upload, w slipway.Deploy, request wholeUpload) (blob store.Blob, err error) {
	var f *os.File
	var old int64 // bytes of an earlier request
	number := fmt.Sprintf("#%d", w.Number)
	err = b.uploadFiles.whileOpen(u.ID, number, func() (err error) {
		if old, _, err = sizeOf(b.uploadFiles.uploadPath(u.ID)); err != nil {
			return err
		}
		f, err = os.OpenFile(b.uploadFiles.uploadPath(u.ID), os.O_WRONLY|os.O_TRUNC|os.O_CREATE, 0o600)
		return err
	})
	if err != nil {
		return blob, unavailable(fmt.Errorf("open upload: %w", err))
	}
	b.uploadFiles.ledger.Return(u.ID, old)
	sha, sum := sha256.New(), md5.New()
	to := io.MultiWriter(f, sha)
	if request.md5 != nil {
		to = io.MultiWriter(f, sha, sum)
	}
	blob.Deploy = w.ID
	blob.Blocks, err = request.fill(u, to)
	size, exists, failed := sizeOf(f.Name())
	switch err = errors.Join(err, failed); {
	case err != nil:
	case !exists:
		err = quota.Over(number)
	case size == 0:
		err = slipway.Errorf(slipway.Invalid, "The archive of deploy #%d is empty.", w.Number)
	case request.md5 != nil && !bytes.Equal(sum.Sum(nil), request.md5):
		err = ErrMD5
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return blob, unavailable(fmt.Errorf("receive upload: %w", err))
	}
	blob.Size, blob.SHA256, blob.MD5 = size, hex.EncodeToString(sha.Sum(nil)), base64.StdEncoding.EncodeToString(request.md5)
	return blob, nil
}
