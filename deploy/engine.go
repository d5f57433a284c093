// Package deploy is the engine: it takes uploads in, stages them, works the
// queue of each Deployment off and waits for its components. It holds what
// needs records and bundles at once, or runs in the background.
package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"slipway"
	"slipway/bundle"
	"slipway/store"
)

// Config is what New needs to know beside the stores.
type Config struct {
	Dir          string // the data folder: uploads/ and mounts/ lie below it
	Limits       bundle.Limits
	Reserve      int64         // bytes that stay free on the disk
	MountTimeout time.Duration // how long a DAG deploy waits for components
	Agent        string        // version of this program
	RetainEvery  time.Duration // how often versions expire; 0 for an hour
}

// Engine carries deploys from their upload to every component.
type Engine struct {
	store   *store.Store
	bundles *bundle.Store
	cfg     Config
	log     *slog.Logger

	files    fileCache
	live     board
	watchers watchers
	arriving arrivals
	blocks   blockTotals
	stagers  chan struct{} // holds a token for each upload that is being staged
	mergers  chan struct{} // holds a token while packs are merged

	mu    sync.Mutex
	ctx   context.Context // of Run; nil while it does not run
	mount Runner
	rooms map[slipway.DeploymentID]*room
	cuts  map[slipway.DeployID]context.CancelFunc // that end a staging
	wg    sync.WaitGroup                          // of what removes Deployments
}

// maxStagings is how many uploads are staged at a time in the installation.
const maxStagings = 2

// New returns an engine on the stores, after it has put in order what a crash
// left. Nothing happens in the background until Run is called.
func New(st *store.Store, bundles *bundle.Store, cfg Config, log *slog.Logger) (*Engine, error) {
	for _, name := range []string{uploadsName, mountsName} {
		// Airflow's user reads the mounts; the uploads are nobody else's.
		mode := map[string]os.FileMode{uploadsName: 0o700, mountsName: 0o755}[name]
		switch err := os.Mkdir(filepath.Join(cfg.Dir, name), mode); {
		case errors.Is(err, os.ErrExist):
			continue
		case err != nil:
			return nil, fmt.Errorf("make the data folder: %w", err)
		}
		if err := syncPath(cfg.Dir); err != nil {
			return nil, fmt.Errorf("make the data folder: %w", err)
		}
	}
	e := &Engine{
		store: st, bundles: bundles, cfg: cfg, log: log,
		live:    board{of: map[slipway.DeploymentID]map[string]slipway.Component{}},
		stagers: make(chan struct{}, maxStagings),
		mergers: make(chan struct{}, 1),
		rooms:   map[slipway.DeploymentID]*room{},
		cuts:    map[slipway.DeployID]context.CancelFunc{},
	}
	return e, e.resume(context.Background()) // before any request comes
}

const (
	uploadsName = "uploads"
	mountsName  = "mounts"
)

// MountDir returns the folder in which d is mounted on this machine.
func (e *Engine) MountDir(d slipway.Deployment) string {
	return filepath.Join(e.cfg.Dir, mountsName, d.Namespace)
}

// Ready returns nil while Run runs and deploys can be taken: the records can be
// read, and files be written.
func (e *Engine) Ready() error {
	e.mu.Lock()
	ctx := e.ctx
	e.mu.Unlock()
	if ctx == nil {
		return errors.New("the engine does not run yet")
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("the engine stops: %w", err)
	}
	ping, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := e.store.Ping(ping); err != nil {
		return err
	}
	return e.writable()
}
