package main

import (
	"context"

	"slipway/internal/bundle"
)

// bucketFlag selects the store of DAG bundles: the data folder or a bucket.
type bucketFlag struct {
	Bucket string `placeholder:"URL" help:"Bucket for DAG bundles: s3://NAME, azblob://NAME, gs://NAME or file:///DIR. The data folder unless given."`
}

// readsPortal is the value of --bucket-reads for agents that cannot read from the
// bucket.
const readsPortal = "portal"

// openBundles opens the bundles of a data folder owned by this process. The end
// of ctx cancels requests to a bucket.
func (b bucketFlag) openBundles(ctx context.Context, dir string) (*bundle.Store, error) {
	if b.Bucket == "" {
		return bundle.Open(dir)
	}
	return bundle.OpenBucket(ctx, dir, b.Bucket)
}

// attachBundles opens the bundles for reading, while serve may run.
func (b bucketFlag) attachBundles(ctx context.Context, dir string) (*bundle.Store, error) {
	if b.Bucket == "" {
		return bundle.Attach(dir), bundle.InFolder(dir)
	}
	return bundle.AttachBucket(ctx, dir, b.Bucket)
}

// attachRestored opens the bundles restored to dir, for reading. The backup
// decides between dir and a bucket.
func (b bucketFlag) attachRestored(ctx context.Context, dir string) (*bundle.Store, error) {
	name, err := bundle.BucketOf(dir)
	if err == nil && name == "" {
		return bundle.Attach(dir), nil
	}
	if err != nil {
		return nil, err
	}
	return b.attachBundles(ctx, dir)
}
