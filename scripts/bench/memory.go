package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"slipway/internal/durable"
)

// memory measures what a deploy of 400 MB adds to the memory that a portal has
// just after its start, at its peak, signing in included. The page cache, which the kernel takes back at need, is not in it.
func (b *bench) memory(ctx context.Context) error {
	archive, err := b.archive(ctx, "large", 0)
	if err != nil {
		return err
	}
	for _, way := range []struct {
		name   string
		deploy func(*follower, context.Context, string) error
	}{
		{"from a page", (*follower).deployByPage},
		{"by the astro CLI, in blocks", (*follower).deployByCLI},
	} {
		var added sample
		for range 3 {
			n, err := b.memoryOf(ctx, archive, way.deploy)
			if err != nil {
				return err
			}
			added = append(added, n/(1<<20))
		}
		b.bound("memory added by a deploy of 400 MB "+way.name+", peak, MiB", "%.0f", added, 64)
	}
	return nil
}

func (f *follower) deployByPage(ctx context.Context, archive string) error {
	of, err := f.p.firstDeployment(ctx)
	if err == nil {
		_, _, err = f.deploy(ctx, of, archive)
	}
	return err
}

func (b *bench) memoryOf(ctx context.Context, archive string, deploy func(*follower, context.Context, string) error) (added float64, err error) {
	f, err := b.followed(ctx, filepath.Base(archive)+time.Now().Format("150405.000"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.close(), durable.RemoveTree(f.p.data)) }()
	peak, stop := f.p.peak()
	err = deploy(f, ctx, archive)
	stop()
	return <-peak - f.p.bare, err
}

// peak samples the memory until stop is called, and then sends the largest.
func (p *portal) peak() (peak <-chan float64, stop func()) {
	done, result := make(chan struct{}), make(chan float64, 1)
	go func() {
		most := 0.0
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			if n, err := p.anonymous(); err == nil {
				most = max(most, n)
			}
			select {
			case <-done:
				result <- most
				return
			case <-tick.C:
			}
		}
	}()
	return result, func() { close(done) }
}
