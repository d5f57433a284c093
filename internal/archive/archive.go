// Package archive reads uploaded archives: zip, and tar, plain or compressed by
// gzip, zstd, xz or bzip2. The package decides which entries are deployed, and
// refuses damaged, oversized and hostile archives.
package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"slipway/internal/slipway"
)

// Entry is a regular file or symlink of an archive.
type Entry struct {
	Name string // in the archive, without ./, with slashes
	Size int64
	Exec bool
	Link string // a symlink's target as written, "" for a file
}

// Read reads the archive in f once, front to back, and hands take each regular
// file that may belong to the dags folder. Take reads r to the end, or returns
// an error to end Read. The Selection decides at the end; some files handed to
// take may not be deployed.
func Read(ctx context.Context, f io.ReaderAt, size int64, lim Limits, take func(e Entry, r io.Reader) error) (Selection, error) {
	if size > lim.Archive {
		return Selection{}, slipway.Errorf(slipway.TooLarge, "The archive has %s. At most %s are allowed.", SizeText(size), SizeText(lim.Archive))
	}
	s := &scan{
		lim: lim, src: &source{ctx: ctx, r: f}, take: take,
		tree: newTree(lim), ignores: map[string][]byte{},
	}
	if err := s.read(size); err != nil {
		return Selection{}, err
	}
	return s.selection()
}

// scan is the reading of one archive.
type scan struct {
	lim         Limits
	src         *source
	take        func(Entry, io.Reader) error
	tree        *tree
	entries     []Entry
	omitted     omissions
	ignores     map[string][]byte // the contents of .slipwayignore files, by folder
	ignoreBytes int               // bytes in ignores
	dags        bool              // the root has a dags folder
	last        string            // the current entry, for refusals
	expanded    int64             // bytes of sparse files, holes included
}

// header is what each format says of an entry before the content.
type header struct {
	raw     string // the name as written, for refusals
	name    string // the decoded name
	kind    kind
	size    uint64
	refusal string // why the format's entry cannot be deployed: "a sparse file"; "" for others
	open    func() (io.Reader, error)
}

// admit checks an entry of any format before the content is read: name, size, and
// the refusals of the format. ok is false for an entry without anything to deploy:
// left out of every upload, or the root folder.
func (s *scan) admit(h header) (name string, ok bool, err error) {
	if name, err = s.lim.clean(h.name); err != nil {
		return "", false, err
	}
	s.last = name
	if left, err := s.omit(name, h.kind, h.open); left || err != nil {
		return "", false, err
	}
	switch {
	case h.refusal != "":
		return "", false, slipway.Errorf(slipway.Invalid, "The entry %s is %s.", Quote(h.raw), h.refusal)
	case name == "" && h.kind == folder:
		return "", false, nil
	case name == "":
		return "", false, slipway.Errorf(slipway.Invalid, "The name %s is not the name of a file.", Quote(h.raw))
	case h.size > uint64(s.lim.Unpacked): // before any of it is unpacked
		return "", false, s.explain(errUnpacked)
	}
	return name, true, nil
}

// add records an admitted entry, and refuses a collision of names.
func (s *scan) add(e Entry, k kind) error {
	if k == link && e.Link == "" {
		return slipway.Errorf(slipway.Invalid, "The symlink %s has no target.", Quote(e.Name))
	}
	if err := s.tree.add(e.Name, k, e.Link); err != nil {
		return err
	}
	if _, ok := below(dagsFolder, e.Name); ok || k == folder && e.Name == dagsFolder {
		s.dags = true
	}
	if k != folder {
		s.entries = append(s.entries, e)
	}
	return nil
}

// mayDeploy reports whether, by the entries up to now, the file name may be
// deployed.
func (s *scan) mayDeploy(name string) bool {
	_, ok := below(dagsFolder, name)
	return ok || !s.dags
}

// deliver gives the content of e to take and reads the rest of the content.
func (s *scan) deliver(e Entry, r io.Reader) error {
	c := &content{scan: s, r: r}
	err := s.take(e, c)
	if err == nil {
		_, err = io.Copy(io.Discard, c)
	}
	if c.err != nil {
		return c.err
	}
	return err
}

