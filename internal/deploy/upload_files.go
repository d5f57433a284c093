package deploy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"slipway/internal/archive"
	"slipway/internal/datadir"
	"slipway/internal/quota"
	"slipway/internal/slipway"
	"slipway/store"
)

// blockTotals are the total sizes of each upload's blocks. In memory, because a
// count on disk reads all blocks of the upload.
type blockTotals struct {
	mu  sync.Mutex
	all map[string]*blockTotal
}

// blockTotal is the size of an upload's blocks, those being written included.
type blockTotal struct {
	bytes   int64
	count   int
	writing map[string]*openBlock // by file name
	closed  bool                  // no block is kept any more: the archive is assembled, or the upload has ended
}

// uploadFiles keeps the files of uploads on disk.
type uploadFiles struct {
	*base
	ledger   *quota.Ledger
	arriving arrivals
	blocks   blockTotals
}

func (p *uploadFiles) blocksPath(upload string) string { return p.uploadPath(upload) + blocksSuffix }

// blockPath names the file of a block by the id in hex: the id comes from the
// client, and has at most 88 bytes.
func (p *uploadFiles) blockPath(upload, block string) string {
	return filepath.Join(p.blocksPath(upload), hex.EncodeToString([]byte(block)))
}

// receivedBlocks returns the blocks of an upload on disk, by id.
func (p *uploadFiles) receivedBlocks(upload string) (all []store.Block, err error) {
	entries, err := os.ReadDir(p.blocksPath(upload))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, f := range entries {
		id, unfinished := hex.DecodeString(f.Name())
		size, exists, err := sizeOf(filepath.Join(p.blocksPath(upload), f.Name()))
		if err != nil {
			return nil, err
		}
		if unfinished == nil && exists {
			all = append(all, store.Block{ID: string(id), Size: size})
		}
	}
	slices.SortFunc(all, func(a, b store.Block) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// dropPartialBlocks removes the unfinished blocks after a crash.
func (p *uploadFiles) dropPartialBlocks(upload string) error {
	halves, err := filepath.Glob(filepath.Join(p.blocksPath(upload), partialBlock+"*"))
	if err != nil {
		return err
	}
	for _, name := range halves {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

// dropBlocks removes the blocks of an assembled upload, and keeps none any more.
// Blocks in flight count until their requests end.
func (p *uploadFiles) dropBlocks(upload string) error {
	p.blocks.mu.Lock()
	if p.ledger.Takes(upload, "") != nil { // staged meanwhile: removeUpload removes the blocks
		p.blocks.mu.Unlock()
		return nil
	}
	t, err := p.blockTotal(upload)
	if err != nil {
		p.blocks.mu.Unlock()
		return err
	}
	t.closed = true
	gone := t.bytes
	for _, o := range t.writing {
		gone -= o.size
	}
	t.bytes -= gone
	p.blocks.mu.Unlock()
	if err := os.RemoveAll(p.blocksPath(upload)); err != nil {
		return err
	}
	p.ledger.Return(upload, gone)
	return nil
}

// whileOpen calls create, to make files for an upload, and refuses after the end of
// the upload: removeUpload removes each file that was made before, and no record
// names a later one. name is the deploy's, for people. The lock of blocks is held.
func (p *uploadFiles) whileOpen(upload, name string, create func() error) error {
	p.blocks.mu.Lock()
	defer p.blocks.mu.Unlock()
	if err := p.ledger.Takes(upload, name); err != nil {
		return err
	}
	return create()
}

// blockTotal returns the count and size of an upload's blocks, under the lock of
// blocks. After a restart, blockTotal reads the folder.
func (p *uploadFiles) blockTotal(upload string) (*blockTotal, error) {
	if t := p.blocks.all[upload]; t != nil {
		return t, nil
	}
	entries, err := os.ReadDir(p.blocksPath(upload))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	t := &blockTotal{writing: map[string]*openBlock{}}
	for _, f := range entries {
		size, exists, err := sizeOf(filepath.Join(p.blocksPath(upload), f.Name()))
		if err != nil {
			return nil, err
		}
		if exists {
			t.bytes, t.count = t.bytes+size, t.count+1
		}
	}
	if p.blocks.all == nil {
		p.blocks.all = map[string]*blockTotal{}
	}
	p.blocks.all[upload] = t
	return t, nil
}

// restore counts the files of an upload again after a restart.
func (p *uploadFiles) restore(u store.Upload, h quota.Holder) error {
	p.blocks.mu.Lock()
	t, err := p.blockTotal(u.ID)
	p.blocks.mu.Unlock()
	if err != nil {
		return err
	}
	size, _, err := sizeOf(p.uploadPath(u.ID))
	if err != nil {
		return err
	}
	p.ledger.Restore(u.ID, h, max(u.Length, 0), size+t.bytes)
	return nil
}

// holderOf returns the holder of the files of w, a deploy to d.
func holderOf(tx *store.Tx, d slipway.Deployment, w slipway.Deploy) (quota.Holder, error) {
	h, err := senderOf(tx, w.By)
	h.Workspace, h.Deployment, h.Deploy, h.Name = d.Workspace, d.ID, w.ID, titleOf(d, w)
	return h, err
}

// titleOf names a deploy for people: "#12 of sales".
func titleOf(d slipway.Deployment, w slipway.Deploy) string {
	return fmt.Sprintf("#%d of %s", w.Number, d.Name)
}

// senderOf returns the holder of a file of no deploy.
func senderOf(tx *store.Tx, by slipway.Actor) (quota.Holder, error) {
	person, err := tx.AnswersFor(by)
	return quota.Holder{Person: person, Sender: cmp.Or(string(by.User), string(by.Token))}, err
}

// hold counts what w, an unfinished deploy, keeps on the disk besides uploads. In
// the transaction of the change, because the end of w then comes later.
func (p *uploadFiles) hold(tx *store.Tx, w slipway.Deploy) error {
	d, err := tx.LoadDeployment(w.Deployment)
	if err != nil {
		return err
	}
	h, err := holderOf(tx, d, w)
	if err != nil {
		return err
	}
	records, err := tx.RecordBytes(w.ID)
	if err != nil {
		return err
	}
	p.ledger.Hold(h, records+w.HeldBytes(p.bundles.Bucket() != ""))
	return nil
}

// removeUpload removes the files of an upload that is over, and has requests that
// still write to them end. After an error, the next start removes the files.
func (p *uploadFiles) removeUpload(id string) {
	p.ledger.Close(id)
	p.arriving.end(id, false)
	p.blocks.mu.Lock() // whoever makes a file now has asked the ledger before
	if t := p.blocks.all[id]; t != nil {
		t.closed = true
	}
	delete(p.blocks.all, id)
	p.blocks.mu.Unlock()
	err := os.Remove(p.uploadPath(id))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err = errors.Join(err, os.RemoveAll(p.blocksPath(id))); err != nil {
		p.log.Error("remove upload", slog.String("upload", id), slog.Any("error", err))
	}
}

// TempFile is a file on disk for data of unknown length or kind. The file has
// no name, and the disk space is free again after any end of the process.
type TempFile struct {
	File  *os.File
	files *uploadFiles
	space *quota.Writer
}

// TempFile returns an empty one, to be closed. The bytes count as an unfinished
// upload of by; the zero Actor is the portal itself.
func (p *uploadFiles) TempFile(ctx context.Context, by slipway.Actor) (*TempFile, error) {
	f, err := os.CreateTemp(filepath.Join(p.cfg.Dir, datadir.Uploads), "form-*")
	if err != nil {
		return nil, unavailable(fmt.Errorf("make a temporary file: %w", err))
	}
	if err := os.Remove(f.Name()); err != nil { // the content lives while the file is open
		return nil, errors.Join(err, f.Close())
	}
	if by.User == "" && by.Token == "" {
		return &TempFile{f, p, p.ledger.Writer("", f)}, nil
	}
	err = p.store.View(ctx, func(tx *store.Tx) error {
		h, err := senderOf(tx, by)
		if err != nil {
			return err
		}
		return p.ledger.Open(f.Name(), h, 0)
	})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &TempFile{f, p, p.ledger.Writer(f.Name(), f)}, nil
}

// Append appends the bytes of r, and stops before the free disk space falls
// under the reserve.
func (s *TempFile) Append(r io.Reader) (int64, error) {
	n, err := io.CopyBuffer(struct{ io.Writer }{s.space}, struct{ io.Reader }{r}, make([]byte, copyBuffer))
	return n, unavailable(err)
}

// Write appends p like Append.
func (s *TempFile) Write(p []byte) (int, error) { return s.space.Write(p) }

// ReadAt implements io.ReaderAt.
func (s *TempFile) ReadAt(p []byte, at int64) (int, error) { return s.File.ReadAt(p, at) }

// Close frees the disk space.
func (s *TempFile) Close() error {
	err := errors.Join(s.space.Close(), s.File.Close())
	s.files.ledger.Close(s.File.Name())
	return err
}

// maxSize returns how many bytes an archive of DAGs, or of an image, may have.
func (p *uploadFiles) maxSize(image bool) int64 {
	if image {
		return p.cfg.MaxImage
	}
	return p.cfg.Limits.Archive
}

func (p *uploadFiles) uploadPath(id string) string {
	return filepath.Join(p.cfg.Dir, datadir.Uploads, filepath.Base(id))
}

// Fits refuses size more bytes if the free disk space would fall under the
// reserve.
func (p *uploadFiles) Fits(size int64) error { return p.ledger.Fits(size) }

// Claim is Fits for bytes about to be written: until release, no other writer
// gets the same space.
func (p *uploadFiles) Claim(size int64) (release func(), err error) { return p.ledger.Claim(size) }

// Pushes counts what an actor pushes to the registry of a Workspace, like unfinished
// uploads.
func (p *uploadFiles) Pushes(tx *store.Tx, by slipway.Actor, of slipway.WorkspaceID) (quota.Pushes, error) {
	h, err := senderOf(tx, by)
	h.Workspace = of
	return p.ledger.Pushes(h), err
}

// Claiming implements archive.Disk: Claim for each byte of a file of the portal itself.
func (p *uploadFiles) Claiming(f io.Writer) io.WriteCloser { return p.ledger.Writer("", f) }

func (p *uploadFiles) offset(u store.Upload) (int64, error) {
	info, err := os.Stat(p.uploadPath(u.ID))
	if err != nil {
		return 0, fmt.Errorf("offset of upload: %w", err)
	}
	return info.Size(), nil
}

// arrivals are the uploads with a connection now, or with more bytes to come.
type arrivals struct {
	mu  sync.Mutex
	all map[string]bool // by id: whether the connection is still open
}

// begin reserves the upload id for one request. resumed reports whether the
// bytes before offset came by a connection that broke, or before a restart.
func (a *arrivals) begin(id string, offset int64) (resumed bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	busy, known := a.all[id]
	if busy {
		return false, slipway.Errorf(slipway.Conflict, "This upload is being received by another request. Try again in a moment.")
	}
	if a.all == nil {
		a.all = map[string]bool{}
	}
	a.all[id] = true
	return !known && offset > 0, nil
}

// end releases the upload id. The id is kept only if the request ended well and
// more bytes are to come.
func (a *arrivals) end(id string, more bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.all, id)
	if more {
		a.all[id] = false
	}
}

func (a *arrivals) busy(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all[id]
}

// copyIn copies r to f, a file of an upload, and stops before the free disk
// space falls under the reserve, or the holder's uploads take more than a share.
func (p *uploadFiles) copyIn(upload string, f io.Writer, r io.Reader) (n int64, err error) {
	w := p.ledger.Writer(upload, f)
	defer func() { err = errors.Join(err, w.Close()) }()
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, copyBuffer))
}

// copyBuffer is the size of reads from a connection: with the usual 32 KiB,
// eight times the system calls.
const copyBuffer = 256 << 10

// write appends r to the file of u, at offset, and returns the new offset.
func (p *uploadFiles) write(u store.Upload, w slipway.Deploy, offset int64, r io.Reader) (at int64, err error) {
	f, err := os.OpenFile(p.uploadPath(u.ID), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return offset, unavailable(fmt.Errorf("append to upload: %w", err))
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	room := p.maxSize(u.Image) - offset
	if u.Length >= 0 {
		room = u.Length - offset
	}
	n, err := p.copyIn(u.ID, f, io.LimitReader(r, room))
	if err == nil && n == room && !atEnd(r) {
		if u.Length >= 0 { // without these bytes, the upload is not complete
			err = f.Truncate(offset)
		}
		if u.Length >= 0 && err == nil {
			p.ledger.Return(u.ID, n)
			n = 0
		}
		if err == nil { // else the bytes stay, and the sentence would deny that
			err = p.overflow(u, w, offset)
		}
	}
	switch {
	case err != nil:
		err = unavailable(fmt.Errorf("receive upload: %w", err))
	case n == 0 && u.Length < 0:
		err = slipway.Errorf(slipway.Invalid, "The file %s is empty.", slipway.Visible(w.Upload))
	}
	return offset + n, err
}

// overflow is the refusal of more bytes than the upload may have.
func (p *uploadFiles) overflow(u store.Upload, w slipway.Deploy, offset int64) error {
	if u.Length < 0 {
		return tooLarge(w.Upload, p.maxSize(u.Image))
	}
	return slipway.Errorf(slipway.TooLarge, "The upload is longer than the %d bytes that were announced. Nothing of this request was kept: go on from byte %d.", u.Length, offset)
}

// atEnd reports whether nothing more comes from r.
func atEnd(r io.Reader) bool {
	var b [1]byte
	n, _ := io.ReadFull(r, b[:]) // a broken connection has no more to give either
	return n == 0
}

func tooLarge(name string, most int64) error {
	return slipway.Errorf(slipway.TooLarge, "%s is too large: an upload may have at most %d MiB.", slipway.Visible(name), most>>20)
}

// contentOf returns the slipway.ContentSum of an archive's files, without storing
// any, where the files are found as those of w.
func (p *uploadFiles) contentOf(ctx context.Context, f *os.File, w slipway.Deploy) (string, error) {
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("open archive: %w", err)
	}
	size, search, lim := info.Size(), archive.Search{}, p.cfg.Limits
	if w.Root != nil {
		search.Root = slipway.RootChoice{Path: w.Root.Path}.Name()
	}
	if w.Root != nil && w.Root.Inside != "" {
		inside, err := p.TempFile(ctx, w.By)
		if err != nil {
			return "", err
		}
		defer inside.Close() // only read, and without a name
		lim.Upload = size
		if size, err = extractInto(ctx, inside, f, size, p.cfg.Limits, w.Root.Inside); err != nil {
			return "", err
		}
		f = inside.File
	}
	sums := map[string]string{} // by name of the entry
	selection, err := archive.Read(ctx, f, size, lim, search, func(e archive.Entry, r io.Reader) (bool, error) {
		sum := sha256.New()
		_, err := io.Copy(sum, r)
		sums[e.Name] = hex.EncodeToString(sum.Sum(nil))
		return false, err
	})
	if err != nil {
		return "", err
	}
	files := make([]slipway.File, len(selection.Entries))
	for i, e := range selection.Entries {
		files[i] = slipway.File{Path: e.Path, SHA256: sums[e.Name], Exec: e.Exec, Link: e.Link}
		if e.Link != "" {
			files[i] = slipway.File{Path: e.Path, Link: e.Link}
		}
	}
	return slipway.ContentSum(files), nil
}

// extractInto writes the archive called inside, a file of the archive f of size bytes, to a
// temporary file.
func extractInto(ctx context.Context, to *TempFile, f *os.File, size int64, lim archive.Limits, inside string) (n int64, err error) {
	err = archive.Extract(ctx, f, size, lim, inside, func(_ archive.Entry, r io.Reader) (err error) {
		n, err = to.Append(r)
		return err
	})
	return n, err
}
