package archive

import (
	"archive/zip"
	"bufio"
	"cmp"
	"compress/flate"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
	"strings"

	"slipway/internal/slipway"
)

// zipFile is a file of a zip archive, with the start of the content.
type zipFile struct {
	*zip.File
	start int64
}

// readZip reads a zip archive in the order of contents. All names are known
// before the first content is read.
func readZip(s *scan, size int64) error {
	dir, err := zipDirReader{s}.read(size)
	if err != nil {
		return err
	}
	src := dir.bounded(s.src)
	zr, err := zip.NewReader(src, src.size())
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return zipDirReader{s}.failure()
	}
	files, err := zipLayout(s, zr.File, dir.start)
	if err != nil {
		return err
	}
	z := &zipReader{scan: s, meter: meter{src: s.src}}
	z.meter.limit, z.meter.over = s.bound(s.lim.Unpacked, errUnpacked)
	wanted := make([]deployFile, 0, len(files))
	for _, f := range files {
		k, err := z.declare(f)
		if err != nil {
			return err
		}
		if k == file {
			wanted = append(wanted, deployFile{len(s.entries) - 1, f})
		}
	}
	return z.deliver(wanted)
}

// deployFile is a file with its place in the entries of the scan.
type deployFile struct {
	entry int
	zipFile
}

// zipLayout returns files in the order of contents. Contents must lie head to
// tail from the start of the archive to the directory, each behind a header
// equal to the directory.
func zipLayout(s *scan, list []*zip.File, dir int64) ([]zipFile, error) {
	files := make([]zipFile, len(list))
	for i, f := range list {
		s.last = f.Name
		start, err := f.DataOffset()
		if err != nil {
			return nil, s.explain(err)
		}
		if len(f.Extra) == 0 {
			f.Extra = nil // an empty one keeps the bytes of the directory's entry
		}
		files[i] = zipFile{f, start}
	}
	slices.SortStableFunc(files, func(a, b zipFile) int { return cmp.Compare(a.start, b.start) })
	var at int64
	for _, f := range files {
		s.last = f.Name
		next, err := checkLocal(s, f, at, dir)
		if err != nil {
			return nil, err
		}
		at = next
	}
	if at != dir {
		return nil, slipway.Errorf(slipway.Invalid, "The zip archive holds data that belongs to no file, behind %s. Pack and upload it again.", Quote(s.last))
	}
	return files, nil
}

// zipReader reads contents, and counts unpacked bytes.
type zipReader struct {
	scan  *scan
	meter meter
	inflater
}

// declare records f. The kind is file if the content is still to be read.
func (z *zipReader) declare(f zipFile) (kind, error) {
	name, k, refusal := zipKind(f.File)
	f.Extra, f.Comment = nil, "" // not needed any more
	cleaned, ok, err := z.scan.admit(header{
		raw: name, name: name, kind: k, size: f.UncompressedSize64, refusal: refusal,
		open: func() (io.Reader, error) { return z.open(f) },
	})
	if !ok || err != nil {
		return 0, err
	}
	e := Entry{Name: cleaned, Size: int64(f.UncompressedSize64), NoMode: !hasMode(f.File)}
	e.Exec = !e.NoMode && f.Mode()&0o111 != 0
	if k == link {
		if e, err = z.symlink(cleaned, f); err != nil {
			return 0, z.putOff(cleaned, err)
		}
	}
	return k, z.scan.add(e, k)
}

// putOff is scan.putOff, but for errors of the disk.
func (z *zipReader) putOff(name string, err error) error {
	if !slipway.Explained(err) {
		return err
	}
	return z.scan.putOff(name, err)
}

// symlink returns the link; the content of f is the target.
func (z *zipReader) symlink(name string, f zipFile) (Entry, error) {
	r, err := z.open(f)
	if err != nil {
		return Entry{}, z.scan.explain(err)
	}
	limit := z.scan.lim.Path
	target, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	switch {
	case err != nil:
		return Entry{}, z.scan.explain(err)
	case len(target) > limit:
		return Entry{}, slipway.Errorf(slipway.TooLarge, "The target of the symlink %s has more than %d bytes. Make the target shorter.", Quote(name), limit)
	}
	return Entry{Name: name, Link: string(target)}, nil
}

