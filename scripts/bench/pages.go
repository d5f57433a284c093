package main

import (
	"context"
)

// pages measures pages over a long history.
func (b *bench) pages(ctx context.Context) error { return nil }
