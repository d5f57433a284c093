package bundle

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// BucketFile, in a data folder, names the bucket of its manifests and packs;
// ownerFile, in the bucket, names the installation that owns the bucket.
// Every start removes packs and manifests without a record, so two
// installations in one bucket would remove each other's.
const (
	BucketFile = "bucket.json"
	ownerFile  = "slipway.json"
)

// claim is the content of both files.
type claim struct {
	Bucket       string `json:"bucket"` // for people
	Installation string `json:"installation"`
}

// localClaim reads the claim of a data folder; found is false if manifests
// and packs are in the folder.
func localClaim(dir string) (c claim, found bool, err error) {
	b, err := os.ReadFile(filepath.Join(dir, BucketFile))
	if errors.Is(err, fs.ErrNotExist) {
		return c, false, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		return c, false, fmt.Errorf("read which bucket is used: %w", err)
	}
	return c, true, nil
}

// BucketOf returns the name of the bucket that holds the manifests and packs
// of a data folder; "" if the folder holds them.
func BucketOf(dir string) (string, error) {
	c, _, err := localClaim(dir)
	return c.Bucket, err
}

// InFolder returns an error if the manifests and packs of a data folder are in a
// bucket.
func InFolder(dir string) error {
	name, err := BucketOf(dir)
	if err == nil && name != "" {
		err = slipway.Errorf(slipway.Conflict, "The DAG bundles of %s are in the bucket %s. Name it with --bucket.", dir, name)
	}
	return err
}

// owner reads the claim in the bucket.
func (b *bucket) owner() (c claim, found bool, err error) {
	f, err := b.open(b.ctx, ownerFile)
	if errors.Is(err, fs.ErrNotExist) {
		return c, false, nil
	}
	if err != nil {
		return c, false, err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, 1<<16)).Decode(&c); err != nil {
		return c, false, fmt.Errorf("read %s in the bucket %s: %w", ownerFile, b.name, err)
	}
	return c, true, nil
}

// recognise refuses a bucket other than the one that the data folder names.
func (b *bucket) recognise(dir string) error {
	ours, found, err := localClaim(dir)
	if err != nil {
		return err
	}
	if !found {
		return slipway.Errorf(slipway.Conflict, "The DAG bundles of %s are in the folder itself, not in the bucket %s: leave --bucket out.", dir, b.name)
	}
	theirs, found, err := b.owner()
	if err != nil {
		return err
	}
	if !found || theirs.Installation != ours.Installation {
		return slipway.Errorf(slipway.Conflict, "The DAG bundles of %s are in the bucket %s, and %s is no copy of it.", dir, ours.Bucket, b.name)
	}
	return nil
}

// claim takes a bucket without an owner for the data folder.
func (b *bucket) claim(dir string) error {
	ours, claimed, err := localClaim(dir)
	if err != nil {
		return err
	}
	theirs, marked, err := b.owner()
	switch {
	case err != nil:
		return err
	case marked && !claimed:
		return slipway.Errorf(slipway.Conflict,
			"The bucket %s belongs to another installation of Slipway. Give this one a part of its own, as in %s?prefix=NAME/.", b.name, b.name)
	case marked && theirs.Installation == ours.Installation:
		return b.recordClaim(dir, ours)
	case claimed && (marked || ours.Bucket != b.name):
		return b.recognise(dir)
	case !claimed:
		if err := b.hasPacksOf(dir); err != nil {
			return err
		}
		ours = claim{Installation: rand.Text()}
	}
	if err := b.recordClaim(dir, ours); err != nil {
		return err
	}
	return b.putOwner(claim{b.name, ours.Installation})
}

// recordClaim writes the bucket's name into the data folder.
func (b *bucket) recordClaim(dir string, c claim) error {
	if c.Bucket == b.name {
		return nil
	}
	c.Bucket = b.name
	return durable.WriteFile(filepath.Join(dir, BucketFile), 0o600, func(w io.Writer) error { return json.NewEncoder(w).Encode(c) })
}

func (b *bucket) putOwner(c claim) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return b.do(b.ctx, func(ctx context.Context, _ *watch) error { return b.upload(ctx, ownerFile, bytes.NewReader(text)) })
}

// hasPacksOf refuses an empty bucket while the data folder has packs: an
// administrator has to copy the packs first.
func (b *bucket) hasPacksOf(dir string) error {
	for ns, err := range Attach(dir).Namespaces() {
		if err != nil {
			return err
		}
		for _, err := range (&Store{backend: b}).Namespaces() {
			return err // nil once a namespace is found
		}
		return slipway.Errorf(slipway.Conflict,
			"The data folder %s holds DAG bundles, as those of %s, and the bucket %s none. Copy its folders bundles and packs there first.", dir, ns, b.name)
	}
	return nil
}
