package image

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"slipway/internal/slipway"
)

func blobFile(digest string) string { return "blobs/" + strings.Replace(digest, ":", "/", 1) }

// archiveRepo is an OCI layout as a repository.
type archiveRepo struct{ *archive }

// one returns the manifest for a platform. A layout's index may list one
// image under two tags, platforms whose blobs were not saved, and entries other
// than images.
func (r archiveRepo) one(ctx context.Context, index manifest, wanted slipway.Platform) (manifest, error) {
	c, err := index.content()
	if err != nil {
		return manifest{}, err
	}
	if title := artifact(index, c); title != "" {
		return manifest{}, noImage(archived, title)
	}
	found, err := imagesIn(ctx, r, "", c)
	if len(found) == 0 {
		return manifest{}, cmp.Or(err, noImage(archived, "an index without an image"))
	}
	all := best(slices.DeleteFunc(slices.Clone(found), func(d descriptor) bool { return !r.has(blobFile(d.Digest)) }), wanted)
	if len(all) == 0 {
		all = best(found, wanted)
	}
	if len(all) == 0 {
		return manifest{}, errors.Join(wrongPlatform(platformsOf(found), wanted), err)
	}
	digests := map[string]bool{}
	for _, d := range all {
		digests[d.Digest] = true
	}
	if len(digests) > 1 {
		return manifest{}, severalImages(len(digests))
	}
	m, err := r.manifest(ctx, Ref{Digest: all[0].Digest})
	if err != nil {
		return m, err
	}
	return chosen(ctx, r, archived, m, wanted)
}

// archived names the image of an archive in sentences.
var archived = Ref{Name: "The content of this archive"}

func severalImages(n int) error {
	return slipway.Errorf(slipway.Invalid, "The archive holds %d images. Save the one that is to be deployed.", n)
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
	return manifest{mediaType: c.typeOf(), raw: raw, digest: ref.Digest}, nil
}

// blob implements repo.
func (r archiveRepo) blob(ctx context.Context, d descriptor) (io.ReadCloser, error) {
	text, err := r.text(ctx, blobFile(d.Digest))
	return io.NopCloser(bytes.NewReader(text)), err
}
