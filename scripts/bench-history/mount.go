package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"time"

	"slipway/internal/deploy"
	"slipway/internal/durable"
	"slipway/internal/mount"
	"slipway/internal/slipway"
	"slipway/store"
)

// keepMounted mounts what is wanted until ctx ends. Unlike an agent it keeps only the
// last three versions, as an agent would a day later.
func keepMounted(ctx context.Context, _ slipway.Deployment, dir string, p *deploy.AgentPortal) (err error) {
	m, err := mount.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	var want slipway.Desired
	for {
		if want, err = p.Desired(ctx, want.Revision); err != nil {
			return err
		}
		if want.DAGs == slipway.FromBundle {
			if err := m.Mount(ctx, want.Version, p, nil); err != nil {
				return err
			}
		}
		if err := p.Report(ctx, slipway.Report{Component: slipway.EmbeddedComponent, DAGs: want.DAGs, Version: want.Version}); err != nil {
			return err
		}
		if _, err := m.Prune(ctx, 3, 0, time.Now()); err != nil {
			return err
		}
	}
}

// counted is a Source that counts the packs that are read.
type counted struct {
	mount.Source
	read map[string]bool
}

func (c counted) Frames(ctx context.Context, pack string, offset, length int64) (io.ReadCloser, error) {
	c.read[pack] = true
	return c.Source.Frames(ctx, pack, offset, length)
}

// mountAnew mounts the current version where nothing was before.
func (h *history) mountAnew(ctx context.Context) (packs int, took time.Duration, err error) {
	var d slipway.Deployment
	err = h.store.View(ctx, func(tx *store.Tx) (err error) {
		d, err = tx.LoadDeployment(h.of.ID)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	dir := filepath.Join(h.data, "anew")
	m, err := mount.Open(dir)
	if err != nil {
		return 0, 0, err
	}
	src := counted{h.engine.Portal(d), map[string]bool{}}
	began := time.Now()
	err = errors.Join(m.Mount(ctx, d.Version, src, nil), m.Close())
	return len(src.read), time.Since(began), errors.Join(err, durable.RemoveTree(dir))
}
