package image

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"slipway/internal/slipway"
)

// Limits of a dags folder.
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
	offset int64 // of the content in the temporary file
	size   int64
}

// dags collects a folder of an image from the layers, the highest first: the
// first entry of a path counts.
type dags struct {
	f     *inspected
	dir   string              // real path of the folder
	final map[string]dagEntry // by path
	hides map[string]bool     // paths removed by higher layers
	clear map[string]bool     // folders emptied by higher layers
	temp  *os.File
	room  claims
	size  int64
	marks int // entries in memory, of all layers
	names int // bytes of their names
}

// mark counts an entry in memory.
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

// dagsTempWriter writes to the temporary file and checks the free space.
type dagsTempWriter struct{ *dags }

// Write implements io.Writer.
func (d dagsTempWriter) Write(p []byte) (int, error) {
	if err := d.room.take(int64(len(p))); err != nil {
		return 0, err
	}
	return d.temp.Write(p)
}

// keep spools a file's content.
func (d *dags) keep(content io.Reader) (offset, size int64, err error) {
	offset = d.size
	size, err = io.Copy(dagsTempWriter{d}, io.LimitReader(content, maxDags-d.size+1))
	d.size += size
	if err != nil {
		return 0, 0, fmt.Errorf("read the dags folder: %w", err)
	}
	if d.size > maxDags {
		return 0, 0, slipway.Errorf(slipway.TooLarge, "The folder %s of this image holds more than %d GiB.", d.dir, maxDags>>30)
	}
	return offset, size, nil
}

// apply merges a layer below the layers read before.
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

// imply adds the folders above an entry.
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

// hidden reports whether a higher layer removed p, or has a file in place of
// a folder above p.
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
		if _, err := io.Copy(archive, io.NewSectionReader(d.temp, item.offset, item.size)); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("write the dags folder: %w", err)
	}
	return nil
}

// add takes an entry of a layer.
func (d *dags) add(l *dagLayer, e entry, content io.Reader) error {
	switch {
	case e.hide != "":
		return d.addWhiteout(l, e)
	case !within(e.path, d.dir):
		if within(d.dir, e.path) && e.Typeflag != tar.TypeDir {
			l.over = true // a file where a folder of the way is now
		}
		return nil
	case len(l.here)+len(d.final) > maxDagFiles:
		return slipway.Errorf(slipway.TooLarge, "The folder %s of this image has more than %d files.", d.dir, maxDagFiles)
	}
	if err := d.mark(e.path, e.Linkname); err != nil {
		return err
	}
	delete(l.hard, e.path) // the last of one name counts
	item := dagEntry{kind: e.Typeflag, mode: e.Mode & 0o777}
	switch e.Typeflag {
	case tar.TypeReg:
		var err error
		if item.offset, item.size, err = d.keep(content); err != nil {
			return err
		}
	case tar.TypeSymlink:
		item.link = e.Linkname
	case tar.TypeLink:
		l.hard[e.path] = path.Clean("/" + e.Linkname)
		return nil
	case tar.TypeDir:
	default:
		return slipway.Errorf(slipway.Invalid, "%s of this image is neither a file nor a folder nor a symlink.", e.path)
	}
	l.here[e.path] = item
	return nil
}

func (d *dags) addWhiteout(l *dagLayer, e entry) error {
	switch {
	case within(d.dir, e.hide):
		l.over = true // the folder itself, or one above
		return nil
	case !within(e.hide, d.dir):
		return nil
	case e.all:
		l.clear[e.hide] = true
	default:
		l.hides[e.hide] = true
	}
	return d.mark(e.hide)
}

// links gives hard links the content of their targets: from this layer, else
// from the next lower layer with the target.
func (d *dags) links(ctx context.Context, l *dagLayer, n int) error {
	wanted := map[string]bool{}
	for name, target := range l.hard {
		for range maxLinks {
			if next, chained := l.hard[target]; chained {
				target = next
			}
		}
		l.hard[name] = target
		if item, ok := l.here[target]; ok {
			l.here[name] = item
		} else {
			wanted[target] = true
		}
	}
	for ; n >= 0 && len(wanted) > 0; n-- {
		got := map[string]dagEntry{}
		err := d.f.eachEntry(ctx, n, func(e entry, content io.Reader) (err error) {
			if wanted[e.path] && e.Typeflag == tar.TypeReg {
				item := dagEntry{kind: tar.TypeReg, mode: e.Mode & 0o777}
				item.offset, item.size, err = d.keep(content)
				got[e.path] = item
			}
			return err
		})
		if err != nil {
			return err
		}
		l.fill(got, wanted)
	}
	for target := range wanted {
		return damaged("a hard link in %s leads to %s, which is not there", d.dir, target)
	}
	return nil
}

// dagLayer is the part of one layer that concerns the folder.
type dagLayer struct {
	here  map[string]dagEntry
	hard  map[string]string // hard links to their targets
	hides map[string]bool
	clear map[string]bool
	over  bool // the layers below do not count: a folder of the way is new
}

func newDagLayer() *dagLayer {
	return &dagLayer{here: map[string]dagEntry{}, hard: map[string]string{}, hides: map[string]bool{}, clear: map[string]bool{}}
}

func (l *dagLayer) fill(got map[string]dagEntry, wanted map[string]bool) {
	for name, target := range l.hard {
		if item, ok := got[target]; ok {
			l.here[name] = item
			delete(wanted, target)
		}
	}
}
