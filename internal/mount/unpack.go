package mount

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
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
	byContent map[string][]recorded // by SHA-256, not written yet; guarded by mu
	idle      chan *unpackWorker
}

// unpackWorker is one worker's tools.
type unpackWorker struct {
	*unpacker
	at  *dagsDir
	dec *zstd.Decoder
	raw []byte // a frame, compressed
	buf bytes.Buffer
}

// missing notes the files to be written, and returns the places to read.
func (u *unpacker) missing() (places []slipway.Place) {
	for _, i := range u.order {
		if f := u.files[i]; !u.inPlace[i] {
			u.byContent[f.SHA256] = append(u.byContent[f.SHA256], f)
			u.total += min(f.Size, math.MaxInt64-u.total) // sizes in a manifest are not trusted
			places = append(places, f.Place)
		}
	}
	return places
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
	if p.Length > frameSmall {
		defer func() { u.idle <- w }()
		return bundle.FrameContents(w.dec, frame, w.content)
	}
	w.raw = slices.Grow(w.raw[:0], int(p.Length))[:p.Length]
	if _, err := io.ReadFull(frame, w.raw); err != nil {
		u.idle <- w
		return fmt.Errorf("read a frame: %w", err)
	}
	g.Go(func() error {
		defer func() { u.idle <- w }()
		if err := bundle.FrameContents(w.dec, bytes.NewReader(w.raw), w.content); err != nil {
			return fmt.Errorf("pack %s: %w", p.Pack, err)
		}
		return nil
	})
	return nil
}

// content writes the files with the content r.
func (w *unpackWorker) content(sha string, size int64, r io.Reader) error {
	w.mu.Lock()
	files := w.byContent[sha]
	delete(w.byContent, sha)
	w.mu.Unlock()
	if len(files) == 0 {
		return nil
	}
	if want := files[0].Size; size != want {
		return fmt.Errorf("content %s is damaged: it has %d bytes, not %d", sha, size, want)
	}
	write := w.large
	if size <= smallMax {
		write = w.small
	}
	if err := write(files, r); err != nil {
		return err
	}
	w.addProgress(files)
	return nil
}

// small verifies a content before writing.
func (w *unpackWorker) small(files []recorded, r io.Reader) error {
	w.buf.Reset()
	w.buf.Grow(int(files[0].Size) + bytes.MinRead)
	if _, err := w.buf.ReadFrom(r); err != nil {
		return err
	}
	sum := sha256.Sum256(w.buf.Bytes())
	if got := hex.EncodeToString(sum[:]); got != files[0].SHA256 {
		return bundle.ContentError(files[0].SHA256, got)
	}
	for _, f := range files {
		err := w.write(w.at, f, func(out io.Writer) error {
			_, err := out.Write(w.buf.Bytes())
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// large verifies a content while writing, and copies the first file to the
// others.
func (w *unpackWorker) large(files []recorded, r io.Reader) error {
	for i, f := range files {
		if i > 0 {
			first, err := w.at.root.Open(files[0].Path)
			if err != nil {
				return err
			}
			defer first.Close()
			r = first
		}
		if err := w.write(w.at, f, verified(f, r)); err != nil {
			return err
		}
	}
	return nil
}

// addProgress notes written files, and reports progress.
func (w *unpackWorker) addProgress(files []recorded) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range files {
		w.written = append(w.written, f.Path)
		w.done += f.Size
	}
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
		filepath.Dir(filepath.Dir(u.dir)), archive.SizeText(free), u.man.Version.Short(), archive.SizeText(u.total), archive.SizeText(u.reserve))
}

// checkFiles refuses a version with more files and folders than the disk has
// room for. Hard links are made before.
func (u *unpacker) checkFiles() error {
	needed := int64(len(u.dirs))
	for i, f := range u.files {
		if !u.inPlace[i] && f.Link == "" {
			needed++
		}
	}
	free, limited := durable.FreeFiles(u.dir)
	if !limited || free >= needed {
		return nil
	}
	return slipway.Errorf(slipway.NoSpace, "The disk of the folder %s has room for %d more files and folders (inodes); version %s needs %d. Delete files there.",
		filepath.Dir(filepath.Dir(u.dir)), free, u.man.Version.Short(), needed)
}

// inodesUsedUp adds a sentence for people to the error of a full disk that has
// room for bytes, and none for another file.
func inodesUsedUp(dir string, err error) error {
	if !slipway.IsDiskFull(err) {
		return err
	}
	if n, limited := durable.FreeFiles(dir); !limited || n > 0 {
		return err
	}
	return errors.Join(slipway.Errorf(slipway.NoSpace, "The disk of the folder %s has no room for more files: its inodes are used up. Delete files there.", dir), err)
}
