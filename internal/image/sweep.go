package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// grace is the time from the last use of a blob to its removal: a running
// push may need the blob.
const grace = 24 * time.Hour

// Needed is the set of images that a Sweep keeps beside tagged and recently
// used ones.
type Needed struct {
	Digests map[string][]string // by repository: images of staged, queued, running and retained deploys
	Whole   map[string]bool     // namespaces to keep entirely
}

// sweep is one collection, with the digests marked as needed.
type sweep struct {
	s         *Store
	until     time.Time // later uses keep a blob
	keep      Needed
	revisions map[string]bool // repository@digest of manifests
	links     map[string]bool // repository@digest of layers
	blobs     map[string]bool // digests
}

func (w *sweep) keeps(repository, digest string) bool {
	return w.whole(repository) || slices.Contains(w.keep.Digests[repository], digest)
}

// keepsAny is keeps, of an index also by one of its images: a deploy needs
// the image for one platform. A missing manifest is of no use; one that cannot be
// read may be needed, so the sweep ends there.
func (w *sweep) keepsAny(repository, digest string) (bool, error) {
	if w.keeps(repository, digest) {
		return true, nil
	}
	if len(w.keep.Digests[repository]) == 0 {
		return false, nil
	}
	raw, err := os.ReadFile(w.s.driver.file(blobPath(strings.TrimPrefix(digest, "sha256:"))))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", digest, err)
	}
	c, err := manifest{raw: raw}.content()
	if err != nil {
		return false, nil // no index
	}
	for _, d := range c.Manifests {
		if kept, err := w.keepsAny(repository, d.Digest); err != nil || kept {
			return kept, err
		}
	}
	return false, nil
}

// mark marks all images of a repository that must stay. Tags are read before
// revisions: a push writes the revision first.
func (w *sweep) mark(ctx context.Context, repository string) error {
	tags, err := w.s.tagsOf(repository)
	if err != nil {
		return err
	}
	roots := slices.Clone(w.keep.Digests[repository])
	for _, t := range tags {
		needed := !Reserved(t.Tag) || !t.At.Before(w.until)
		if !needed {
			if needed, err = w.keepsAny(repository, t.Digest); err != nil {
				return err
			}
		}
		if !needed {
			if err := w.untag(t); err != nil {
				return err
			}
			continue
		}
		roots = append(roots, t.Digest)
	}
	err = w.eachDigest(filepath.Join(w.s.repositoryDir(repository), "_manifests", "revisions", "sha256"), func(dir, hex string) error {
		fresh, err := w.fresh(filepath.Join(dir, "link"))
		if err == nil && (fresh || w.whole(repository)) {
			roots = append(roots, "sha256:"+hex)
		}
		return err
	})
	if err == nil && w.whole(repository) {
		err = w.needLayers(repository)
	}
	if err != nil {
		return err
	}
	for _, digest := range roots {
		if err := w.need(ctx, repository, digest); err != nil {
			return err
		}
	}
	return nil
}

// untag removes a reserved tag, unless changed meanwhile.
func (w *sweep) untag(t Tag) error {
	defer w.s.driver.tags.lock(tagKey(t.Repository, t.Tag))()
	dir := filepath.Join(w.s.repositoryDir(t.Repository), "_manifests", "tags", t.Tag)
	if fresh, err := w.fresh(filepath.Join(dir, "current", "link")); err != nil || fresh {
		return err
	}
	return os.RemoveAll(dir)
}

// need marks a manifest and all its descriptors.
func (w *sweep) need(ctx context.Context, repository, digest string) error {
	key := repository + "@" + digest
	if w.revisions[key] {
		return nil
	}
	w.revisions[key], w.blobs[digest] = true, true
	raw, err := os.ReadFile(w.s.driver.file(blobPath(strings.TrimPrefix(digest, "sha256:"))))
	if err != nil {
		return ignoreMissing(err) // the manifest is lost already
	}
	c, err := manifest{raw: raw}.content()
	if err != nil {
		w.s.log.WarnContext(ctx, "an image in the registry cannot be read", "repository", repository, "digest", digest, "err", err)
		return nil
	}
	for _, d := range append(slices.Clone(c.Layers), c.Config) {
		w.links[repository+"@"+d.Digest], w.blobs[d.Digest] = true, true
	}
	for _, d := range c.Manifests {
		if err := w.need(ctx, repository, d.Digest); err != nil {
			return err
		}
	}
	return nil
}

