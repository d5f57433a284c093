// Package image keeps container images: a registry at /v2/ with its own folder,
// and what the portal does with images, its own and those of other registries:
// inspecting them, taking archives, reading their dags folders and adding
// layers.
package image

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/storage"
)

// Config is what a Store needs to know.
type Config struct {
	Dir        string   // of the registry, made when it is missing
	Registries []string // "registry.corp", "10.1.2.3:5000" or "10.0.0.0/8": may have private addresses, and speak plain HTTP

	// Room refuses if not so many bytes more may be written. nil: they always may.
	Room func(bytes int64) error

	// MayPush is asked before a tag that Slipway made ("deploy-…") is written from
	// outside. Its refusal is shown to whoever pushes. nil: nobody may.
	MayPush func(ctx context.Context, repository, tag string) error

	// Pushed is told of every manifest that was put from outside. It must not block.
	Pushed func(Push)
}

// Push is a manifest that has arrived in a repository.
type Push struct {
	Repository string // "barren-ionization-0185/airflow"
	Tag        string // "" where it was put by digest
	Digest     string
}

// Store is the portal's registry and its way to the others.
type Store struct {
	cfg     Config
	log     *slog.Logger
	driver  *driver
	clients *clients
	own     func() (distribution.Namespace, error) // made when first needed
	grace   time.Duration                          // Sweep's
}

// Open returns the store in cfg.Dir. It costs next to nothing until the first
// request or image.
func Open(cfg Config, log *slog.Logger) (*Store, error) {
	if err := os.MkdirAll(filepath.Join(cfg.Dir, "docker"), 0o700); err != nil {
		return nil, fmt.Errorf("make the registry's folder: %w", err)
	}
	allowed, err := parseRegistries(cfg.Registries)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, log: log, driver: newDriver(cfg), clients: newClients(allowed), grace: grace}
	s.own = sync.OnceValues(func() (distribution.Namespace, error) {
		return storage.NewRegistry(context.Background(), s.driver, storage.EnableDelete)
	})
	return s, nil
}

// exists reports whether err, of looking at a file, leaves it there.
func exists(err error) (bool, error) {
	switch {
	case err == nil:
		return true, nil
	case os.IsNotExist(err):
		return false, nil
	}
	return false, err
}

// made makes the folder of a file.
func made(name string) error {
	return os.MkdirAll(filepath.Dir(name), fs.FileMode(0o700))
}
