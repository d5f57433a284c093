package image

import (
	"archive/tar"
	"context"
	"io"
	"path"

	"slipway/internal/slipway"
)

// dagLayer is what one layer says of a folder.
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
		l.over = true // the folder itself, or one that it is in
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

// links gives hard links the content of their targets: of this layer, else of
// the first below that has it.
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

func (l *dagLayer) fill(got map[string]dagEntry, wanted map[string]bool) {
	for name, target := range l.hard {
		if item, ok := got[target]; ok {
			l.here[name] = item
			delete(wanted, target)
		}
	}
}
