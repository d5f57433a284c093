package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"

	"slipway/internal/bundle"
	"slipway/internal/slipway"
	"slipway/store"
)

// fileCache keeps the files of the versions and uploads that were read last.
type fileCache struct {
	mu   sync.Mutex
	list []cachedFiles // last used first
	idle *time.Timer
}

type cachedFiles struct {
	key   string
	files []slipway.File
}

func versionKey(ns string, v slipway.Version) string { return ns + "/" + string(v) }
func stagedKey(w slipway.DeployID) string            { return "staged/" + string(w) }

const (
	cacheMax   = 8
	cacheFiles = 120_000 // in all of them together
	cacheIdle  = time.Minute
)

func (c *fileCache) find(key string) ([]slipway.File, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.list, func(f cachedFiles) bool { return f.key == key })
	if i < 0 {
		return nil, false
	}
	found := c.list[i]
	c.list = slices.Insert(slices.Delete(c.list, i, i+1), 0, found)
	c.idle.Reset(cacheIdle)
	return found.files, true
}

func (c *fileCache) put(key string, files []slipway.File) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = slices.DeleteFunc(c.list, func(f cachedFiles) bool { return f.key == key })
	c.list = slices.Insert(c.list, 0, cachedFiles{key, files})
	total := 0
	for i, f := range c.list {
		if total += len(f.files); i > 0 && total > cacheFiles || i == cacheMax {
			c.list = slices.Delete(c.list, i, len(c.list))
			break
		}
	}
	if c.idle == nil {
		c.idle = time.AfterFunc(cacheIdle, c.clear)
	}
	c.idle.Reset(cacheIdle)
}

// drop forgets the files of a version that is no longer kept.
func (c *fileCache) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = slices.DeleteFunc(c.list, func(f cachedFiles) bool { return f.key == key })
}

func (c *fileCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = nil
}

// filesOf returns the files of a version, by path. They are shared: nobody
// changes them.
func (e *Engine) filesOf(ns string, v slipway.Version) ([]slipway.File, error) {
	if v == "" {
		return nil, nil
	}
	if files, ok := e.files.find(versionKey(ns, v)); ok {
		return files, nil
	}
	m, err := e.bundles.Manifest(ns, v)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, slipway.Errorf(slipway.NotFound, "There is no DAG bundle version %s, or it is no longer kept.", v)
	}
	if err != nil {
		return nil, fmt.Errorf("files of version %s: %w", v, err)
	}
	e.files.put(versionKey(ns, v), m.Files)
	return m.Files, nil
}

// Files returns the files of a version of d, by path. The caller does not
// change them.
func (e *Engine) Files(ctx context.Context, d slipway.Deployment, v slipway.Version) ([]slipway.File, error) {
	return e.filesOf(d.Namespace, v)
}

// Content returns the content of a file of d. At its end it has been verified.
func (e *Engine) Content(ctx context.Context, d slipway.Deployment, f slipway.File) (io.ReadCloser, error) {
	return e.bundles.Content(ctx, d.Namespace, f)
}

// WriteArchive writes a version of d as a .tar.gz.
func (e *Engine) WriteArchive(ctx context.Context, d slipway.Deployment, v slipway.Version, w io.Writer) error {
	files, err := e.filesOf(d.Namespace, v)
	if err != nil {
		return err
	}
	return e.bundles.WriteArchive(ctx, d.Namespace, slipway.Manifest{Version: v, Files: files}, w)
}

// encodeStaged returns the uploaded files of a deploy as the store keeps them.
func encodeStaged(w slipway.Deploy, files []slipway.File) ([]byte, error) {
	var b bytes.Buffer
	err := bundle.WriteManifest(&b, slipway.Manifest{Version: w.Version, Files: files})
	return b.Bytes(), err
}

func decodeStaged(b []byte) ([]slipway.File, error) {
	m, err := bundle.ReadManifest(bytes.NewReader(b))
	return m.Files, err
}

// brought returns the uploaded files of a deploy, of which the store keeps b.
// They are shared: nobody changes them.
func (e *Engine) brought(w slipway.DeployID, b []byte) ([]slipway.File, error) {
	if files, ok := e.files.find(stagedKey(w)); ok {
		return files, nil
	}
	files, err := decodeStaged(b)
	if err != nil {
		return nil, fmt.Errorf("files of deploy %s: %w", w, err)
	}
	e.files.put(stagedKey(w), files)
	return files, nil
}

