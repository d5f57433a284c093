package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"slipway/internal/slipway"
)

// The most that a dags folder may hold.
const (
	maxDags     = 8 << 30
	maxDagFiles = 200_000

	maxMarks = 4 * maxDagFiles // files, folders, links and whiteouts of all layers
	maxNames = 32 << 20        // bytes of their names together
)

// dagEntry is a file of a dags folder.
type dagEntry struct {
	kind   byte // tar.TypeReg, TypeSymlink or TypeDir
	mode   int64
	link   string
	offset int64 // of its content in the spool
	size   int64
}

// dags collects a folder of an image from its layers, the highest first: what
// is found first counts.
type dags struct {
	f     *found
	dir   string              // real path of the folder
	final map[string]dagEntry // by path
	hides map[string]bool     // paths that layers above removed
	clear map[string]bool     // folders of which layers above removed what was in them
	spool *os.File
	room  func(bytes int64) error // nil: there always is
	left  int64                   // of what there was room for
	size  int64
	marks int // entries that were kept, of all layers
	names int // bytes of their names
}

// mark counts an entry that is kept in memory.
func (d *dags) mark(names ...string) error {
	d.marks++
	for _, name := range names {
		d.names += len(name)
	}
	if d.marks > maxMarks || d.names > maxNames {
		return slipway.Errorf(slipway.TooLarge, "The folder %s of this image has more than %d files.", d.dir, maxDagFiles)
	}
	return nil
}

// DagsTar writes the files of a folder of i as its layers make it: what is
// removed in a higher layer is not there, and symlinks of the way are resolved.
// The archive holds files and symlinks by their paths in the folder, sorted. An
// image without the folder is refused.
func (s *Store) DagsTar(ctx context.Context, i slipway.Image, login Login, dagsPath string, w io.Writer) error {
	f, err := s.find(ctx, RefOf(i), parsePlatform(i.Platform), login)
	if err != nil {
		return err
	}
	dir, _, exists, err := f.folder(ctx, dagsPath)
	if err != nil {
		return err
	}
	if !exists {
		return slipway.Errorf(slipway.Invalid, "This image has no folder %s. Set the dags folder of the image in the Deployment's settings.", dagsPath)
	}
	spool, err := s.temp()
	if err != nil {
		return err
	}
	defer spool.Close()
	d := &dags{f: f, dir: dir, final: map[string]dagEntry{}, hides: map[string]bool{}, clear: map[string]bool{}, spool: spool, room: s.cfg.Room}
	if err := d.collect(ctx); err != nil {
		return err
	}
	return d.write(w)
}

// temp returns a file that is gone when it is closed.
func (s *Store) temp() (*os.File, error) {
	dir := filepath.Join(s.cfg.Dir, "tmp")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make temporary folder: %w", err)
	}
	f, err := os.CreateTemp(dir, "spool-*")
	if err != nil {
		return nil, fmt.Errorf("make temporary file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("make temporary file: %w", err), f.Close())
	}
	return f, nil
}

func (d *dags) collect(ctx context.Context) error {
	for n := len(d.f.content.Layers) - 1; n >= 0; n-- {
		l := newDagLayer()
		if err := d.f.eachEntry(ctx, n, func(e entry, content io.Reader) error { return d.add(l, e, content) }); err != nil {
			return err
		}
		if err := d.links(ctx, l, n); err != nil {
			return err
		}
		if err := d.apply(l); err != nil || l.over {
			return err
		}
	}
	return nil
}

// spooling writes to the spool while there is room.
type spooling struct{ *dags }

// Write implements io.Writer.
func (d spooling) Write(p []byte) (int, error) {
	if d.left -= int64(len(p)); d.left < 0 && d.room != nil {
		if err := d.room(roomStep); err != nil {
			return 0, err
		}
		d.left = roomStep
	}
	return d.spool.Write(p)
}

// keep spools a file's content.
func (d *dags) keep(content io.Reader) (offset, size int64, err error) {
	offset = d.size
	size, err = io.Copy(spooling{d}, io.LimitReader(content, maxDags-d.size+1))
	d.size += size
	if err != nil {
		return 0, 0, fmt.Errorf("read the dags folder: %w", err)
	}
	if d.size > maxDags {
		return 0, 0, slipway.Errorf(slipway.TooLarge, "The folder %s of this image holds more than %d GiB.", d.dir, maxDags>>30)
	}
	return offset, size, nil
}

// apply takes what a layer says, where those above left it open.
func (d *dags) apply(l *dagLayer) error {
	for _, name := range slices.Sorted(maps.Keys(l.here)) {
		if _, known := d.final[name]; known || d.hidden(name) {
			continue
		}
		d.final[name] = l.here[name]
		if err := d.imply(path.Dir(name)); err != nil {
			return err
		}
	}
	maps.Copy(d.hides, l.hides)
	maps.Copy(d.clear, l.clear)
	return nil
}

// imply makes folders of what has something in it.
func (d *dags) imply(p string) error {
	for ; p != d.dir && p != "/"; p = path.Dir(p) {
		if _, known := d.final[p]; known {
			return nil
		}
		d.final[p] = dagEntry{kind: tar.TypeDir}
		if err := d.mark(p); err != nil {
			return err
		}
	}
	return nil
}

// hidden reports whether a higher layer has removed what is at p, or has
// something else than a folder above it.
func (d *dags) hidden(p string) bool {
	if d.hides[p] {
		return true
	}
	for p != d.dir && p != "/" {
		p = path.Dir(p)
		if item, ok := d.final[p]; d.hides[p] || d.clear[p] || ok && item.kind != tar.TypeDir {
			return true
		}
	}
	return false
}

// write writes the files as an archive.
func (d *dags) write(w io.Writer) error {
	archive := tar.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(d.final)) {
		item := d.final[name]
		if item.kind == tar.TypeDir {
			continue
		}
		h := &tar.Header{
			Typeflag: item.kind, Name: strings.TrimPrefix(name, d.dir+"/"), Linkname: item.link,
			Mode: item.mode, Size: item.size, Format: tar.FormatPAX,
		}
		if err := archive.WriteHeader(h); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		if _, err := io.Copy(archive, io.NewSectionReader(d.spool, item.offset, item.size)); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("write the dags folder: %w", err)
	}
	return nil
}
