package image

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Tag is a pushed tag.
type Tag struct {
	Repository string
	Tag        string
	Digest     string // of an image, or of an index
	At         time.Time
}

// Tags returns the tags of a Deployment with an image, newest first, without
// reserved tags. Signatures, charts and other artifacts are left out.
func (s *Store) Tags(ctx context.Context, namespace string) ([]Tag, error) {
	if err := checkNamespace(namespace); err != nil {
		return nil, err
	}
	var all []Tag
	err := s.eachRepository(ctx, namespace, func(repository string) error {
		tags, err := s.tagsOf(repository)
		if err != nil {
			return err
		}
		for _, t := range tags {
			if !Reserved(t.Tag) && !s.isArtifact(t.Digest, maxDepth) {
				all = append(all, t)
			}
		}
		return nil
	})
	slices.SortFunc(all, func(a, b Tag) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Tag, b.Tag))
	})
	return all, err
}

// isArtifact reports whether a manifest of the own registry is something other
// than an image or an index with one. Looking does not count as a use. A
// missing or unreadable manifest is taken for an image: a deploy of the tag
// says what is wrong.
func (s *Store) isArtifact(digest string, depth int) (is bool) {
	if known, ok := s.artifacts.Load(digest); ok {
		return known.(bool)
	}
	raw, err := os.ReadFile(s.driver.file(blobPath(strings.TrimPrefix(digest, "sha256:"))))
	if err != nil || depth == 0 {
		return false
	}
	m := manifest{raw: raw, digest: digest}
	c, err := m.content()
	if err != nil {
		return false
	}
	m.mediaType = c.typeOf()
	if is = artifact(m, c) != ""; !is && m.isIndex() {
		is = !slices.ContainsFunc(c.Manifests, func(d descriptor) bool { return d.mayBeImage() && !s.isArtifact(d.Digest, depth-1) })
	}
	s.artifacts.Store(digest, is)
	return is
}

func checkNamespace(namespace string) error {
	if strings.Contains(namespace, "/") {
		return fmt.Errorf("%q is no namespace", namespace)
	}
	return checkTarget(namespace, "")
}

// tagsOf returns the tags of a repository.
func (s *Store) tagsOf(repository string) (all []Tag, err error) {
	dir := filepath.Join(s.repositoryDir(repository), "_manifests", "tags")
	entries, err := os.ReadDir(dir)
	if ignoreMissing(err) != nil {
		return nil, fmt.Errorf("list tags of %s: %w", repository, err)
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name(), "current", "link")
		digest, at, err := readLink(name)
		if err != nil {
			return nil, err
		}
		if digest != "" {
			all = append(all, Tag{Repository: repository, Tag: e.Name(), Digest: digest, At: at})
		}
	}
	return all, nil
}

// readLink returns the digest in a link and the time of the link; "" for a
// missing or malformed link.
func readLink(name string) (digest string, at time.Time, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return "", at, ignoreMissing(err)
	}
	info, err := os.Stat(name)
	if err != nil || !digestForm.Match(text) {
		return "", at, ignoreMissing(err)
	}
	return string(text), info.ModTime(), nil
}

func (s *Store) repositoryDir(repository string) string {
	return s.driver.file(repositoriesPath + "/" + repository)
}

// eachRepository calls do with each repository below a name, or with all for "".
func (s *Store) eachRepository(ctx context.Context, below string, do func(repository string) error) error {
	root := s.driver.file(repositoriesPath)
	return filepath.WalkDir(filepath.Join(root, below), func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return ignoreMissing(err)
		case ctx.Err() != nil:
			return ctx.Err()
		case !d.IsDir():
			return nil
		case strings.HasPrefix(d.Name(), "_"):
			return filepath.SkipDir
		}
		entries, err := os.ReadDir(name)
		if err != nil || !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), "_") }) {
			return ignoreMissing(err)
		}
		repository, err := filepath.Rel(root, name)
		if err != nil {
			return fmt.Errorf("repository %s: %w", name, err)
		}
		return do(filepath.ToSlash(repository))
	})
}

// Namespaces returns the namespaces with repositories.
func (s *Store) Namespaces() (all []string, err error) {
	entries, err := os.ReadDir(s.driver.file(repositoriesPath))
	if err != nil {
		return nil, ignoreMissing(err)
	}
	for _, e := range entries {
		if checkNamespace(e.Name()) == nil {
			all = append(all, e.Name())
		}
	}
	return all, nil
}

// Drop removes all repositories of a deleted Deployment. A later Sweep
// removes the blobs.
func (s *Store) Drop(_ context.Context, namespace string) error {
	if err := checkNamespace(namespace); err != nil {
		return err
	}
	for _, dir := range []string{s.repositoryDir(namespace), filepath.Join(s.driver.pins.dir, namespace)} {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("drop %s: %w", namespace, err)
		}
	}
	return nil
}
