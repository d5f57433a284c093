package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"slipway/internal/slipway"
)

// pins are the tags that are final and the digests that deploys need: files
// beside the registry's own.
//
//	pins/<repository>/_tags/<tag>      holds the digest
//	pins/<repository>/_digests/<hex>   empty
type pins struct{ dir string }

func (p pins) tag(repository, tag string) string {
	return filepath.Join(p.dir, filepath.FromSlash(repository), "_tags", tag)
}

func (p pins) digest(repository, digest string) string {
	return filepath.Join(p.dir, filepath.FromSlash(repository), "_digests", strings.TrimPrefix(digest, "sha256:"))
}

// mayTag refuses to change a final tag.
func (p pins) mayTag(repository, tag string) error {
	if !tagForm.MatchString(tag) {
		return nil // distribution refuses the name
	}
	return p.missing(p.tag(repository, tag), "The tag %s of %s belongs to a deploy and cannot be changed any more. Push another tag.", tag, repository)
}

// mayDelete refuses to delete an image needed by a deploy.
func (p pins) mayDelete(repository, digest string) error {
	if !digestForm.MatchString(digest) {
		return nil
	}
	return p.missing(p.digest(repository, digest), "The image %s of %s is needed by a deploy and cannot be deleted.", digest, repository)
}

func (p pins) missing(name, format string, args ...any) error {
	found, err := exists(lstat(name))
	if err != nil {
		return fmt.Errorf("look at pin: %w", err)
	}
	if found {
		return slipway.Errorf(slipway.Conflict, format, args...)
	}
	return nil
}

func lstat(name string) error {
	_, err := os.Lstat(name)
	return err
}

var (
	tagForm    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// checkTarget refuses malformed repositories of the own registry, and
// malformed tags.
func checkTarget(repository, tag string) error {
	ref, err := ParseRef(repository + ":" + "x")
	switch {
	case err != nil || !ref.Own() || ref.Name != repository || strings.Contains(repository, ".."):
		return fmt.Errorf("%q is no repository of the own registry", repository)
	case tag != "" && !tagForm.MatchString(tag):
		return fmt.Errorf("%q is no tag", tag)
	}
	return nil
}

// writeWhole writes a file durably: whole or absent.
func writeWhole(name, text string) error {
	if err := ensureParent(name); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".tmp-*")
	if err != nil {
		return fmt.Errorf("write pin: %w", err)
	}
	defer os.Remove(f.Name()) // finds nothing once renamed
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write pin: %w", err)
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("write pin: %w", err)
	}
	if err := syncPath(filepath.Dir(name)); err != nil {
		return fmt.Errorf("write pin: %w", err)
	}
	return nil
}

// syncPath makes the file at path durable, or the names in the folder at path.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// drop removes pins older than a time, except those of images for which keep
// is true.
func (p pins) drop(older time.Time, keep func(repository, digest string) (bool, error)) error {
	return filepath.WalkDir(p.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreMissing(err)
		}
		info, err := d.Info()
		if err != nil || info.ModTime().After(older) {
			return ignoreMissing(err)
		}
		repository, digest, err := p.of(name)
		if err != nil {
			return ignoreMissing(err)
		}
		if kept, err := keep(repository, digest); err != nil || kept {
			return err
		}
		return ignoreMissing(os.Remove(name))
	})
}

// of returns the image of the pin in a file.
func (p pins) of(name string) (repository, digest string, err error) {
	dir, base := filepath.Split(name)
	rel, err := filepath.Rel(p.dir, filepath.Dir(filepath.Clean(dir)))
	if err != nil {
		return "", "", err
	}
	if filepath.Base(filepath.Clean(dir)) == "_digests" {
		return filepath.ToSlash(rel), "sha256:" + base, nil
	}
	text, err := os.ReadFile(name)
	return filepath.ToSlash(rel), string(text), err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
