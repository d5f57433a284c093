package image

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/internal/slipway"
)

func blobFile(digest string) string { return "blobs/" + strings.Replace(digest, ":", "/", 1) }

// archiveRepo is an OCI layout as a repository.
type archiveRepo struct{ *archive }

// one returns the manifest for a platform. A layout's index may list one
// image under two tags, and entries other than images.
func (r archiveRepo) one(ctx context.Context, index manifest, wanted platform) (manifest, error) {
	c, err := index.content()
	if err != nil {
		return manifest{}, err
	}
	var digests []string
	for _, d := range c.Manifests {
		t := types.MediaType(d.MediaType)
		if (t.IsImage() || t.IsIndex()) && !slices.Contains(digests, d.Digest) && (d.Platform == nil || d.Platform.runs(wanted)) {
			digests = append(digests, d.Digest)
		}
	}
	if len(digests) == 0 {
		_, err := offer(c.Manifests, wanted)
		return manifest{}, errors.Join(err, damaged("the archive's index names no image"))
	}
	if len(digests) > 1 {
		return manifest{}, slipway.Errorf(slipway.Invalid, "The archive holds %d images. Save the one that is to be deployed.", len(digests))
	}
	m, err := r.manifest(ctx, Ref{Digest: digests[0]})
	if err != nil {
		return m, err
	}
	return chosen(ctx, r, Ref{}, m, wanted)
}

// manifest implements repo.
func (r archiveRepo) manifest(ctx context.Context, ref Ref) (manifest, error) {
	raw, err := r.text(ctx, blobFile(ref.Digest))
	if err != nil {
		return manifest{}, err
	}
	if sumOf(raw) != ref.Digest {
		return manifest{}, damaged("the manifest %s has other content than its digest says", ref.Digest)
	}
	c, err := manifest{raw: raw}.content()
	if err != nil {
		return manifest{}, err
	}
	m := manifest{mediaType: c.MediaType, raw: raw, digest: ref.Digest}
	if m.mediaType == "" {
		m.mediaType = string(types.OCIManifestSchema1)
		if len(c.Manifests) > 0 {
			m.mediaType = string(types.OCIImageIndex)
		}
	}
	return m, nil
}

// blob implements repo.
func (r archiveRepo) blob(ctx context.Context, d descriptor) (io.ReadCloser, error) {
	text, err := r.text(ctx, blobFile(d.Digest))
	return io.NopCloser(bytes.NewReader(text)), err
}
