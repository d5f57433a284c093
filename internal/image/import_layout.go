package image

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/internal/slipway"
)

func blobFile(digest string) string { return "blobs/" + strings.Replace(digest, ":", "/", 1) }

// readLayout reads an OCI layout.
func readLayout(ctx context.Context, a *archive, wanted slipway.Platform) (*archivedImage, error) {
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

// errSeveral marks an archive with a choice of images.
var errSeveral = errors.New("several images")

func severalImages(n int) error {
	return errors.Join(slipway.Errorf(slipway.Invalid, "The archive holds %d images. Save the one that is to be deployed.", n), errSeveral)
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
