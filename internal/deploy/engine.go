// Package deploy is the engine: receives uploads, stages deploys, works the
// queue of each Deployment off, waits until the components run a deploy, and
// deletes expired versions and images. Engine is a façade over the parts.
package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"slipway/internal/archive"
	"slipway/internal/bundle"
	"slipway/internal/datadir"
	"slipway/internal/durable"
	"slipway/internal/highlight"
	"slipway/internal/image"
	"slipway/internal/quota"
	"slipway/internal/secret"
	"slipway/internal/slipway"
	"slipway/store"
)

// Config is the configuration of New besides the stores.
type Config struct {
	Dir          string // the data folder; holds uploads/ and mounts/
	Limits       archive.Limits
	Reserve      int64                       // bytes to keep free on the disk
	Free         func() (int64, error)       // bytes free on the disk; nil for the disk of Dir
	MountTimeout time.Duration               // how long a DAG deploy waits for components
	Agent        string                      // version of the portal's program, for the embedded agent
	RetainEvery  time.Duration               // how often versions expire; 0 for an hour
	Round        func(context.Context) error // called before each round of deleting expired contents; nil for nothing
	LeftoverAge  time.Duration               // minimum age of a file that a start removes because no record names the file; 0 for any age

	Images        *image.Store        // nil for a store in the data folder without logins to private registries
	RegistryHost  string              // address of the portal's registry for other machines: "slipway.example.com", "localhost:8888"
	MaxImage      int64               // largest image archive, bytes; 0 for 20 GiB
	ApplyCommands map[string][]string // commands of this machine that may apply an image: argv by name
	ApplyTimeout  time.Duration       // how long a rollout may take, while no agent waits for tasks to end; 0 for 20 min
	Releases      []slipway.Release   // of the Runtime, besides the releases built into the program
	Gather        time.Duration       // time for agents to report again after a start; 0 for 15 s
}

// base is shared by all parts of the engine: the stores, the configuration, and
// the signals for changes.
type base struct {
	store    *store.Store
	bundles  *bundle.Store
	cfg      Config
	log      *slog.Logger
	watchers watchers
	wakers   wakers
}

// Engine carries deploys from upload to every component. Each part has its own
// fields, locks and lifetime, and uses only parts above it in the list.
type Engine struct {
	*base
	*components
	*awaiter
	*contents
	*uploadFiles
	*endings
	*uploads
	*blocks
	*logins
	*images
	*planner
	*reviews
	*queue
	*finalizer
	*fixes
	*deletions
	*orphans
	*dagStager
	*imageStager
	*switchStager
	*stager
	*versions
	*applier
	*rollouts
	*publisher
	*merger
	*retention
	*portals
	*workers
	*startup
}

// New repairs the leftovers of a crash and returns an engine on the stores.
// Background work begins with Run.
func New(st *store.Store, bundles *bundle.Store, cfg Config, log *slog.Logger) (*Engine, error) {
	for _, name := range []string{datadir.Uploads, datadir.Mounts} {
		// Airflow's user reads the mounts; only the portal reads the uploads.
		mode := map[string]os.FileMode{datadir.Uploads: 0o700, datadir.Mounts: 0o755}[name]
		if err := durable.MakeFolders(filepath.Join(cfg.Dir, name), mode); err != nil {
			return nil, fmt.Errorf("make the data folder: %w", err)
		}
	}
	cfg, err := cfg.complete(log)
	if err != nil {
		return nil, err
	}
	key, err := secret.Open(context.Background(), cfg.Dir, st)
	if err != nil {
		return nil, err
	}
	b := &base{store: st, bundles: bundles, cfg: cfg, log: log, wakers: wakers{of: map[slipway.DeploymentID]waker{}}}
	e := assemble(b, key)
	return e, e.resume(context.Background()) // before any request comes
}

