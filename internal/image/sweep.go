package image

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// grace is how long what nothing needs stays after its last use: a push may be
// under way that will need it.
const grace = 24 * time.Hour

// Needed is what a Sweep keeps beside what has a tag of somebody's or was used
// lately.
type Needed struct {
	Digests map[string][]string // that deploys need, by repository: of staged, queued, running and retained ones
	Whole   map[string]bool     // namespaces of which everything is needed
}

// sweep is one collection: what it found to be needed.
type sweep struct {
	s         *Store
	until     time.Time // what was used since then stays
	keep      Needed
	revisions map[string]bool // repository@digest of manifests
	links     map[string]bool // repository@digest of layers
	blobs     map[string]bool // digests
}

func (w *sweep) keeps(repository, digest string) bool {
	return w.whole(repository) || slices.Contains(w.keep.Digests[repository], digest)
}

// keepsAny is keeps, of an index also by one of the images in it: a deploy needs
// the one for its platform.
func (w *sweep) keepsAny(repository, digest string) bool {
	if w.keeps(repository, digest) {
		return true
	}
	raw, err := os.ReadFile(w.s.driver.file(blobPath(strings.TrimPrefix(digest, "sha256:"))))
	if err != nil || len(w.keep.Digests[repository]) == 0 {
		return false // what is not there needs no pin
	}
	c, err := manifest{raw: raw}.content()
	return err == nil && slices.ContainsFunc(c.Manifests, func(d descriptor) bool { return w.keepsAny(repository, d.Digest) })
}

// mark notes all that the images of a repository need. Tags are read before
// revisions, which are there before they are tagged.
func (w *sweep) mark(ctx context.Context, repository string) error {
	tags, err := w.s.tagsOf(repository)
	if err != nil {
		return err
	}
	roots := slices.Clone(w.keep.Digests[repository])
	for _, t := range tags {
		if Reserved(t.Tag) && t.At.Before(w.until) && !w.keepsAny(repository, t.Digest) {
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

// untag removes a tag of ours, unless it changes meanwhile.
func (w *sweep) untag(t Tag) error {
	defer w.s.driver.tags.lock(tagKey(t.Repository, t.Tag))()
	dir := filepath.Join(w.s.repositoryDir(t.Repository), "_manifests", "tags", t.Tag)
	if fresh, err := w.fresh(filepath.Join(dir, "current", "link")); err != nil || fresh {
		return err
	}
	return os.RemoveAll(dir)
}

// need marks a manifest and all that it names.
func (w *sweep) need(ctx context.Context, repository, digest string) error {
	key := repository + "@" + digest
	if w.revisions[key] {
		return nil
	}
	w.revisions[key], w.blobs[digest] = true, true
	raw, err := os.ReadFile(w.s.driver.file(blobPath(strings.TrimPrefix(digest, "sha256:"))))
	if err != nil {
		return ignoreMissing(err) // nothing more can be lost of it
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

// clearRevisions removes the manifests of a repository that were not marked. One
// that was asked for meanwhile stays, and what it names: nothing of that has
// been touched yet.
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

// clearLayers removes the layers of a repository that were not marked, and
// uploads that were given up.
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
	return w.clearUploads(filepath.Join(dir, "_uploads"))
}

// clearBlobs removes the blobs that were not marked.
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

// remove removes the folder of a digest, unless its file was used lately: who
// finds it under the same lock keeps it.
func (w *sweep) remove(dir, file, hex string) (removed bool, err error) {
	defer w.s.driver.locks.lock(hex)()
	for _, name := range []string{filepath.Join(dir, file), dir} { // the folder's time tells of a file that is being written
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

// eachDigest calls do with each folder in dir that is named by a digest.
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

// clearUploads removes the uploads that nobody has gone on with.
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
