package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"slipway/internal/datadir"
	"slipway/internal/image"
	"slipway/internal/slipway"
	"slipway/store"
)

// images checks the portal's registry: images of deploys must be complete, and
// every blob must match the sha256 in its name.
func (f *fsck) images() error {
	root := filepath.Join(f.dir, datadir.Registry)
	if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	images, err := image.Open(image.Config{Dir: root}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	all, err := deploymentsOf(f.ctx, f.store)
	if err != nil {
		return err
	}
	for _, d := range all {
		if err := f.imagesOf(d, images); err != nil {
			return err
		}
	}
	return f.blobs(filepath.Join(root, "docker", "registry", "v2", "blobs"))
}

// imagesOf checks the images of a Deployment in the portal's own registry.
func (f *fsck) imagesOf(d slipway.Deployment, images *image.Store) error {
	var all []slipway.Image
	err := f.store.View(f.ctx, func(tx *store.Tx) (err error) {
		all, err = tx.Images(d.ID)
		return err
	})
	if err != nil {
		return err
	}
	for _, i := range all {
		ref := image.Ref{Name: i.Name, Digest: i.Digest}
		if !ref.Own() {
			continue
		}
		f.totals.Images++
		_, err := images.Inspect(f.ctx, ref, i.Platform, image.Login{})
		switch kind, text := slipway.Explain(err); {
		case err != nil && kind == slipway.Internal:
			return err
		case err != nil:
			f.report(Damage{Deployment: d.Name, Namespace: d.Namespace, Path: datadir.Registry + "/" + i.Ref(), Problem: text})
		}
	}
	return nil
}

// blobs compares every blob of the registry with the sha256 in its name.
func (f *fsck) blobs(dir string) error {
	return filepath.WalkDir(dir, func(at string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && e.Name() != "data" {
			return f.ctx.Err() // no blob yet, or a blob removed just now
		}
		if err != nil {
			return err
		}
		want := filepath.Base(filepath.Dir(at))
		got, err := sumOf(at)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && got != want {
			f.report(Damage{Path: datadir.Registry + "/sha256:" + want, Problem: fmt.Sprintf("The content sha256:%s of the registry is damaged.", want)})
		}
		return err
	})
}

// sumOf returns the sha256 of a file, in hex.
func sumOf(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
