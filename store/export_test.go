package store

import (
	"context"
	"io/fs"
	"time"
)

// Migrations are the steps of the schema, for tests of one of them.
func Migrations() fs.FS {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // they are embedded
	}
	return files
}

// OpenWaiting is Open with another wait for locks of other programs.
func OpenWaiting(ctx context.Context, path string, wait time.Duration) (*Store, error) {
	return open(ctx, path, wait)
}
