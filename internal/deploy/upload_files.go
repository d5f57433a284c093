package deploy

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"slipway/internal/datadir"
	"slipway/internal/durable"
	"slipway/internal/slipway"
	"slipway/store"
)

// blockTotals are the total sizes of each upload's blocks. In memory, because a
// count on disk reads all blocks of the upload.
type blockTotals struct {
	mu  sync.Mutex
	all map[string]blockTotal
}

type blockTotal struct {
	bytes int64
	count int
}

// uploadFiles keeps the files of uploads on disk.
type uploadFiles struct {
	*base
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
		id, err := hex.DecodeString(f.Name())
		size, exists := sizeOf(filepath.Join(p.blocksPath(upload), f.Name()))
		if err == nil && exists { // else unfinished
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

// dropBlocks removes the blocks of an upload that is over or assembled.
func (p *uploadFiles) dropBlocks(upload string) error {
	p.blocks.mu.Lock()
	delete(p.blocks.all, upload)
	p.blocks.mu.Unlock()
	return os.RemoveAll(p.blocksPath(upload))
}

// removeUpload removes the file of an upload that is over. After an error, the
// next start removes the file.
func (p *uploadFiles) removeUpload(id string) {
	p.arriving.end(id, false)
	err := os.Remove(p.uploadPath(id))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err = errors.Join(err, p.dropBlocks(id)); err != nil {
		p.log.Error("remove upload", slog.String("upload", id), slog.Any("error", err))
	}
}

// TempFile is a file on disk for data of unknown length or kind. The file has
// no name, and the disk space is free again after any end of the process.
type TempFile struct {
	*os.File
	files *uploadFiles
}

// TempFile returns an empty one, to be closed.
func (p *uploadFiles) TempFile() (*TempFile, error) {
	f, err := os.CreateTemp(filepath.Join(p.cfg.Dir, datadir.Uploads), "form-*")
	if err != nil {
		return nil, unavailable(fmt.Errorf("make a temporary file: %w", err))
	}
	return &TempFile{f, p}, os.Remove(f.Name()) // the content lives while the file is open
}

// Append appends the bytes of r, and stops before the free disk space falls
// under the reserve.
func (s *TempFile) Append(r io.Reader) (int64, error) {
	n, err := s.files.copyIn(s.File, r)
	return n, unavailable(err)
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

// freeSpace refuses size more bytes if the free disk space would fall under the
// reserve.
func (p *uploadFiles) freeSpace(size int64) error {
	free, err := durable.FreeSpace(p.cfg.Dir)
	if err != nil {
		return err
	}
	if free-size < p.cfg.Reserve {
		return slipway.Errorf(slipway.NoSpace, "The disk of the portal is nearly full: %d MiB are free, and %d MiB of them stay in reserve. Ask the administrator for space.",
			free>>20, p.cfg.Reserve>>20)
	}
	return nil
}

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

// copyIn copies r to f, and stops before the free disk space falls under the
// reserve.
func (p *uploadFiles) copyIn(f io.Writer, r io.Reader) (n int64, err error) {
	buf := make([]byte, 256<<10) // the usual 32 KiB take eight times the system calls
	for {
		if err := p.freeSpace(0); err != nil {
			return n, err
		}
		m, err := io.CopyBuffer(struct{ io.Writer }{f}, io.LimitReader(r, reserveEvery), buf)
		n += m
		if err != nil || m < reserveEvery {
			return n, err
		}
	}
}

// reserveEvery is the number of bytes of an upload between two checks of the
// free disk space.
const reserveEvery = 16 << 20

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
	n, err := p.copyIn(f, io.LimitReader(r, room))
	if err == nil && n == room && !atEnd(r) {
		err = p.overflow(u, w)
	}
	switch {
	case err != nil:
		err = unavailable(fmt.Errorf("receive upload: %w", err))
	case n == 0 && u.Length < 0:
		err = slipway.Errorf(slipway.Invalid, "The file %s is empty.", w.Upload)
	}
	return offset + n, err
}

func (p *uploadFiles) overflow(u store.Upload, w slipway.Deploy) error {
	if u.Length < 0 {
		return tooLarge(w.Upload, p.maxSize(u.Image))
	}
	return slipway.Errorf(slipway.Invalid, "The upload is longer than the %d bytes that were announced.", u.Length)
}

// atEnd reports whether nothing more comes from r.
func atEnd(r io.Reader) bool {
	var b [1]byte
	n, _ := io.ReadFull(r, b[:]) // a broken connection has no more to give either
	return n == 0
}

func tooLarge(name string, most int64) error {
	return slipway.Errorf(slipway.TooLarge, "%s is too large: an upload may have at most %d MiB.", name, most>>20)
}
