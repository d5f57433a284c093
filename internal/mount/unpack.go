package mount

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"slipway/internal/archive"
	"slipway/internal/bundle"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

const (
	unpackers = 2

	// frameSmall is the number of compressed bytes up to which frames are unpacked
	// in parallel; larger frames are unpacked while arriving.
	frameSmall = 4 << 20

	// smallMax is up to how many bytes a content is held in memory.
	smallMax = 1 << 20
)

// unpacker writes the missing contents of a staging.
type unpacker struct {
	*staging
	total int64 // bytes to unpack
	idle  chan *unpackWorker
}

// unpackWorker is one worker's tools.
type unpackWorker struct {
	*unpacker
	at    *dagsDir
	dec   *zstd.Decoder
	raw   []byte // a frame, compressed
	buf   bytes.Buffer
	files frameFiles // of the frame at hand
}

// unpack writes every missing file.
func (s *staging) unpack(ctx context.Context, src bundle.Source) error {
	if len(s.missing.list) == 0 {
		return nil
	}
	u := &unpacker{staging: s, total: s.missing.bytes, idle: make(chan *unpackWorker, unpackers)}
	if err := u.checkSpace(); err != nil {
		return err
	}
	defer u.close()
	for range unpackers {
		if err := u.startWorker(); err != nil {
			return err
		}
	}
	s.missing.sort()
	g, ctx := errgroup.WithContext(ctx)
	read := bundle.EachFrame(ctx, src, s.missing.places(), func(p slipway.Place, frame io.Reader) error {
		return u.frame(g, p, frame)
	})
	if err := g.Wait(); err != nil { // the cause of the end of reading, too
		return err
	}
	return read
}

func (u *unpacker) startWorker() error {
	at, err := createDagsDir(u.dir)
	if err != nil {
		return err
	}
	dec, err := bundle.NewDecoder()
	if err != nil {
		at.close()
		return fmt.Errorf("set up unpacking: %w", err)
	}
	u.idle <- &unpackWorker{unpacker: u, at: at, dec: dec}
	return nil
}

func (u *unpacker) close() {
	close(u.idle)
	for w := range u.idle {
		w.at.close()
		w.dec.Close()
	}
}

// frame has a worker unpack a frame: a small one in parallel, a large one before
// returning.
func (u *unpacker) frame(g *errgroup.Group, p slipway.Place, frame io.Reader) error {
	w := <-u.idle
	w.files = u.missing.frame(p)
	if p.Length > frameSmall {
		defer func() { u.idle <- w }()
		return w.unpack(frame)
	}
	w.raw = slices.Grow(w.raw[:0], int(p.Length))[:p.Length]
	if _, err := io.ReadFull(frame, w.raw); err != nil {
		u.idle <- w
		return fmt.Errorf("read a frame: %w", err)
	}
	g.Go(func() error {
		defer func() { u.idle <- w }()
		if err := w.unpack(bytes.NewReader(w.raw)); err != nil {
			return fmt.Errorf("pack %s: %w", p.Pack, err)
		}
		return nil
	})
	return nil
}

// unpack writes the files of a frame.
func (w *unpackWorker) unpack(frame io.Reader) error {
	if err := bundle.FrameContents(w.dec, frame, w.content); err != nil {
		return err
	}
	left, is := w.files.left()
	if !is {
		return nil
	}
	f, err := bundle.ListedAt(w.record, int64(left.at))
	if err != nil {
		return inVersion(w.version, err)
	}
	return fmt.Errorf("content %s is missing from its pack", f.SHA256)
}

// content writes the files with the content r. The first verifies the content, for
// the others too.
func (w *unpackWorker) content(sha string, size int64, r io.Reader) error {
	var first *recorded
	files := w.files.of(sha)
	for i := range files {
		if files[i].at == written {
			continue
		}
		f, err := bundle.ListedAt(w.record, int64(files[i].at))
		if err != nil {
			return inVersion(w.version, err)
		}
		if f.SHA256 != sha {
			continue
		}
		if f.Size != size {
			return fmt.Errorf("content %s is damaged: it has %d bytes, not %d", sha, size, f.Size)
		}
		write := w.large
		if size <= smallMax {
			write = w.small
		}
		if err := write(f, first, r); err != nil {
			return err
		}
		files[i].at = written
		w.addProgress(f)
		if first == nil {
			first = &f
		}
	}
	return nil
}

// small writes f, and verifies the content before the first file.
func (w *unpackWorker) small(f recorded, first *recorded, r io.Reader) error {
	if first == nil {
		w.buf.Reset()
		w.buf.Grow(int(f.Size) + bytes.MinRead)
		if _, err := w.buf.ReadFrom(r); err != nil {
			return err
		}
		sum := sha256.Sum256(w.buf.Bytes())
		if got := hex.EncodeToString(sum[:]); got != f.SHA256 {
			return bundle.ContentError(f.SHA256, got)
		}
	}
	return w.write(w.at, f, func(out io.Writer) error {
		_, err := out.Write(w.buf.Bytes())
		return err
	})
}

// large verifies the content while writing f, which is a copy of the first file.
func (w *unpackWorker) large(f recorded, first *recorded, r io.Reader) error {
	if first == nil {
		return w.write(w.at, f, verified(f, r))
	}
	in, err := w.at.root.Open(first.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	return w.write(w.at, f, verified(f, in))
}

// addProgress notes a written file, and reports progress.
func (w *unpackWorker) addProgress(f recorded) {
	w.addFresh(f)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done += f.Size
	if w.progress != nil {
		w.progress(w.done, w.total)
	}
}

// checkSpace refuses a version whose new files would leave less than the reserve
// free.
func (u *unpacker) checkSpace() error {
	if u.reserve <= 0 {
		return nil
	}
	free, err := durable.FreeSpace(u.dir)
	if err != nil {
		return err
	}
	if free-u.total >= u.reserve {
		return u.checkFiles()
	}
	return slipway.Errorf(slipway.NoSpace, "The disk of the folder %s has %s left; the new files of version %s need %s, and %s are to stay free. Make room there.",
		filepath.Dir(filepath.Dir(u.dir)), archive.SizeText(free), u.version.Short(), archive.SizeText(u.total), archive.SizeText(u.reserve))
}

// checkFiles refuses a version with more files and folders than the disk has
// room for. Hard links are made before.
func (u *unpacker) checkFiles() error {
	needed := int64(u.folders + len(u.missing.list))
	free, limited := durable.FreeFiles(u.dir)
	if !limited || free >= needed {
		return nil
	}
	return slipway.Errorf(slipway.NoSpace, "The disk of the folder %s has room for %d more files and folders (inodes); version %s needs %d. Delete files there.",
		filepath.Dir(filepath.Dir(u.dir)), free, u.version.Short(), needed)
}

// InodesUsedUp adds a sentence for people to the error of a full disk that has
// room for bytes, and none for another file.
func InodesUsedUp(dir string, err error) error {
	if !slipway.IsDiskFull(err) {
		return err
	}
	if n, limited := durable.FreeFiles(dir); !limited || n > 0 {
		return err
	}
	return errors.Join(slipway.Errorf(slipway.NoSpace, "The disk of the folder %s has no room for more files: its inodes are used up. Delete files there.", dir), err)
}
