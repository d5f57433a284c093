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

	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"

	"slipway/internal/slipway"
)

// packed is an image in an archive.
type packed struct {
	config   []byte
	manifest *manifest // as it is to be stored; nil: one is to be made
	layers   []packedLayer
}

// packedLayer is a layer in an archive.
type packedLayer struct {
	file string // in the archive
	want string // digest of the file; "" where the archive does not say
	diff string // digest of what it unpacks to
	blob descriptor
}

// Import puts the image of an archive into the own registry, under repository
// and tag: what docker save writes, or an OCI layout, plain or compressed with
// gzip. Nothing is held in memory or spooled; without the manifest, which comes
// last, nothing of it can be deployed.
func (s *Store) Import(ctx context.Context, repository, tag string, from io.ReaderAt, size int64, platform string) (slipway.Image, error) {
	if err := checkTarget(repository, tag); err != nil {
		return slipway.Image{}, err
	}
	a, err := readArchive(ctx, from, size)
	if err != nil {
		return slipway.Image{}, err
	}
	p, err := a.image(ctx, parsePlatform(platform))
	if err != nil {
		return slipway.Image{}, err
	}
	to, err := s.repo(ctx, repository)
	if err != nil {
		return slipway.Image{}, err
	}
	if err := a.store(ctx, to, p); err != nil {
		return slipway.Image{}, err
	}
	m, err := p.finish(ctx, to)
	if err != nil {
		return slipway.Image{}, err
	}
	if _, err := to.putManifest(ctx, m.mediaType, m.raw, tag); err != nil {
		return slipway.Image{}, err
	}
	return s.Inspect(ctx, Ref{Name: repository, Tag: tag}, platform, Login{})
}

// image returns the image in an archive that is for a platform.
func (a *archive) image(ctx context.Context, wanted platform) (*packed, error) {
	_, _, layout := a.resolve("index.json")
	_, _, saved := a.resolve("manifest.json")
	var p *packed
	var err error
	switch {
	case layout:
		p, err = a.layout(ctx, wanted)
	case saved:
		p, err = a.saved(ctx)
	default:
		return nil, slipway.Errorf(slipway.Invalid, "The archive holds no image: neither manifest.json, as docker save writes it, nor the index.json of an OCI layout is in it.")
	}
	if err != nil {
		return nil, err
	}
	return p, p.check(wanted)
}

// check judges an image by its configuration, before its layers are read.
func (p *packed) check(wanted platform) error {
	var c config
	if err := json.Unmarshal(p.config, &c); err != nil {
		return damaged("its configuration is no JSON (%v)", err)
	}
	if offers := (platform{c.OS, c.Architecture, c.Variant}); !offers.runs(wanted) {
		return wrongPlatform([]platform{offers}, wanted)
	}
	if len(c.RootFS.DiffIDs) != len(p.layers) || len(p.layers) > maxLayers {
		return damaged("its configuration names %d layers, its manifest %d", len(c.RootFS.DiffIDs), len(p.layers))
	}
	for i := range p.layers {
		p.layers[i].diff = c.RootFS.DiffIDs[i]
	}
	return nil
}

// saved reads what docker save wrote.
func (a *archive) saved(ctx context.Context) (*packed, error) {
	text, err := a.text(ctx, "manifest.json")
	if err != nil {
		return nil, err
	}
	var images []struct {
		Config string
		Layers []string
	}
	if err := json.Unmarshal(text, &images); err != nil {
		return nil, damaged("the archive's manifest.json cannot be read (%v)", err)
	}
	if len(images) != 1 {
		return nil, slipway.Errorf(slipway.Invalid, "The archive holds %d images. Save the one that is to be deployed.", len(images))
	}
	p := &packed{}
	if p.config, err = a.text(ctx, images[0].Config); err != nil {
		return nil, err
	}
	for _, name := range images[0].Layers {
		p.layers = append(p.layers, packedLayer{file: name})
	}
	return p, nil
}

// store puts the layers of p into a repository, in the order in which they come
// in the archive.
func (a *archive) store(ctx context.Context, to *ownRepo, p *packed) error {
	wanted := map[string][]*packedLayer{}
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

// storeLayer stores a layer: as it is if it is compressed, else compressed.
func storeLayer(ctx context.Context, to *ownRepo, l *packedLayer, content io.Reader) error {
	b := bufio.NewReaderSize(content, 64<<10)
	head, _ := b.Peek(4) // a short one is plain
	if bytes.HasPrefix(head, gzipMagic) || bytes.HasPrefix(head, zstdMagic) {
		mediaType := string(types.OCILayer)
		if bytes.HasPrefix(head, zstdMagic) {
			mediaType = string(types.OCILayerZStd)
		}
		got, err := to.write(ctx, l.want, func(w io.Writer) error { _, err := io.Copy(w, b); return err })
		if l.blob.Size != 0 && got.Size != l.blob.Size && err == nil {
			return damaged("the layer %s has another size than its manifest says", l.want)
		}
		l.blob = descriptor{MediaType: mediaType, Digest: got.Digest, Size: got.Size}
		return err
	}
	sum := digest.SHA256.Digester()
	got, err := to.write(ctx, "", func(w io.Writer) error {
		z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.MultiWriter(z, sum.Hash()), b)
		if err := errors.Join(err, z.Close()); err != nil {
			return err
		}
		if l.diff != sum.Digest().String() {
			return damaged("its layer %s has other content than its configuration says", clipped(l.file))
		}
		return nil
	})
	l.blob = descriptor{MediaType: string(types.OCILayer), Digest: got.Digest, Size: got.Size}
	return err
}

// finish stores the configuration and returns the manifest: that of the
// archive, if it names the layers as they were stored.
func (p *packed) finish(ctx context.Context, to *ownRepo) (manifest, error) {
	config, err := to.write(ctx, "", func(w io.Writer) error { _, err := w.Write(p.config); return err })
	if err != nil {
		return manifest{}, err
	}
	if p.manifest != nil && !slices.ContainsFunc(p.layers, func(l packedLayer) bool { return l.blob.Digest != l.want }) {
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
