package deploy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"slipway/internal/durable"
)

// registryParts are the folders of the registry that a backup holds, in its
// order: what names contents goes before them, so that all that it names is
// there by then.
var registryParts = []string{"pins", "docker/registry/v2/repositories", "docker/registry/v2/blobs"}

// addImages adds the registry and the key of what is sealed in the records.
func (b *backup) addImages(dir string) error {
	for _, part := range registryParts {
		if err := b.addTree(dir, path.Join(registryName, part)); err != nil {
			return err
		}
	}
	return b.addPlain(dir, keyName)
}

// addTree adds the files below a folder. Pushes that have not ended are left
// out: they are over once the portal is another one.
func (b *backup) addTree(dir, name string) error {
	return filepath.WalkDir(filepath.Join(dir, filepath.FromSlash(name)), func(at string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // no image ever came, or one was deleted just now
		case err != nil:
			return err
		case e.IsDir() && e.Name() == "_uploads":
			return fs.SkipDir
		case !e.Type().IsRegular() || strings.HasPrefix(e.Name(), durable.TempPrefix):
			return nil
		}
		rel, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		return b.addPlain(dir, filepath.ToSlash(rel))
	})
}

func (b *backup) addPlain(dir, name string) error {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = b.add(name, f)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("back up %s: %w", name, err)
	}
	return nil
}

// isImageMember reports whether addImages may have written a member of this
// name.
func isImageMember(name string) bool {
	return name == keyName || fs.ValidPath(name) && strings.HasPrefix(name, registryName+"/")
}