// deliver gives the contents that may be deployed to take. Where the directory
// says that these are too many, nothing is unpacked before the selection but
// small Python files.
func (z *zipReader) deliver(files []deployFile) error {
	s := z.scan
	root := s.plainRoot()
	var sum int64
	count := 0
	for _, f := range files {
		if _, ok := below(root, s.entries[f.entry].Name); ok {
			count++
			sum += s.entries[f.entry].Size
		}
	}
	tooMuch := sum > s.lim.Unpacked || count > s.lim.Files
	for _, f := range files {
		e := &s.entries[f.entry]
		if _, ok := below(root, e.Name); !ok && s.only == nil || s.only != nil && !s.only[e.Name] {
			continue
		}
		if s.only == nil && tooMuch && (root != "" || !isSmallPython(*e)) {
			s.skipped = true
			continue
		}
		e.handed = true
		if err := z.deliverOne(*e, f.zipFile); err != nil {
			return err
		}
	}
	return nil
}

func (z *zipReader) deliverOne(e Entry, f zipFile) error {
	z.scan.last = e.Name
	r, err := z.open(f)
	if err != nil {
		return z.scan.explain(err)
	}
	return z.scan.deliver(e, r)
}

// zipKind returns the name of f, the kind, and the reason to refuse f. Tools on
// Windows write backslashes between folders.
func zipKind(f *zip.File) (name string, k kind, refusal string) {
	name = zipName(f)
	mode := f.Mode()
	if strings.HasSuffix(name, "/") {
		mode |= fs.ModeDir
	}
	k = file
	switch {
	case mode.IsDir():
		k = folder
	case mode.Type() == fs.ModeSymlink:
		k = link
	}
	switch {
	case f.Flags&zipEncrypted != 0:
		refusal = "encrypted. Pack the archive without a password"
	case f.Method != zip.Store && f.Method != zip.Deflate:
		refusal = fmt.Sprintf("compressed with method %d. Pack the archive again with deflate, the usual one", f.Method)
	case k == folder && f.UncompressedSize64 > 0:
		refusal = "a folder with a content, like a file. Pack and upload the archive again"
	case k == file && mode.Type() != 0:
		refusal = "neither a file, a folder nor a symlink, but a device or a fifo. Leave it out"
	}
	return name, k, refusal
}

// zipName returns the name of f. A name that is not marked as UTF-8 may have its
// UTF-8 form in an extra field, with the checksum of the name.
func zipName(f *zip.File) string {
	name := f.Name
	if other, ok := unicodePath(f.Extra, f.Name); ok && f.Flags&zipUTF8 == 0 {
		name = other
	}
	if !isUnix(f) {
		name = strings.ReplaceAll(name, `\`, "/")
	}
	return name
}

// isUnix reports whether f was packed on Unix or macOS, with slashes in names
// and meaningful modes.
func isUnix(f *zip.File) bool {
	host := f.CreatorVersion >> 8
	return host == 3 || host == 19
}

// hasMode reports whether f says who may read, write and execute the file. Writers
// such as git archive say so only of some files.
func hasMode(f *zip.File) bool { return isUnix(f) && f.Mode().Perm() != 0 }

// open returns the content of f. Read to the end before opening the next file.
func (z *zipReader) open(f zipFile) (io.Reader, error) {
	raw, err := f.OpenRaw()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", Quote(f.Name), err)
	}
	if z.raw == nil {
		z.raw = bufio.NewReaderSize(raw, 32<<10)
		z.flate = flate.NewReader(z.raw)
	}
	z.raw.Reset(raw)
	z.meter.r = z.raw
	if f.Method == zip.Deflate {
		if err := z.flate.(flate.Resetter).Reset(z.raw, nil); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", Quote(f.Name), err)
		}
		z.meter.r = z.flate
	}
	return &checkedContent{file: f.File, r: &z.meter, raw: z.raw, sum: crc32.NewIEEE()}, nil
}
