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

	NoMode bool // the archive does not say which files are executable
	handed bool // the content was handed over
}

// Take reads the content r of e to the end, or returns an error to end Read. isDAG
// reports whether Airflow would load DAGs from the file.
type Take func(e Entry, r io.Reader) (isDAG bool, err error)

// Read reads the archive in f, front to back, and hands take each regular file that
// may belong to the dags folder. The Selection decides at the end, by search; some
// files handed to take may not be deployed. Read reads twice where more is beside the
// dags folder than may be deployed.
func Read(ctx context.Context, f io.ReaderAt, size int64, lim Limits, search Search, take Take) (Selection, error) {
	if size > lim.Archive {
		return Selection{}, slipway.Errorf(slipway.TooLarge, "The archive has %s, and at most %s are allowed. Leave out what is not deployed, or ask an administrator for a higher --max-archive.", SizeText(size), SizeText(lim.Archive))
	}
	s := newScan(ctx, f, lim, search, take)
	s.inside, s.lim.Upload = lim.Upload > 0, cmp.Or(lim.Upload, size)
	if err := s.read(size); err != nil {
		return Selection{}, err
	}
	sel, err := s.selection()
	if err == nil && s.skipped {
		err = s.readRest(sel, size)
	}
	return sel, err
}

func newScan(ctx context.Context, f io.ReaderAt, lim Limits, search Search, take Take) *scan {
	return &scan{
		lim: lim, ratio: ratio, src: &source{ctx: ctx, r: f}, search: search, take: take,
		tree: newTree(lim), ignores: map[string]string{}, written: map[string]string{}, isDAG: map[string]bool{},
	}
}

// readRest hands over the selected files that were skipped.
func (s *scan) readRest(sel Selection, size int64) error {
	rest := newScan(s.src.ctx, s.src.r, s.lim, s.search, s.take)
	rest.only = map[string]bool{}
	for _, e := range sel.Entries {
		if e.Link == "" && !e.handed {
			rest.only[e.Name] = true
		}
	}
	if len(rest.only) == 0 {
		return nil
	}
	return rest.read(size)
}

