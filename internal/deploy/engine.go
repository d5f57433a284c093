// Package deploy is the engine: it takes uploads in, stages them, works the
// queue of each Deployment off and waits for its components. It holds what
// needs records and bundles at once, or runs in the background.
package deploy

import (
	"cmp"
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"slipway/internal/archive"
	"slipway/internal/bundle"
	"slipway/internal/datadir"
	"slipway/internal/durable"
	"slipway/internal/image"
	"slipway/internal/slipway"
	"slipway/store"
)

// Config is what New needs to know beside the stores.
type Config struct {
	Dir          string // the data folder: uploads/ and mounts/ lie below it
	Limits       archive.Limits
	Reserve      int64                       // bytes that stay free on the disk
	MountTimeout time.Duration               // how long a DAG deploy waits for components
	Agent        string                      // version of this program
	RetainEvery  time.Duration               // how often versions expire; 0 for an hour
	Round        func(context.Context) error // called before each round in which what expired is deleted; nil for nothing
	LeftoverAge  time.Duration               // how old a file is that a start removes because no record names it; 0 for any age

	Images        *image.Store        // nil for one in the data folder that reaches no private registry
	RegistryHost  string              // by which others reach the portal's registry: "slipway.example.com", "localhost:8888"
	MaxImage      int64               // largest image archive, bytes; 0 for 20 GiB
	ApplyCommands map[string][]string // what this machine can run to apply an image: argv by name
	ApplyTimeout  time.Duration       // how long a rollout may take, while no agent waits for tasks to end; 0 for 20 min
	Releases      []slipway.Release   // of the Runtime, beside those that this program knows
	Gather        time.Duration       // after a start, in which agents report again; 0 for 15 s
}

// Engine carries deploys from their upload to every component.
type Engine struct {
	store   *store.Store
	bundles *bundle.Store
	cfg     Config
	log     *slog.Logger

	files    fileCache
	live     board
	started  time.Time
	expected []slipway.DeploymentID // whose agents were there before the start
	sealer   cipher.AEAD            // of what is secret in the records
	watchers watchers
	queueing queueLocks
	arriving arrivals
	blocks   blockTotals
	stagers  chan struct{} // holds a token for each upload that is being staged
	imagers  chan struct{} // the same for each image
	mergers  chan struct{} // holds a token while packs are merged

	mu       sync.Mutex
	ctx      context.Context // of Run; nil while it does not run
	mount    Runner
	running  map[slipway.DeploymentID]*worker
	stagings stagings
	wakers   wakers
	wg       sync.WaitGroup // of what removes Deployments
}

// maxStagings is how many uploads are staged at a time in the installation.
const maxStagings = 2

// New returns an engine on the stores, after it has put in order what a crash
// left. Nothing happens in the background until Run is called.
func New(st *store.Store, bundles *bundle.Store, cfg Config, log *slog.Logger) (*Engine, error) {
	for _, name := range []string{datadir.Uploads, datadir.Mounts} {
		// Airflow's user reads the mounts; the uploads are nobody else's.
		mode := map[string]os.FileMode{datadir.Uploads: 0o700, datadir.Mounts: 0o755}[name]
		switch err := os.Mkdir(filepath.Join(cfg.Dir, name), mode); {
		case errors.Is(err, os.ErrExist):
			continue
		case err != nil:
			return nil, fmt.Errorf("make the data folder: %w", err)
		}
		if err := durable.SyncPath(cfg.Dir); err != nil {
			return nil, fmt.Errorf("make the data folder: %w", err)
		}
	}
	cfg, err := cfg.complete(log)
	if err != nil {
		return nil, err
	}
	sealer, err := openSealer(cfg.Dir)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		store: st, bundles: bundles, cfg: cfg, log: log,
		live:     board{of: map[slipway.DeploymentID]map[seat]slipway.Component{}},
		started:  st.Now(),
		sealer:   sealer,
		stagers:  make(chan struct{}, maxStagings),
		imagers:  make(chan struct{}, maxStagings),
		mergers:  make(chan struct{}, 1),
		running:  map[slipway.DeploymentID]*worker{},
		wakers:   wakers{of: map[slipway.DeploymentID]waker{}},
		stagings: stagings{of: map[slipway.DeployID]context.CancelFunc{}},
	}
	return e, e.resume(context.Background()) // before any request comes
}

// complete returns c with what was left to us.
func (c Config) complete(log *slog.Logger) (_ Config, err error) {
	if c.Images == nil {
		if c.Images, err = image.Open(image.Config{Dir: filepath.Join(c.Dir, datadir.Registry)}, log); err != nil {
			return c, err
		}
	}
	c.MaxImage = cmp.Or(c.MaxImage, 20<<30)
	c.ApplyTimeout = cmp.Or(c.ApplyTimeout, 20*time.Minute)
	return c, nil
}

// MountDir returns the folder in which d is mounted on this machine.
func (e *Engine) MountDir(d slipway.Deployment) string {
	return filepath.Join(e.cfg.Dir, datadir.Mounts, d.Namespace)
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