// clearRevisions removes the unmarked manifests of a repository. A manifest
// used meanwhile stays with its blobs: no blob has been removed yet.
func (w *sweep) clearRevisions(ctx context.Context, repository string) error {
	return w.eachDigest(filepath.Join(w.s.repositoryDir(repository), "_manifests", "revisions", "sha256"), func(dir, hex string) error {
		if w.revisions[repository+"@sha256:"+hex] {
			return ctx.Err()
		}
		removed, err := w.remove(dir, "link", hex)
		if err != nil || removed {
			return err
		}
		return w.need(ctx, repository, "sha256:"+hex)
	})
}

// clearLayers removes the unmarked layers and the abandoned uploads of a
// repository.
func (w *sweep) clearLayers(ctx context.Context, repository string) error {
	dir := w.s.repositoryDir(repository)
	err := w.eachDigest(filepath.Join(dir, "_layers", "sha256"), func(name, hex string) error {
		if w.links[repository+"@sha256:"+hex] {
			return ctx.Err()
		}
		_, err := w.remove(name, "link", hex)
		return err
	})
	if err != nil || w.whole(repository) {
		return err
	}
	if err := w.clearAliases(ctx, filepath.Join(dir, "_layers")); err != nil {
		return err
	}
	return w.clearUploads(filepath.Join(dir, "_uploads"))
}

// clearAliases removes the links of blobs by other digests than SHA-256. A client that
// pushes by such a digest gets one; the blob itself lies under its SHA-256, by which
// alone manifests may name the blob.
func (w *sweep) clearAliases(ctx context.Context, dir string) error {
	algorithms, err := os.ReadDir(dir)
	if err != nil {
		return ignoreMissing(err)
	}
	for _, a := range algorithms {
		if a.Name() == "sha256" {
			continue
		}
		links, err := os.ReadDir(filepath.Join(dir, a.Name()))
		if err != nil {
			return ignoreMissing(err)
		}
		for _, l := range links {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if _, err := w.remove(filepath.Join(dir, a.Name(), l.Name()), "link", l.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// clearBlobs removes the unmarked blobs.
func (w *sweep) clearBlobs(ctx context.Context) error {
	root := w.s.driver.file(blobsPath)
	folders, err := os.ReadDir(root)
	if ignoreMissing(err) != nil {
		return fmt.Errorf("list blobs: %w", err)
	}
	for _, f := range folders {
		err := w.eachDigest(filepath.Join(root, f.Name()), func(name, hex string) error {
			if w.blobs["sha256:"+hex] {
				return ctx.Err()
			}
			_, err := w.remove(name, "data", hex)
			return err
		})
		if err != nil {
			return fmt.Errorf("sweep blobs: %w", err)
		}
	}
	return nil
}

// remove removes the folder of a digest, unless used lately. A client's
// lookup takes the same lock.
func (w *sweep) remove(dir, file, hex string) (removed bool, err error) {
	defer w.s.driver.locks.lock(hex)()
	for _, name := range []string{filepath.Join(dir, file), dir} { // the folder's time covers a file in writing
		if fresh, err := w.fresh(name); err != nil || fresh {
			return false, err
		}
	}
	return true, os.RemoveAll(dir)
}

// fresh reports whether a file was used since w.until.
func (w *sweep) fresh(name string) (bool, error) {
	info, err := os.Stat(name)
	if err != nil {
		return false, ignoreMissing(err)
	}
	return !info.ModTime().Before(w.until), nil
}

// eachDigest calls do with each folder in dir named by a digest.
func (w *sweep) eachDigest(dir string, do func(name, hex string) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ignoreMissing(err)
	}
	for _, e := range entries {
		if !digestForm.MatchString("sha256:" + e.Name()) {
			continue
		}
		if err := do(filepath.Join(dir, e.Name()), e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// clearUploads removes abandoned uploads.
func (w *sweep) clearUploads(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ignoreMissing(err)
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if last, err := newest(name); err != nil || !last.Before(w.until) {
			if err != nil {
				return err
			}
			continue
		}
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}

// newest returns when anything in dir was written last.
func newest(dir string) (last time.Time, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return ignoreMissing(err)
		}
		info, err := d.Info()
		if err == nil && info.ModTime().After(last) {
			last = info.ModTime()
		}
		return ignoreMissing(err)
	})
	return last, err
}

// whole reports whether everything of a repository is needed.
func (w *sweep) whole(repository string) bool {
	namespace, _, _ := strings.Cut(repository, "/")
	return w.keep.Whole[namespace]
}

// needLayers marks all layers of a repository.
func (w *sweep) needLayers(repository string) error {
	return w.eachDigest(filepath.Join(w.s.repositoryDir(repository), "_layers", "sha256"), func(_, hex string) error {
		w.links[repository+"@sha256:"+hex], w.blobs["sha256:"+hex] = true, true
		return nil
	})
}
