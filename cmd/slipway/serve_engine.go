package main

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"

	"slipway/internal/datadir"
	"slipway/internal/deploy"
	"slipway/internal/image"
)

// openEngine opens bundles and images, and returns the engine. at is the
// portal's listening address, used in the names of its images.
func (s serveCommand) openEngine(ctx context.Context, d *data, at net.Addr, log *slog.Logger) (*deploy.Engine, error) {
	bundles, err := s.openBundles(ctx, d.dir)
	if err != nil {
		return nil, err
	}
	if s.BucketReads == readsPortal {
		bundles.SendAll()
	}
	cfg := s.engineConfig(d.dir)
	if cfg.Releases, err = s.releases(); err != nil {
		return nil, err
	}
	cfg.Round = d.countRound
	_, cfg.RegistryHost, _ = strings.Cut(s.base(at), "://")
	var engine *deploy.Engine // set before the first request to the registry
	cfg.Images, err = image.Open(image.Config{
		Dir: filepath.Join(d.dir, datadir.Registry), Registries: s.Registries,
		Claim:   func(bytes int64) (func(), error) { return engine.Claim(bytes) },
		MayPush: func(ctx context.Context, repository, tag string) error { return engine.MayPush(ctx, repository, tag) },
		Pushed:  func(p image.Push) { engine.Pushed(p) },
	}, log)
	if err != nil {
		return nil, err
	}
	engine, err = deploy.New(d.store, bundles, cfg, log)
	return engine, err
}
