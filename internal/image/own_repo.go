package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/storage"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"slipway/internal/slipway"
)

// ownRepo is a repository of the own registry, read and written without HTTP.
type ownRepo struct {
	s    *Store
	name string
	distribution.Repository
}

func (s *Store) repo(ctx context.Context, name string) (*ownRepo, error) {
	if err := checkTarget(name, ""); err != nil {
		return nil, err
	}
	registry, err := s.own()
	if err != nil {
		return nil, fmt.Errorf("open the registry: %w", err)
	}
	named, err := reference.WithName(name)
	if err != nil {
		return nil, fmt.Errorf("repository %q: %w", name, err)
	}
	r, err := registry.Repository(ctx, named)
	if err != nil {
		return nil, fmt.Errorf("repository %q: %w", name, err)
	}
	return &ownRepo{s: s, name: name, Repository: r}, nil
}

// tagged returns the current digest of a tag.
func (s *Store) tagged(ctx context.Context, repository, tag string) (string, error) {
	r, err := s.repo(ctx, repository)
	if err != nil {
		return "", err
	}
	d, err := r.Tags(ctx).Get(ctx, tag)
	if _, ok := errors.AsType[distribution.ErrTagUnknown](err); ok {
		return "", noTag(Ref{Name: repository, Tag: tag})
	}
	if err != nil {
		return "", fmt.Errorf("tag %s of %s: %w", tag, repository, err)
	}
	return d.Digest.String(), nil
}

func noTag(r Ref) error {
	if r.Digest != "" {
		return slipway.Errorf(slipway.NotFound, "There is no image %s in %s.", r.Digest, r.Name)
	}
	return slipway.Errorf(slipway.NotFound, "There is no tag %s in %s. Push it first, or name another one.", r.Tag, r.Name)
}

// manifest implements repo.
func (r *ownRepo) manifest(ctx context.Context, ref Ref) (manifest, error) {
	if ref.Digest == "" {
		d, err := r.s.tagged(ctx, r.name, ref.Tag)
		if err != nil {
			return manifest{}, err
		}
		ref.Digest = d
	}
	all, err := r.Manifests(ctx)
	if err != nil {
		return manifest{}, fmt.Errorf("manifests of %s: %w", r.name, err)
	}
	m, err := all.Get(ctx, digest.Digest(ref.Digest))
	if unknown(err) {
		return manifest{}, noTag(ref)
	}
	if err != nil {
		return manifest{}, fmt.Errorf("manifest %s: %w", ref, err)
	}
	mediaType, raw, err := m.Payload()
	if err != nil {
		return manifest{}, fmt.Errorf("manifest %s: %w", ref, err)
	}
	return manifest{mediaType: mediaType, raw: raw, digest: ref.Digest}, nil
}

// unknown reports whether err means a missing blob, manifest or file.
func unknown(err error) bool {
	if _, ok := errors.AsType[distribution.ErrManifestUnknownRevision](err); ok {
		return true
	}
	if _, ok := errors.AsType[storagedriver.PathNotFoundError](err); ok {
		return true
	}
	return errors.Is(err, distribution.ErrBlobUnknown)
}

// blob implements repo.
func (r *ownRepo) blob(ctx context.Context, d descriptor) (io.ReadCloser, error) {
	f, err := r.Blobs(ctx).Open(ctx, digest.Digest(d.Digest))
	if unknown(err) {
		return nil, slipway.Errorf(slipway.NotFound, "The image in %s is not complete: its blob %s is missing. Push it again.", r.name, d.Digest)
	}
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", d.Digest, err)
	}
	return f, nil
}

// has reports whether the repository has a blob, and counts as a use of the
// blob.
func (r *ownRepo) has(ctx context.Context, d descriptor) (bool, error) {
	got, err := r.Blobs(ctx).Stat(ctx, digest.Digest(d.Digest))
	switch {
	case unknown(err):
		return false, nil
	case err == nil && got.Size != d.Size:
		return false, damaged("the blob %s has %d bytes, not %d as its manifest says", d.Digest, got.Size, d.Size)
	}
	return err == nil, err
}

// put writes a blob with a known digest and size.
func (r *ownRepo) put(ctx context.Context, d descriptor, from io.Reader) error {
	got, err := r.write(ctx, d.Digest, func(w io.Writer) error {
		_, err := io.Copy(w, from)
		return err
	})
	if err == nil && got.Size != d.Size {
		return damaged("the blob %s has %d bytes, not %d as its manifest says", d.Digest, got.Size, d.Size)
	}
	return err
}

