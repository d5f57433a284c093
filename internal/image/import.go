package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"slipway/internal/slipway"

	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
)

// archivedImage is an image in an archive.
type archivedImage struct {
	config   []byte
	manifest *manifest // to store unchanged; nil: finish makes one
	layers   []archivedLayer
}

// archivedLayer is a layer in an archive.
type archivedLayer struct {
	file string // in the archive
	want string // digest of the file; "" where the archive does not say
	diff string // digest of the uncompressed tar
	blob descriptor

	stored string // digest of the blob, once stored
}

// check compares the configuration with the platform and the layers, before
// the layers are read.
func (p *archivedImage) check(wanted slipway.Platform) error {
	var c config
	if err := json.Unmarshal(p.config, &c); err != nil {
		return damaged("its configuration is no JSON (%v)", err)
	}
	if err := checkPlatform(c.platform(), wanted); err != nil {
		return err
	}
	if len(c.RootFS.DiffIDs) != len(p.layers) || len(p.layers) > maxLayers {
		return damaged("its configuration names %d layers, its manifest %d", len(c.RootFS.DiffIDs), len(p.layers))
	}
	for i := range p.layers {
		p.layers[i].diff = c.RootFS.DiffIDs[i]
	}
	return nil
}

// store puts the archive's image into a repository and returns the manifest.
// The archive of a current docker save is an OCI layout and has the older
// manifest.json as well: where one half is broken, the other one is taken.
func (a *archive) store(ctx context.Context, to *ownRepo, wanted slipway.Platform) (manifest, error) {
	var first error
	for _, half := range []struct {
		file string
		read func(context.Context, *archive, slipway.Platform) (*archivedImage, error)
	}{{"index.json", readLayout}, {"manifest.json", readSaved}} {
		if !a.has(half.file) {
			continue
		}
		p, err := half.read(ctx, a, wanted)
		if err == nil {
			err = p.check(wanted)
		}
		if err == nil {
			err = p.storeLayers(ctx, a, to)
		}
		if err == nil {
			return p.finish(ctx, to)
		}
		if first == nil {
			first = err
		}
		if kind, _ := slipway.Explain(err); kind != slipway.Invalid || errors.Is(err, errSeveral) {
			break
		}
	}
	if first == nil {
		first = a.noImage()
	}
	return manifest{}, first
}

// storeLayers puts the layers into a repository, in the order of the archive.
func (p *archivedImage) storeLayers(ctx context.Context, a *archive, to *ownRepo) error {
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
		before := layers[0].stored
		if err := layers[0].store(ctx, to, content); err != nil {
			return err
		}
		if before != "" && before != layers[0].stored { // the entry is there twice
			return twoEntries(name)
		}
		for _, l := range layers[1:] {
			if l.diff != layers[0].diff {
				return otherContent(l.file)
			}
			l.blob, l.stored = layers[0].blob, layers[0].stored
		}
		return nil
	})
}

func otherContent(file string) error {
	return damaged("its layer %s has other content than its configuration says", clipped(file))
}

// store stores a layer: a compressed one unchanged, a plain one compressed.
func (l *archivedLayer) store(ctx context.Context, to *ownRepo, content io.Reader) error {
	b := bufio.NewReaderSize(content, 64<<10)
	head, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) { // a short one is plain
		return err
	}
	packed, mediaType, want := true, string(types.OCILayer), l.want
	switch {
	case bytes.HasPrefix(head, gzipMagic):
	case bytes.HasPrefix(head, zstdMagic):
		mediaType = string(types.OCILayerZStd)
	default:
		packed, want = false, ""
	}
	got, err := to.write(ctx, want, func(w io.Writer) error {
		if packed {
			return l.copyPacked(w, b)
		}
		return l.pack(w, b)
	})
	if err != nil {
		return err
	}
	if packed && l.blob.Size != 0 && l.want != "" && got.Size != l.blob.Size {
		return damaged("the layer %s has another size than its manifest says", l.want)
	}
	l.blob, l.stored = descriptor{MediaType: mediaType, Digest: got.Digest, Size: got.Size}, got.Digest
	return nil
}

// copyPacked copies a compressed layer, and compares the content with the
// configuration: engines refuse to run an image that differs.
func (l *archivedLayer) copyPacked(w io.Writer, from io.Reader) error {
	copied := io.TeeReader(from, w)
	plain, err := unpacked(copied)
	if err != nil {
		return err
	}
	defer plain.Close()
	sum, left := digest.SHA256.Digester(), int64(maxUnpacked)
	if _, err := io.Copy(sum.Hash(), &limited{Reader: plain, left: &left}); err != nil {
		if !slipway.Explained(err) && unreadable(err) {
			err = errors.Join(damaged("its layer %s cannot be read (%v)", clipped(l.file), err), err)
		}
		return err
	}
	if l.diff != sum.Digest().String() {
		return otherContent(l.file)
	}
	_, err = io.Copy(io.Discard, copied)
	return err
}

// pack compresses a plain layer, and compares the content with the
// configuration.
func (l *archivedLayer) pack(w io.Writer, from io.Reader) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	sum := digest.SHA256.Digester()
	if _, err = io.Copy(io.MultiWriter(z, sum.Hash()), from); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	if l.diff != sum.Digest().String() {
		return otherContent(l.file)
	}
	return nil
}

// finish stores the configuration and returns the manifest: the archive's
// own, unless a layer was stored under another digest.
func (p *archivedImage) finish(ctx context.Context, to *ownRepo) (manifest, error) {
	config, err := to.write(ctx, "", func(w io.Writer) error { _, err := w.Write(p.config); return err })
	if err != nil {
		return manifest{}, err
	}
	if p.manifest != nil && !slices.ContainsFunc(p.layers, func(l archivedLayer) bool { return l.blob.Digest != l.want }) {
		return *p.manifest, nil
	}
	config.MediaType = string(types.OCIConfigJSON)
	layers := make([]descriptor, len(p.layers))
	for i, l := range p.layers {
		layers[i] = l.blob
	}
	raw, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": types.OCIManifestSchema1, "config": config, "layers": layers,
	})
	if err != nil {
		return manifest{}, fmt.Errorf("write manifest: %w", err)
	}
	return manifest{mediaType: string(types.OCIManifestSchema1), raw: raw}, nil
}