// assemble builds the parts of an engine from the bottom up.
func assemble(b *base, key *secret.Key) *Engine {
	e := &Engine{base: b}
	e.components = &components{base: b, started: b.store.Now(), reports: lastReports{of: map[slipway.DeploymentID]map[componentKey]slipway.Component{}}}
	e.awaiter = &awaiter{base: b, components: e.components}
	e.contents = &contents{base: b, judging: make(chan struct{}, 1), looking: make(chan struct{}, 1), inks: highlight.NewReader()}
	e.uploadFiles = &uploadFiles{base: b, ledger: quota.New(b.Free, b.cfg.Reserve)}
	e.endings = &endings{
		base: b, uploadFiles: e.uploadFiles, stagings: stagings{of: map[slipway.DeployID]context.CancelFunc{}},
	}
	e.uploads = &uploads{base: b, endings: e.endings, uploadFiles: e.uploadFiles}
	e.blocks = &blocks{base: b, endings: e.endings, uploadFiles: e.uploadFiles, uploads: e.uploads}
	e.logins = &logins{base: b, key: key}
	e.images = &images{base: b}
	e.assembleQueue(b)
	e.assembleStaging(b)
	e.assemblePublishing(b)
	e.assembleWorkers(b)
	return e
}

// assembleQueue builds the parts for planning and queueing deploys.
func (e *Engine) assembleQueue(b *base) {
	e.planner = &planner{base: b, components: e.components, contents: e.contents}
	e.reviews = &reviews{base: b, contents: e.contents, images: e.images, planner: e.planner}
	e.queue = &queue{base: b, endings: e.endings, planner: e.planner}
	e.finalizer = &finalizer{
		base: b, components: e.components, endings: e.endings, images: e.images, queue: e.queue, uploadFiles: e.uploadFiles,
		comparisons: newComparisons(),
	}
	e.fixes = &fixes{base: b, contents: e.contents, uploads: e.uploads}
}

// assembleStaging builds the parts for deletions and for reading uploads.
func (e *Engine) assembleStaging(b *base) {
	e.deletions = &deletions{base: b, components: e.components, uploadFiles: e.uploadFiles}
	e.orphans = &orphans{base: b, deletions: e.deletions}
	e.dagStager = &dagStager{base: b, contents: e.contents, deletions: e.deletions, uploadFiles: e.uploadFiles}
	e.imageStager = &imageStager{base: b, logins: e.logins, uploadFiles: e.uploadFiles}
	e.switchStager = &switchStager{
		base: b, contents: e.contents, dagStager: e.dagStager, imageStager: e.imageStager,
		images: e.images, logins: e.logins, uploadFiles: e.uploadFiles,
	}
	e.stager = &stager{
		base: b, dagStager: e.dagStager, deletions: e.deletions, endings: e.endings,
		imageStager: e.imageStager, switchStager: e.switchStager,
		stagers: make(chan struct{}, maxStagings), imagers: make(chan struct{}, maxStagings),
	}
}

// assemblePublishing builds the parts for going live.
func (e *Engine) assemblePublishing(b *base) {
	e.versions = &versions{base: b, contents: e.contents}
	e.applier = &applier{base: b, images: e.images}
	e.rollouts = &rollouts{
		base: b, applier: e.applier, awaiter: e.awaiter, components: e.components,
		contents: e.contents, endings: e.endings, versions: e.versions,
	}
	e.publisher = &publisher{
		base: b, awaiter: e.awaiter, components: e.components,
		endings: e.endings, rollouts: e.rollouts, versions: e.versions,
	}
	e.merger = &merger{
		base: b, contents: e.contents, dagStager: e.dagStager, uploadFiles: e.uploadFiles, mergers: make(chan struct{}, 1),
	}
	e.retention = &retention{
		base: b, components: e.components, contents: e.contents, images: e.images, orphans: e.orphans,
	}
}

