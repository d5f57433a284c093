package deploy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"slipway/internal/slipway"
	"slipway/store"
)

// inBlocks is the Length of an upload of unknown length that comes in blocks,
// or whole. Unlike a form's it is not lost with a connection.
const inBlocks = -2

// blocksSuffix is what the folder of an upload's blocks is named with.
const blocksSuffix = ".d"

// maxBlocks is how many blocks an upload may have, as in Azure Blob Storage.
const maxBlocks = 50_000

// ErrNoBlock is what PutBlockList returns when a block that it names never came.
var ErrNoBlock = &slipway.Error{Kind: slipway.Invalid, Text: "The list names a block that was not uploaded for this deploy."}

// blockTotals are the sizes of the blocks of each upload, in memory so that not
// each block costs a look at all others.
type blockTotals struct {
	mu  sync.Mutex
	all map[string]blockTotal
}

type blockTotal struct {
	bytes int64
	count int
}

// BeginBlocks makes a deploy that waits for its archive in blocks.
func (e *Engine) BeginBlocks(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, n NewUpload) (slipway.Deploy, error) {
	n.Length = inBlocks
	_, w, err := e.BeginUpload(ctx, of, by, n)
	return w, err
}

// Arriving returns a deploy and its upload, for whoever has proven that they
// know its address, as long as whoever began the deploy may deploy: an address is
// no more than they are. found is false when its files are no longer taken in.
func (e *Engine) Arriving(ctx context.Context, id slipway.DeployID) (u store.Upload, w slipway.Deploy, found bool, err error) {
	var refusal error
	err = e.store.View(ctx, func(tx *store.Tx) (err error) {
		if w, err = tx.LoadDeploy(id); err != nil {
			return err
		}
		if u, found, err = tx.UploadOf(id); err != nil {
			return err
		}
		refusal = mayNoLonger(tx, w)
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
		err = errors.Join(err, e.Refuse(ctx, w, refusal))
	}
	return u, w, found, err
}

// openUpload returns an upload in blocks that still takes bytes in, judged anew
// by the role of whoever began it. arrived says that all of it is here, by an
// earlier request that is now repeated.
func (e *Engine) openUpload(ctx context.Context, id slipway.DeployID) (u store.Upload, w slipway.Deploy, arrived bool, err error) {
	u, w, found, err := e.Arriving(ctx, id)
	switch {
	case err != nil:
		return u, w, false, err
	case !w.UploadedAt.IsZero() && w.Status != slipway.Failed && w.Status != slipway.Cancelled:
		return u, w, true, nil
	case w.Status.Ended():
		return u, w, false, errEnded(w)
	case !found || u.Length != inBlocks:
		return u, w, false, slipway.Errorf(slipway.Conflict, "Deploy #%d takes no files in this way.", w.Number)
	}
	u, w, err = e.mayAppend(ctx, u.ID, w.By)
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

func (e *Engine) blocksPath(upload string) string { return e.uploadPath(upload) + blocksSuffix }

// blockPath names the file of a block: its id comes from the client.
func (e *Engine) blockPath(upload, block string) string {
	sum := sha256.Sum256([]byte(block))
	return filepath.Join(e.blocksPath(upload), hex.EncodeToString(sum[:]))
}

// PutBlock keeps a block of the archive of a deploy. A block that comes again
// replaces itself.
func (e *Engine) PutBlock(ctx context.Context, id slipway.DeployID, block string, r io.Reader) error {
	u, w, arrived, err := e.openUpload(ctx, id)
	if err != nil {
		return err
	}
	if arrived {
		return slipway.Errorf(slipway.Conflict, "The files of deploy #%d are complete. Make a new deploy.", w.Number)
	}
	total, err := e.blockTotal(u.ID)
	if err != nil {
		return fmt.Errorf("blocks of upload: %w", err)
	}
	path := e.blockPath(u.ID, block)
	old, known := sizeOf(path)
	if !known && total.count >= maxBlocks {
		return slipway.Errorf(slipway.TooLarge, "An upload may have at most %d blocks.", maxBlocks)
	}
	size, err := e.writeBlock(path, w, r, e.cfg.Limits.Archive-(total.bytes-old))
	if err != nil {
		return err
	}
	e.countBlock(u.ID, size-old, !known)
	if _, _, _, err := e.Arriving(context.WithoutCancel(ctx), id); err != nil {
		return err
	}
	return e.touch(context.WithoutCancel(ctx), u, w, false) // what came is noted, also if the client is gone
}

func sizeOf(path string) (int64, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	return info.Size(), true
}

// writeBlock writes what r brings to path, of at most room bytes.
func (e *Engine) writeBlock(path string, w slipway.Deploy, r io.Reader, room int64) (n int64, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, fmt.Errorf("keep block: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), halfBlock+"*")
	if err != nil {
		return 0, fmt.Errorf("keep block: %w", err)
	}
	defer os.Remove(f.Name()) // finds nothing once renamed
	n, err = e.copyIn(f, io.LimitReader(r, room))
	if err == nil && n == room && !atEnd(r) {
		err = tooLarge(w.Upload, e.cfg.Limits.Archive)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, received(err)
	}
	return n, os.Rename(f.Name(), path)
}

// received says what went wrong while bytes came in.
func received(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return errors.Join(slipway.Errorf(slipway.NoSpace, "The disk of the portal is full. Ask the administrator for space."), err)
	default:
		return fmt.Errorf("receive upload: %w", err)
	}
}

// blockTotal returns what an upload has in blocks. After a restart it looks.
func (e *Engine) blockTotal(upload string) (t blockTotal, err error) {
	e.blocks.mu.Lock()
	defer e.blocks.mu.Unlock()
	t, known := e.blocks.all[upload]
	if known {
		return t, nil
	}
	entries, err := os.ReadDir(e.blocksPath(upload))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return t, err
	}
	for _, f := range entries {
		if size, there := sizeOf(filepath.Join(e.blocksPath(upload), f.Name())); there {
			t.bytes, t.count = t.bytes+size, t.count+1
		}
	}
	if e.blocks.all == nil {
		e.blocks.all = map[string]blockTotal{}
	}
	e.blocks.all[upload] = t
	return t, nil
}

func (e *Engine) countBlock(upload string, bytes int64, added bool) {
	e.blocks.mu.Lock()
	defer e.blocks.mu.Unlock()
	t := e.blocks.all[upload]
	t.bytes += bytes
	if added {
		t.count++
	}
	e.blocks.all[upload] = t
}

// halfBlock is what the name of a block begins with while it is written: never
// that of one that is there.
const halfBlock = "put-"

// dropHalfBlocks removes what a crash left of blocks that were being written.
func (e *Engine) dropHalfBlocks(upload string) error {
	halves, err := filepath.Glob(filepath.Join(e.blocksPath(upload), halfBlock+"*"))
	for _, name := range halves {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

// dropBlocks forgets the blocks of an upload that is over, or assembled.
func (e *Engine) dropBlocks(upload string) error {
	e.blocks.mu.Lock()
	delete(e.blocks.all, upload)
	e.blocks.mu.Unlock()
	return os.RemoveAll(e.blocksPath(upload))
}