// basis is what the files at the end of a queue are made of, read in one
// moment.
type basis struct {
	now    slipway.Deployment
	role   slipway.Role
	tail   slipway.Deployment
	queue  []slipway.Turn
	staged map[slipway.DeployID][]byte // what the deploys in the queue bring
}

// basisOf reads the queue of a Deployment.
func basisOf(tx *store.Tx, of slipway.DeploymentID, by slipway.Actor) (b basis, err error) {
	if b.now, b.role, err = tx.Deployment(of, by); err != nil {
		return b, err
	}
	if b.queue, err = tx.Queue(of); err != nil {
		return b, err
	}
	b.tail, b.staged = b.now.Tail(b.queue), map[slipway.DeployID][]byte{}
	for _, t := range b.queue {
		if t.Deploy == nil || t.Deploy.WentLive() || t.Deploy.ReturnTo != 0 {
			continue
		}
		if b.staged[t.Deploy.ID], err = tx.StagedFiles(t.Deploy.ID); err != nil {
			return b, err
		}
	}
	return b, nil
}

// makersBasis is basisOf for whoever began w, if they may still make it.
func makersBasis(tx *store.Tx, w slipway.Deploy) (basis, error) {
	if err := mayNoLonger(tx, w); err != nil {
		return basis{}, err
	}
	return basisOf(tx, w.Deployment, w.By)
}

// same reports whether the files at the end of the queue of now are those at the
// end of b's: nothing was queued in between, and what left the queue went live as
// was foreseen.
func (b basis) same(now basis) bool {
	gone := len(b.queue) - len(now.queue)
	if gone < 0 || !slices.EqualFunc(b.queue[gone:], now.queue, func(s, t slipway.Turn) bool { return s.Position() == t.Position() }) {
		return false
	}
	for gone < len(b.queue) && now.queue[0].Deploy != nil && now.queue[0].Deploy.WentLive() {
		gone, now.queue = gone+1, now.queue[1:]
	}
	return b.now.GuardAPI == now.now.GuardAPI && b.now.Tail(b.queue[:gone]).State == now.now.State
}

// before returns b with only what comes before w in its queue.
func (b basis) before(w slipway.Deploy) basis {
	i := slices.IndexFunc(b.queue, func(t slipway.Turn) bool { return t.Deploy != nil && t.Deploy.ID == w.ID })
	if i >= 0 {
		b.queue = b.queue[:i]
		b.tail = b.now.Tail(b.queue)
	}
	return b
}

// tailFiles returns the files as they will be at the end of b's queue. Deploys
// in it may have no manifest yet.
func (e *Engine) tailFiles(b basis) (files []slipway.File, err error) {
	steps, onTop := b.steps()
	if onTop {
		if files, err = e.filesOf(b.now.Namespace, b.now.Version); err != nil {
			return nil, err
		}
	}
	for _, w := range steps {
		if w.ReturnTo != 0 {
			if files, err = e.filesOf(b.now.Namespace, w.After.Version); err != nil {
				return nil, err
			}
			continue
		}
		brought, err := e.brought(w.ID, b.staged[w.ID])
		if err != nil {
			return nil, err
		}
		files = w.Merge.Apply(files, brought)
	}
	return files, nil
}

// steps returns the deploys of b's queue that change the files, in order, from the
// last one on that replaces all of them. onTop says that there is none such: the
// steps are on top of the version that is wanted now.
func (b basis) steps() (steps []slipway.Deploy, onTop bool) {
	onTop = true
	tail := b.now
	for _, t := range b.queue {
		before := tail
		tail = tail.Tail([]slipway.Turn{t})
		if t.Deploy == nil || t.Deploy.WentLive() || before.Takes(*t.Deploy) != nil {
			continue // what will be refused at its turn changes nothing
		}
		w := *t.Deploy
		if !before.Brings(w) && !(w.ReturnTo != 0 && w.After.Mounted) {
			continue
		}
		if w.ReturnTo != 0 || w.Merge != slipway.AddFiles {
			steps, onTop = nil, false
		}
		steps = append(steps, w)
	}
	return steps, onTop
}
