package image

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// storeLayer stores a layer: a compressed one unchanged, a plain one
// compressed.
func storeLayer(ctx context.Context, to *ownRepo, l *archivedLayer, content io.Reader) error {
	b := bufio.NewReaderSize(content, 64<<10)
	head, _ := b.Peek(4) // a short one is plain
	if bytes.HasPrefix(head, gzipMagic) || bytes.HasPrefix(head, zstdMagic) {
		mediaType := string(types.OCILayer)
		if bytes.HasPrefix(head, zstdMagic) {
			mediaType = string(types.OCILayerZStd)
		}
		got, err := to.write(ctx, l.want, func(w io.Writer) error { _, err := io.Copy(w, b); return err })
		if err != nil {
			return err
		}
		if l.blob.Size != 0 && got.Size != l.blob.Size {
			return damaged("the layer %s has another size than its manifest says", l.want)
		}
		l.blob = descriptor{MediaType: mediaType, Digest: got.Digest, Size: got.Size}
		return nil
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
	if err != nil {
		return err
	}
	l.blob = descriptor{MediaType: string(types.OCILayer), Digest: got.Digest, Size: got.Size}
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
