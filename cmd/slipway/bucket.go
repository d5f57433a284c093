package main

import (
	"context"

	"slipway/internal/bundle"
)

// bucketFlag says where DAG bundles are kept.
type bucketFlag struct {
	Bucket string `placeholder:"URL" help:"Bucket for DAG bundles: s3://NAME, azblob://NAME, gs://NAME or file:///DIR. The data folder unless given."`
}

// openBundles opens the bundles of a data folder that this process owns. With
// ctx the work on a bucket ends.
func (b bucketFlag) openBundles(ctx context.Context, dir string) (*bundle.Store, error) {
	if b.Bucket == "" {
		return bundle.Open(dir)
	}
	return bundle.OpenBucket(ctx, dir, b.Bucket)
}

// attachBundles opens them to read, beside a serve that may run.
func (b bucketFlag) attachBundles(ctx context.Context, dir string) (*bundle.Store, error) {
	if b.Bucket == "" {
		return bundle.Attach(dir), bundle.InFolder(dir)
	}
	return bundle.AttachBucket(ctx, dir, b.Bucket)
}

// attachRestored opens those that were restored to dir: whether they are in a
// bucket is for the backup to say.
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