// assembleWorkers builds the parts that run in the background or at a start.
func (e *Engine) assembleWorkers(b *base) {
	e.portals = &portals{base: b, components: e.components}
	e.workers = &workers{
		base: b, deletions: e.deletions, endings: e.endings, merger: e.merger, portals: e.portals, publisher: e.publisher,
		retention: e.retention, stager: e.stager, uploadFiles: e.uploadFiles, running: map[slipway.DeploymentID]*worker{},
	}
	e.startup = &startup{
		base: b, components: e.components, dagStager: e.dagStager, endings: e.endings,
		orphans: e.orphans, uploadFiles: e.uploadFiles, uploads: e.uploads,
	}
}

// complete returns c with defaults for the fields that are not set.
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

// MountDir returns the folder for the mount of d on this machine.
func (b *base) MountDir(d slipway.Deployment) string {
	return filepath.Join(b.cfg.Dir, datadir.Mounts, d.Namespace)
}

// Marked reports whether a run of Airflow has left a mark in d's mount on this
// machine.
func (b *base) Marked(d slipway.Deployment) bool {
	dir, err := os.Open(filepath.Join(b.MountDir(d), datadir.InUse))
	if err != nil {
		return false // no mount here
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(100) // none where the folder cannot be read
	return slices.ContainsFunc(names, func(name string) bool { _, ok := slipway.VersionOfDir(name); return ok })
}

// unavailable adds a sentence for people to an error of the disk. The cause
// stays for the log.
func unavailable(err error) error {
	switch {
	case slipway.IsDiskFull(err) && noInodes(err):
		return slipway.NoInodes(err)
	case slipway.IsDiskFull(err):
		return slipway.DiskFull(err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EIO):
		return slipway.DiskReadOnly(err)
	}
	return err
}

// noInodes reports whether the disk of the file in err has no room for another
// file.
func noInodes(err error) bool {
	e, ok := errors.AsType[*fs.PathError](err)
	if !ok {
		return false
	}
	n, limited := durable.FreeFiles(filepath.Dir(e.Path))
	return limited && n == 0
}

// isTemporary reports whether an error of kind k may pass without an action in
// Slipway. A confirmed deploy waits for the end of the fault.
func isTemporary(k slipway.Kind) bool { return k == slipway.NoSpace || k == slipway.Unavailable }

// writable returns nil if the data folder can be written to.
func (b *base) writable() error {
	f, err := os.CreateTemp(filepath.Join(b.cfg.Dir, datadir.Uploads), "ready-*")
	if err != nil {
		return unavailable(err)
	}
	_, err = f.WriteString("?")
	return unavailable(errors.Join(err, f.Close(), os.Remove(f.Name())))
}

// Free returns how many bytes may still be written to the disk of the data
// folder.
func (b *base) Free() (int64, error) {
	if b.cfg.Free != nil {
		return b.cfg.Free()
	}
	return durable.FreeSpace(b.cfg.Dir)
}

// Disk returns the disk of the data folder.
func (b *base) Disk() (d slipway.Disk, err error) {
	if d.Free, err = b.Free(); err != nil {
		return d, err
	}
	d.Reserve = b.cfg.Reserve
	d.Total, err = durable.TotalSpace(b.cfg.Dir)
	return d, err
}

// DataDir is the data folder.
func (b *base) DataDir() string { return b.cfg.Dir }

// Bucket is the bucket with packs and manifests; "" if they are in the data
// folder.
func (b *base) Bucket() string { return b.bundles.Bucket() }

// audit records the action of by on deploy w of d.
func audit(tx *store.Tx, by slipway.Actor, d slipway.Deployment, action string, w slipway.Deploy) error {
	detail := fmt.Sprintf("#%d", w.Number)
	if w.ReturnTo != 0 {
		detail = fmt.Sprintf("#%d, to #%d", w.Number, w.ReturnTo)
	}
	return tx.Audit(by, slipway.Event{Workspace: d.Workspace, Deployment: d.ID, Action: action, Target: d.Name, Detail: detail})
}
