package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"slipway/internal/slipway"
)

// archive is an uploaded archive with an image. The archive is read from the
// start as often as needed, and never unpacked to disk: names only find the
// parts of the image.
type archive struct {
	open    func() (io.ReadCloser, error)
	entries map[string]archiveEntry
	small   map[string][]byte // contents at hand
	held    int               // bytes in small
	names   int               // bytes in the names of entries
	tops    map[string]bool   // first parts of the names
	odd     error             // the first entry that cannot belong to an image
}

// archiveEntry is a file in an archive.
type archiveEntry struct {
	size int64
	link string // target of a link, in the archive
}

// Limits of an archive. Entries are indexed by name; contents up to maxSmall
// are cached, together up to maxHeld.
const (
	maxArchived = 100_000
	maxSmall    = 256 << 10
	maxHeld     = 16 << 20
)

// readArchive lists an archive.
func readArchive(ctx context.Context, from io.ReaderAt, size int64) (*archive, error) {
	a := &archive{entries: map[string]archiveEntry{}, small: map[string][]byte{}, tops: map[string]bool{}}
	a.open = func() (io.ReadCloser, error) { return unpacked(io.NewSectionReader(from, 0, size)) }
	head := make([]byte, 512)
	if _, err := from.ReadAt(head[:min(size, 512)], 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for magic, title := range otherFormats {
		if bytes.HasPrefix(head, []byte(magic)) && !bytes.HasPrefix(head[257:], []byte("ustar")) {
			return nil, slipway.Errorf(slipway.Invalid, "This is %s, and no archive of an image that can be read. %s", title, howToSave)
		}
	}
	if size < 512 && !bytes.HasPrefix(head, gzipMagic) && !bytes.HasPrefix(head, zstdMagic) {
		return nil, errNotArchive
	}
	return a, a.each(ctx, a.add)
}

const howToSave = "Make one with docker save --output image.tar NAME, or as an OCI layout; it may be compressed with gzip or zstd."

var errNotArchive = slipway.Errorf(slipway.Invalid, "This is no archive of an image. "+howToSave)

// otherFormats are titles of formats by the bytes at the start.
var otherFormats = map[string]string{
	"PK\x03\x04": "a zip file", "PK\x05\x06": "a zip file", "\xfd7zXZ\x00": "a file compressed with xz", "BZh": "a file compressed with bzip2",
	"7z\xbc\xaf\x27\x1c": "a 7z file", "Rar!\x1a\x07": "a rar file", "hsqs": "a SquashFS image", "SIF_MAGIC": "an image of Singularity",
}

// each calls do with each entry of the archive, by cleaned name.
func (a *archive) each(ctx context.Context, do func(name string, h *tar.Header, content io.Reader) error) error {
	plain, err := a.open()
	if err != nil {
		return archiveError(err)
	}
	defer plain.Close()
	left, contents := int64(maxUnpacked), int64(maxUnpacked) // contents with holes have more bytes than the archive
	all := tar.NewReader(&limited{Reader: plain, left: &left})
	for n := 0; ; n++ {
		h, err := all.Next()
		switch {
		case errors.Is(err, io.EOF) && n == 0:
			return errNotArchive
		case errors.Is(err, io.EOF):
			_, err := io.Copy(io.Discard, &limited{Reader: plain, left: &left}) // up to the checksum, if any
			return archiveError(err)
		case n == 0 && errors.Is(err, tar.ErrHeader):
			return errNotArchive
		case err != nil:
			return archiveError(err)
		}
		if err := checkNames(h); err != nil {
			return err
		}
		if h.Typeflag == tar.TypeGNUSparse {
			h.Typeflag = tar.TypeReg
		}
		err = do(path.Clean(h.Name), h, &limited{Reader: all, left: &contents})
		if err := errors.Join(ctx.Err(), err); err != nil {
			return archiveError(err)
		}
	}
}

// archiveError reports a damaged archive, unless the error has another cause.
func archiveError(err error) error {
	if err == nil {
		return nil
	}
	if slipway.Explained(err) || !unreadable(err) && !errors.Is(err, io.EOF) {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.Join(slipway.Errorf(slipway.Invalid, "The archive ends in the middle: it was cut off. Make it anew and upload it again."), err)
	}
	return errors.Join(slipway.Errorf(slipway.Invalid, "The archive is damaged (%v). Make it anew and upload it again.", err), err)
}

// add lists an entry.
func (a *archive) add(name string, h *tar.Header, content io.Reader) error {
	e := archiveEntry{size: h.Size}
	switch h.Typeflag {
	case tar.TypeReg:
	case tar.TypeSymlink:
		e.link, e.size = path.Join(path.Dir(name), h.Linkname), 0
	case tar.TypeLink:
		e.link, e.size = path.Clean(h.Linkname), 0
	case tar.TypeDir, tar.TypeXGlobalHeader:
		return a.look(name)
	default:
		a.noteOdd("The archive has an entry %q that is neither a file nor a link. Nothing was taken.", clipped(name))
		return a.look(name)
	}
	if path.IsAbs(h.Name) || name == ".." || strings.HasPrefix(name, "../") {
		a.noteOdd("The archive has an entry %q, which leads out of it. Nothing was taken.", clipped(h.Name))
		return nil
	}
	if old, twice := a.entries[name]; twice {
		return a.again(name, old, e, content)
	}
	a.names += len(name) + len(e.link)
	if err := a.look(name); err != nil {
		return err
	}
	a.entries[name] = e
	if h.Typeflag != tar.TypeReg || h.Size > maxSmall || a.held+int(h.Size) > maxHeld {
		return nil
	}
	text, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	a.small[name], a.held = text, a.held+len(text)
	return nil
}

func (a *archive) noteOdd(format string, args ...any) {
	if a.odd == nil {
		a.odd = slipway.Errorf(slipway.Invalid, format, args...)
	}
}

// look notes where an entry lies, and refuses too many.
func (a *archive) look(name string) error {
	if top, _, _ := strings.Cut(name, "/"); len(a.tops) < maxTops {
		a.tops[top] = true
	}
	if len(a.entries) < maxArchived && a.names <= maxNames {
		return nil
	}
	if !a.has("manifest.json") && !a.has("index.json") && a.exported() {
		return errExport
	}
	return slipway.Errorf(slipway.TooLarge, "The archive has more than %d entries, or names of more than %d MiB together, which no image needs.", maxArchived, maxNames>>20)
}

// again takes an entry with the name of an earlier one: some tools write a
// layer of two images, or of one image twice, as often. Both must be equal;
// contents that are not at hand are compared by whoever reads them.
func (a *archive) again(name string, old, e archiveEntry, content io.Reader) error {
	if old != e {
		return twoEntries(name)
	}
	if held, ok := a.small[name]; ok {
		text, err := io.ReadAll(content)
		if err == nil && !bytes.Equal(text, held) {
			err = twoEntries(name)
		}
		return err
	}
	return nil
}

func twoEntries(name string) error {
	return slipway.Errorf(slipway.Invalid, "The archive has two entries of the name %q with different contents. Nothing was taken.", clipped(name))
}

// maxTops bounds the names in tops.
const maxTops = 1000

// exported reports whether the archive holds the files of a container, as
// docker export writes them.
func (a *archive) exported() bool {
	folders := 0
	for _, name := range []string{"bin", "dev", "etc", "home", "lib", "opt", "proc", "root", "sys", "tmp", "usr", "var"} {
		if a.tops[name] {
			folders++
		}
	}
	return a.tops[".dockerenv"] || folders >= 3
}

var errExport = slipway.Errorf(slipway.Invalid, "This is what docker export writes: the files of a container, without the settings and the layers of the image. "+
	"Use docker save --output image.tar NAME; of a container, make an image first with docker commit.")

// noImage says what an archive without an image is.
func (a *archive) noImage() error {
	switch {
	case a.exported():
		return errExport
	case a.odd != nil:
		return a.odd
	}
	return slipway.Errorf(slipway.Invalid, "The archive holds no image: neither manifest.json, as docker save writes it, nor the index.json of an OCI layout is in it.")
}

// resolve follows links from a name to a file.
func (a *archive) resolve(name string) (string, archiveEntry, bool) {
	name = path.Clean(name)
	for range maxLinks {
		e, ok := a.entries[name]
		if !ok || e.link == "" {
			return name, e, ok
		}
		name = e.link
	}
	return name, archiveEntry{}, false
}

// has reports whether the archive has a file, perhaps by links.
func (a *archive) has(name string) bool {
	_, _, ok := a.resolve(name)
	return ok
}

// text returns the whole content of a small file.
func (a *archive) text(ctx context.Context, name string) (text []byte, err error) {
	name, e, ok := a.resolve(name)
	if !ok {
		return nil, missing(name)
	}
	if text, ok := a.small[name]; ok {
		return text, nil
	}
	if e.size > maxConfig {
		return nil, damaged("%s in the archive is larger than %d MiB", clipped(name), maxConfig>>20)
	}
	err = a.each(ctx, func(n string, h *tar.Header, content io.Reader) error {
		if n != name || h.Typeflag != tar.TypeReg {
			return nil
		}
		got, err := io.ReadAll(io.LimitReader(content, maxConfig))
		if err == nil && text != nil && !bytes.Equal(text, got) {
			err = twoEntries(name)
		}
		text = got
		return err
	})
	return text, err
}

func missing(name string) error {
	return slipway.Errorf(slipway.Invalid, "The archive is not complete: %s is missing. Make it anew and upload it again.", clipped(name))
}