// omit records the entry name if left out of every upload, and keeps the
// contents of .slipwayignore files.
func (s *scan) omit(name string, k kind, open func() (io.Reader, error)) (bool, error) {
	top, ok := ignoredAlways(name)
	if !ok {
		return false, nil
	}
	if k != folder {
		s.omitted.add(top, builtIn)
	}
	switch {
	case path.Base(name) != ignoreName || !s.mayRule(parent(name)) || k == folder:
		return true, nil
	case k == link:
		return true, slipway.Errorf(slipway.Invalid, "The entry %s is a link. The patterns must be in a file.", Quote(name))
	}
	return true, s.keepIgnore(name, open)
}

// keepIgnore keeps the content of the .slipwayignore file name.
func (s *scan) keepIgnore(name string, open func() (io.Reader, error)) error {
	r, err := open()
	if err != nil {
		return s.explain(err)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxIgnore+1))
	if err != nil {
		return s.explain(err)
	}
	if s.ignoreBytes += len(text); len(text) > maxIgnore || s.ignoreBytes > maxIgnores {
		return slipway.Errorf(slipway.TooLarge, "The file %s is too large. At most %s of patterns are allowed.", Quote(name), SizeText(maxIgnore))
	}
	s.ignores[parent(name)] = text
	return nil
}

// mayRule reports whether a .slipwayignore in dir may count: dir is, or may
// turn out to be, the root, the wrapper folder or the dags folder.
func (s *scan) mayRule(dir string) bool {
	if _, ok := ignoredAlways(dir); ok {
		return false
	}
	wrapper := strings.TrimSuffix(dir, "/"+dagsFolder)
	return dir == "" || dir == dagsFolder || !strings.Contains(wrapper, "/") && len(s.tree.tops) <= 1
}

// explain returns the error for people for err, raised while reading the entry
// s.last.
func (s *scan) explain(err error) error {
	if slipway.Explained(err) {
		return err
	}
	switch {
	case s.src.failed() != nil: // a failing disk or a cancelled context
		return fmt.Errorf("read archive: %w", s.src.failed())
	case errors.Is(err, errUnpacked):
		return slipway.Errorf(slipway.TooLarge, "The archive unpacks to more than %s: %s is beyond the limit.", SizeText(s.lim.Unpacked), Quote(s.last))
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return slipway.Errorf(slipway.TooLarge, "The archive was compressed with a zstd window of more than %s. Compress it again without --long and --ultra.", SizeText(maxWindow))
	case s.last == "" && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)):
		return slipway.Errorf(slipway.Invalid, "The archive is cut off before its first entry.")
	case s.last == "":
		return slipway.Errorf(slipway.Invalid, "The archive is damaged, or is not an archive of files.")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return slipway.Errorf(slipway.Invalid, "The archive is cut off in or after %s. Pack and upload it again.", Quote(s.last))
	}
	return slipway.Errorf(slipway.Invalid, "The archive is damaged in or after %s. Pack and upload it again.", Quote(s.last))
}

// selection decides, once all entries are known.
func (s *scan) selection() (Selection, error) {
	base, root := s.tree.project(s.dags)
	sel := Selection{Root: root}
	rules := patternsOf(s.ignores, base, root)
	outside := map[string]bool{}
	for _, e := range s.entries {
		p, ok := below(root, e.Name)
		if !ok {
			outside[top(base, e.Name)] = true
			continue
		}
		ignored, err := rules.match(e.Name)
		if err != nil {
			return Selection{}, err
		}
		if ignored != "" {
			s.omitted.add(ignored, ignoreName)
			continue
		}
		sel.Entries = append(sel.Entries, Selected{Path: p, Entry: e})
	}
	sel.LeftOut, sel.LeftOutFiles = s.omitted.sorted(), s.omitted.files
	for name := range outside {
		sel.Outside = append(sel.Outside, name)
	}
	slices.Sort(sel.Outside)
	slices.SortFunc(sel.Entries, func(a, b Selected) int { return cmp.Compare(a.Path, b.Path) })
	return sel, sel.check(s.src.ctx, s.lim)
}
