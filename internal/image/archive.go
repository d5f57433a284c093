package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/internal/slipway"
)

// archive is an uploaded archive with an image. The archive is read from the
// start as often as needed, and never unpacked to disk.
type archive struct {
	open    func() (io.ReadCloser, error)
	entries map[string]archiveEntry
	small   map[string][]byte // contents at hand
	held    int               // bytes in small
	names   int               // bytes in the names of entries
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
	a := &archive{entries: map[string]archiveEntry{}, small: map[string][]byte{}}
	a.open = func() (io.ReadCloser, error) { return unpacked(io.NewSectionReader(from, 0, size)) }
	head := make([]byte, 512)
	if _, err := from.ReadAt(head[:min(size, 512)], 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if size < 512 && !strings.HasPrefix(string(head), string(gzipMagic)) {
		return nil, errNotArchive
	}
	return a, a.each(ctx, a.add)
}

var errNotArchive = slipway.Errorf(slipway.Invalid, "This is no archive of an image. Make one with docker save --output image.tar NAME, or as an OCI layout; it may be compressed with gzip.")

// each calls do with each entry of the archive, by cleaned name.
func (a *archive) each(ctx context.Context, do func(name string, h *tar.Header, content io.Reader) error) error {
	plain, err := a.open()
	if err != nil {
		return archiveError(err)
	}
	defer plain.Close()
	left := int64(maxUnpacked)
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
		name := path.Clean(h.Name)
		if path.IsAbs(h.Name) || name == ".." || strings.HasPrefix(name, "../") {
			return slipway.Errorf(slipway.Invalid, "The archive has an entry %q, which leads out of it. Nothing was taken.", clipped(h.Name))
		}
		if err := errors.Join(ctx.Err(), do(name, h, all)); err != nil {
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
		if _, sparse := h.PAXRecords["GNU.sparse.major"]; sparse {
			return slipway.Errorf(slipway.Invalid, "The archive has an entry %q with holes, which no image needs. Nothing was taken.", clipped(name))
		}
	case tar.TypeSymlink:
		e.link = path.Join(path.Dir(name), h.Linkname)
	case tar.TypeLink:
		e.link = path.Clean(h.Linkname)
	case tar.TypeDir, tar.TypeXGlobalHeader:
		return nil
	default:
		return slipway.Errorf(slipway.Invalid, "The archive has an entry %q that is neither a file nor a link. Nothing was taken.", clipped(name))
	}
	if _, twice := a.entries[name]; twice {
		return slipway.Errorf(slipway.Invalid, "The archive has two entries of the name %q. Nothing was taken.", clipped(name))
	}
	a.names += len(name) + len(e.link)
	if len(a.entries) == maxArchived || a.names > maxNames {
		return slipway.Errorf(slipway.TooLarge, "The archive has more than %d entries, or names of more than %d MiB together, which no image needs.", maxArchived, maxNames>>20)
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
	err = a.each(ctx, func(n string, h *tar.Header, content io.Reader) (err error) {
		if n == name && h.Typeflag == tar.TypeReg {
			text, err = io.ReadAll(io.LimitReader(content, maxConfig))
		}
		return err
	})
	return text, err
}

func missing(name string) error {
	return slipway.Errorf(slipway.Invalid, "The archive is not complete: %s is missing. Make it anew and upload it again.", clipped(name))
}

// layout reads an OCI layout.
func (a *archive) layout(ctx context.Context, wanted slipway.Platform) (*archivedImage, error) {
	text, err := a.text(ctx, "index.json")
	if err != nil {
		return nil, err
	}
	r := archiveRepo{a}
	m, err := r.one(ctx, manifest{raw: text, mediaType: string(types.OCIImageIndex)}, wanted)
	if err != nil {
		return nil, err
	}
	c, err := m.content()
	if err != nil {
		return nil, err
	}
	if title := artifact(m, c); title != "" {
		return nil, noImage(archived, title)
	}
	p := &archivedImage{manifest: &m}
	if p.config, err = configOf(ctx, r, c); err != nil {
		return nil, err
	}
	for _, l := range c.Layers {
		p.layers = append(p.layers, archivedLayer{file: blobFile(l.Digest), want: l.Digest, blob: l})
	}
	return p, nil
}

// image returns the archive's image for a platform.
func (a *archive) image(ctx context.Context, wanted slipway.Platform) (*archivedImage, error) {
	var p *archivedImage
	var err error
	switch {
	case a.has("index.json"):
		p, err = a.layout(ctx, wanted)
	case a.has("manifest.json"):
		p, err = a.saved(ctx, wanted)
	default:
		return nil, slipway.Errorf(slipway.Invalid, "The archive holds no image: neither manifest.json, as docker save writes it, nor the index.json of an OCI layout is in it.")
	}
	if err != nil {
		return nil, err
	}
	return p, p.check(wanted)
}

// savedImage is an entry of the manifest.json of docker save.
type savedImage struct {
	Config string // file of the configuration
	Layers []string

	config []byte
}

// saved reads the format of docker save. Of images for several platforms, one
// is chosen.
func (a *archive) saved(ctx context.Context, wanted slipway.Platform) (*archivedImage, error) {
	text, err := a.text(ctx, "manifest.json")
	if err != nil {
		return nil, err
	}
	var images []savedImage
	if err := json.Unmarshal(text, &images); err != nil {
		return nil, damaged("the archive's manifest.json cannot be read (%v)", err)
	}
	if len(images) == 0 || len(images) > maxSaved {
		return nil, severalImages(len(images))
	}
	one, err := a.savedFor(ctx, images, wanted)
	if err != nil {
		return nil, err
	}
	p := &archivedImage{config: one.config}
	for _, name := range one.Layers {
		p.layers = append(p.layers, archivedLayer{file: name})
	}
	return p, nil
}

// maxSaved is the largest number of images whose platforms are compared.
const maxSaved = 32

// savedFor returns the image for a platform.
func (a *archive) savedFor(ctx context.Context, images []savedImage, wanted slipway.Platform) (one savedImage, err error) {
	var offered []descriptor
	of := map[string]savedImage{} // by digest of the configuration
	for _, i := range images {
		if i.config, err = a.text(ctx, i.Config); err != nil {
			return one, err
		}
		d := descriptor{Digest: sumOf(i.config), Platform: &slipway.Platform{}}
		if err := json.Unmarshal(i.config, d.Platform); err != nil {
			return one, damaged("its configuration is no JSON (%v)", err)
		}
		if _, twice := of[d.Digest]; !twice { // one image by two names
			offered = append(offered, d)
		}
		of[d.Digest] = i
	}
	switch all := best(offered, wanted); len(all) {
	case 0:
		return one, wrongPlatform(platformsOf(offered), wanted)
	case 1:
		return of[all[0].Digest], nil
	default:
		return one, severalImages(len(all))
	}
}

// store puts the layers of p into a repository, in the order of the archive.
func (a *archive) store(ctx context.Context, to *ownRepo, p *archivedImage) error {
	wanted := map[string][]*archivedLayer{}
	for i := range p.layers {
		l := &p.layers[i]
		name, _, ok := a.resolve(l.file)
		if !ok {
			return missing(l.file)
		}
		wanted[path.Clean(name)] = append(wanted[path.Clean(name)], l)
	}
	return a.each(ctx, func(name string, h *tar.Header, content io.Reader) error {
		layers := wanted[name]
		if len(layers) == 0 || h.Typeflag != tar.TypeReg {
			return nil
		}
		if err := storeLayer(ctx, to, layers[0], content); err != nil {
			return err
		}
		for _, l := range layers[1:] {
			l.blob = layers[0].blob
		}
		return nil
	})
}