// scan is the reading of one archive.
type scan struct {
	lim         Limits
	inside      bool  // the archive lies in another
	ratio       int64 // bytes that one byte of the upload may unpack to
	src         *source
	search      Search
	take        Take
	isDAG       map[string]bool // DAG files by name in the archive
	only        map[string]bool // the files to hand over; nil for all that may be deployed
	tree        *tree
	entries     []Entry
	folders     []string          // folders with an entry of their own
	defects     []defect          // of entries that cannot be deployed
	written     map[string]string // names as written, by the composed name
	backslashes []backslash
	slashes     bool // a name has a slash inside
	modes       bool // a file has a mode
	omitted     omissions
	ignores     map[string]string // the patterns of .slipwayignore files, by folder
	ignoreBytes int               // bytes in ignores
	dags        bool              // the root has a dags folder
	last        string            // the current entry, for refusals
	expanded    int64             // bytes of sparse files, holes included
	files       int               // files handed over
	handed      int64             // bytes handed over
	skipped     bool              // files were not handed over, as there are too many
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

// admit checks an entry of any format before the content is read. ok is false for an
// entry without anything to deploy: left out of every upload, the root folder, or
// one with a fault, which counts if the entry turns out to be deployed.
func (s *scan) admit(h header) (name string, ok bool, err error) {
	name, reason, err := s.place(h)
	if err != nil {
		return "", false, err
	}
	s.last = name
	if left, err := s.omit(name, h.kind, h.open); left || err != nil {
		return "", false, err
	}
	switch {
	case reason != nil:
	case h.refusal != "":
		reason = &entryError{h.raw, h.refusal}
	case name == "" && h.kind == folder:
		return "", false, nil
	case h.size > uint64(s.lim.Unpacked):
		reason = s.explain(errUnpacked)
	}
	if name == "" {
		return "", false, slipway.Errorf(slipway.Invalid, "The name %s is not the name of a file. Rename the file, and pack the archive again.", Quote(h.raw))
	}
	s.slashes = s.slashes || hasSlash(h.name)
	if reason != nil {
		return "", false, s.putOff(name, reason)
	}
	if strings.Contains(h.name, `\`) {
		s.backslashes = append(s.backslashes, backslash{written: h.name, name: name})
	}
	return name, true, nil
}

// add records an admitted entry.
func (s *scan) add(e Entry, k kind) error {
	if k == link && e.Link == "" {
		return s.putOff(e.Name, slipway.Errorf(slipway.Invalid, "The symlink %s has no target. Make the symlink again, or leave it out.", Quote(e.Name)))
	}
	e.Link = Compose(e.Link)
	if err := s.tree.note(e.Name, k, e.Link); err != nil {
		return err
	}
	if _, ok := below(dagsFolder, e.Name); ok || k == folder && e.Name == dagsFolder {
		s.dags = true
	}
	s.modes = s.modes || k == file && !e.NoMode
	if k == folder {
		s.folders = append(s.folders, e.Name)
	} else {
		s.entries = append(s.entries, e)
	}
	return nil
}

// hands reports whether the content of the file e is handed over: by the entries up
// to now, e may be deployed, and all are within the limits. Beyond the limits,
// small Python files are handed over, for the search of the dags folder.
func (s *scan) hands(e Entry) bool {
	if s.only != nil {
		return s.only[e.Name]
	}
	if _, ok := below(dagsFolder, e.Name); !ok && s.dags && s.search.Root == "" {
		return false
	}
	full := s.files >= s.lim.Files || e.Size > s.lim.Unpacked-s.handed
	if full && !isSmallPython(e) || s.files >= 2*s.lim.Files {
		s.skipped = true
		return false
	}
	s.files++
	s.handed += e.Size
	return true
}

func isSmallPython(e Entry) bool {
	return e.Size <= 1<<20 && strings.HasSuffix(e.Name, ".py")
}

// deliver gives the content of e to take and reads the rest of the content.
func (s *scan) deliver(e Entry, r io.Reader) error {
	c := &content{scan: s, r: r}
	isDAG, err := s.take(e, c)
	if isDAG {
		s.isDAG[e.Name] = true
	}
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
	case path.Base(name) != ignoreName || top != name || k == folder: // in a folder that is left out anyway
		return true, nil
	case k == link:
		return true, slipway.Errorf(slipway.Invalid, "The entry %s is a link. Put the patterns in a file of this name.", Quote(name))
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
		return slipway.Errorf(slipway.TooLarge, "The file %s is too large, as at most %s of patterns are allowed. Use fewer patterns.", Quote(name), SizeText(maxIgnore))
	}
	s.ignores[parent(name)], err = patternText(name, text)
	return err
}

// explain returns the error for people for err, raised while reading the entry
// s.last.
func (s *scan) explain(err error) error {
	if slipway.Explained(err) {
		return err
	}
	switch {
	case isPanic(err):
		return fmt.Errorf("read archive: %w", err)
	case s.src.failed() != nil: // a failing disk or a cancelled context
		return fmt.Errorf("read archive: %w", s.src.failed())
	case errors.Is(err, errStream):
		return slipway.Errorf(slipway.TooLarge, "The archive unpacks to more than %s, with all that is not deployed: %s is beyond the limit. Pack only the files to deploy, or ask an administrator for a higher --max-unpacked.", SizeText(s.lim.stream()), Quote(s.last))
	case errors.Is(err, errRatio):
		most, _ := s.bound(s.lim.stream(), nil)
		return slipway.Errorf(slipway.TooLarge, "The upload has %s and unpacks to more than %s: %s is beyond the limit. Leave out what packs so well, or pack with gzip.", SizeText(s.lim.Upload), SizeText(most), Quote(s.last))
	case errors.Is(err, errUnpacked):
		return slipway.Errorf(slipway.TooLarge, "The archive unpacks to more than %s: %s is beyond the limit. Leave out what Airflow does not need, or ask an administrator for a higher --max-unpacked.", SizeText(s.lim.Unpacked), Quote(s.last))
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return slipway.Errorf(slipway.TooLarge, "The archive was compressed with a zstd window of more than %s. Compress it again without --long and --ultra.", SizeText(maxWindow))
	case s.last == "" && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)):
		return slipway.Errorf(slipway.Invalid, "The archive is cut off before its first entry. Pack and upload it again.")
	case s.last == "":
		return slipway.Errorf(slipway.Invalid, "The archive is damaged, or is not an archive of files. Pack and upload it again.")
	case s.tooLarge() != nil: // a bomb mostly breaks off, too
		return s.tooLarge()
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return slipway.Errorf(slipway.Invalid, "The archive is cut off in or after %s. Pack and upload it again.", Quote(s.last))
	}
	return slipway.Errorf(slipway.Invalid, "The archive is damaged in or after %s. Pack and upload it again.", Quote(s.last))
}

func isPanic(err error) bool {
	_, ok := errors.AsType[*slipway.PanicError](err)
	return ok
}

// selection decides, once all entries are known.
func (s *scan) selection() (Selection, error) {
	s.settleBackslashes()
	found, err := s.findRoot()
	if inner, err := s.innerArchive(found, err != nil); err != nil || inner != "" {
		return Selection{Inner: inner}, err
	}
	if err != nil {
		return Selection{}, err
	}
	rules := s.patternsTo(cmp.Or(found.Path, s.tree.wrapper()))
	p := picker{scan: s, sel: Selection{Root: found.Path, Found: found}, rules: rules, outside: map[string]bool{}}
	if err := p.pickAll(); err != nil {
		return Selection{}, err
	}
	sel := p.sel
	sel.LeftOut, sel.LeftOutFiles = s.omitted.sorted(), s.omitted.files
	for name := range p.outside {
		sel.Outside = append(sel.Outside, name)
	}
	slices.Sort(sel.Outside)
	slices.SortStableFunc(sel.Entries, func(a, b Selected) int { return cmp.Compare(a.Path, b.Path) })
	if err := s.oneForm(sel); err != nil {
		return Selection{}, err
	}
	s.tree, s.entries = nil, nil // before another tree is built
	return sel, sel.check(s.src.ctx, s.lim, p.folders)
}