// write stores the output of fill as a blob. want is the expected digest; ""
// accepts any.
func (r *ownRepo) write(ctx context.Context, want string, fill func(io.Writer) error) (descriptor, error) {
	w, err := r.Blobs(ctx).Create(ctx)
	if err != nil {
		return descriptor{}, fmt.Errorf("begin a blob: %w", err)
	}
	sum := digest.SHA256.Digester()
	if err := fill(io.MultiWriter(w, sum.Hash())); err != nil {
		return descriptor{}, errors.Join(err, w.Cancel(context.WithoutCancel(ctx)))
	}
	if want != "" && want != sum.Digest().String() {
		return descriptor{}, errors.Join(damaged("the blob %s has other content than its digest says", want), w.Cancel(context.WithoutCancel(ctx)))
	}
	size := w.Size()
	if _, err := w.Commit(ctx, ocispec.Descriptor{Digest: sum.Digest()}); err != nil {
		return descriptor{}, errors.Join(fmt.Errorf("end a blob: %w", err), w.Cancel(context.WithoutCancel(ctx)))
	}
	return descriptor{Digest: sum.Digest().String(), Size: size}, nil
}

// mount makes a blob of another repository one of r.
func (r *ownRepo) mount(ctx context.Context, from string, d descriptor) error {
	named, err := reference.WithName(from)
	if err != nil {
		return fmt.Errorf("repository %q: %w", from, err)
	}
	source, err := reference.WithDigest(named, digest.Digest(d.Digest))
	if err != nil {
		return fmt.Errorf("blob %q: %w", d.Digest, err)
	}
	w, err := r.Blobs(ctx).Create(ctx, storage.WithMountFrom(source))
	if _, ok := errors.AsType[distribution.ErrBlobMounted](err); ok {
		return nil
	}
	if err != nil {
		return fmt.Errorf("mount %s: %w", d.Digest, err)
	}
	gone := slipway.Errorf(slipway.NotFound, "The image in %s is not complete: its blob %s is missing. Push it again.", from, d.Digest)
	return errors.Join(gone, w.Cancel(ctx))
}

// putManifest stores a manifest under tag, after its blobs.
func (r *ownRepo) putManifest(ctx context.Context, mediaType string, raw []byte, tag string) error {
	m, desc, err := distribution.UnmarshalManifest(mediaType, raw)
	if err != nil {
		return errors.Join(damaged("its manifest cannot be read"), err)
	}
	all, err := r.Manifests(ctx)
	if err != nil {
		return fmt.Errorf("manifests of %s: %w", r.name, err)
	}
	if _, err := all.Put(ctx, m); err != nil {
		return fmt.Errorf("put manifest: %w", err)
	}
	if err := r.s.syncImage(ctx, r.name, desc.Digest.String()); err != nil {
		return err
	}
	if err := r.Tags(ctx).Tag(ctx, tag, desc); err != nil {
		return fmt.Errorf("tag %s: %w", tag, err)
	}
	return nil
}

// syncImage makes an image durable, with all blobs: distribution does not
// sync.
func (s *Store) syncImage(ctx context.Context, repository, digest string) error {
	r, err := s.repo(ctx, repository)
	if err != nil {
		return err
	}
	m, err := r.manifest(ctx, Ref{Name: repository, Digest: digest})
	if err != nil {
		return err
	}
	parts, err := m.parts()
	if err != nil {
		return err
	}
	for _, d := range append(parts, descriptor{Digest: digest}) {
		if err := s.syncBlob(repository, d.Digest); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) syncBlob(repository, digest string) error {
	hex := strings.TrimPrefix(digest, "sha256:")
	data := s.driver.file(blobPath(hex))
	if err := syncPath(data); os.IsNotExist(err) {
		return slipway.Errorf(slipway.NotFound, "The image in %s is not complete: %s is missing. Push it again.", repository, digest)
	} else if err != nil {
		return fmt.Errorf("settle %s: %w", digest, err)
	}
	base := repositoriesPath + "/" + repository
	for _, dir := range []string{blobsPath + "/" + hex[:2] + "/" + hex, blobsPath + "/" + hex[:2], base + "/_layers/sha256/" + hex, base + "/_manifests/revisions/sha256/" + hex} {
		if err := ignoreMissing(syncPath(s.driver.file(dir))); err != nil {
			return fmt.Errorf("settle %s: %w", digest, err)
		}
	}
	return nil
}

func blobPath(hex string) string { return blobsPath + "/" + hex[:2] + "/" + hex + "/data" }
