package web

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// viewKey names a live page that looks the same to several readers: those of one
// role without anything of their own on the page.
type viewKey struct {
	deployment slipway.DeploymentID
	workspace  slipway.WorkspaceID // of a list
	role       slipway.Role
	person     slipway.UserID // "" unless something on the page is the person's own
	query      string         // of the address
}

// sharedViews renders each live page once for all readers with the same key.
type sharedViews struct {
	mu       sync.Mutex
	of       map[viewKey]*sharedView
	rendered atomic.Int64 // number of renderings, for tests
}

// sharedView is the last rendering of a page.
type sharedView struct {
	mu   sync.Mutex   // held while the page is rendered
	all  []fragment   // of finished markup
	at   atomic.Int64 // when the rendering began, since begun
	read int          // number of readers now; guarded by the lock of sharedViews
}

const (
	// gather is the wait before a rendering, in which readers who were woken by the
	// same change join.
	gather = 20 * time.Millisecond

	// paceEach is the part of the pause between two snapshots for each open stream:
	// 1,000 streams get a snapshot a second.
	paceEach = time.Millisecond
)

// begun is what times are measured from: unlike the clock on the wall, they never go
// back.
var begun = time.Now()

// join returns the view of a key for a reader, who calls leave afterwards.
func (s *sharedViews) join(key viewKey) (v *sharedView, leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[viewKey]*sharedView{}
	}
	if v = s.of[key]; v == nil {
		v = &sharedView{}
		s.of[key] = v
	}
	v.read++
	return v, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		v.read--
		maps.DeleteFunc(s.of, func(_ viewKey, old *sharedView) bool {
			return old.read == 0 && time.Since(begun)-time.Duration(old.at.Load()) > heartbeat
		})
	}
}

// snapshot returns the page as of since or later: the rendering of another
// reader, or a new one by read. read returns the key that the page turned out to
// have; a page of another key is not shared.
func (s *sharedViews) snapshot(ctx context.Context, key viewKey, since time.Time, read func() ([]fragment, viewKey, error)) ([]fragment, error) {
	v, leave := s.join(key)
	defer leave()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.at.Load() >= int64(since.Sub(begun)) {
		return v.all, nil
	}
	time.Sleep(gather)
	at := time.Now()
	all, is, err := read()
	if err != nil {
		return nil, err
	}
	s.rendered.Add(1)
	if all, err = finished(ctx, all); err != nil || is != key {
		return all, err
	}
	v.all = all
	v.at.Store(int64(at.Sub(begun)))
	return all, nil
}

// finished renders fragments to markup.
func finished(ctx context.Context, all []fragment) ([]fragment, error) {
	done := make([]fragment, len(all))
	for i, f := range all {
		var b bytes.Buffer
		if err := f.view.Render(ctx, &b); err != nil {
			return nil, fmt.Errorf("render %s: %w", f.id, err)
		}
		done[i] = fragment{f.id, templ.Raw(b.String())}
	}
	return done, nil
}

// listSnapshot returns snapshots of the list of Deployments, shared among readers
// of one role.
func (s *Server) listSnapshot(c echo.Context) snapshot {
	return func() (all []fragment, err error) {
		since, ctx := time.Now(), c.Request().Context()
		key := viewKey{workspace: workspaceID(c), query: c.QueryString()}
		err = s.store.View(ctx, func(tx *store.Tx) (err error) {
			_, key.role, err = tx.Workspace(key.workspace, actorOf(c))
			return err
		})
		if err != nil {
			return nil, err
		}
		return s.liveViews.snapshot(ctx, key, since, func() (all []fragment, is viewKey, err error) {
			err = s.store.View(ctx, func(tx *store.Tx) (err error) {
				is = key
				if _, is.role, err = tx.Workspace(key.workspace, actorOf(c)); err != nil {
					return err
				}
				p, err := s.deployments(c, tx)
				all = []fragment{{"deployments", views.DeploymentRows(p)}, {"deployments-shown", views.DeploymentsShown(p)}}
				if p.None {
					all = all[:1] // the page has no filters
				}
				return err
			})
			return all, is, err
		})
	}
}

// overviewKey loads the access of the reader, and returns the key of the
// reader's Overview.
func (s *Server) overviewKey(c echo.Context, tx *store.Tx) (key viewKey, err error) {
	by := actorOf(c)
	d, role, err := tx.Deployment(deploymentID(c), by)
	if err != nil {
		return key, err
	}
	key = viewKey{deployment: d.ID, role: role, query: c.QueryString()}
	staged, err := tx.StagedFor(d.ID, by.User)
	for _, w := range staged {
		if w.By.Token == "" {
			key.person = by.User
		}
	}
	return key, err
}

// overviewSnapshot returns snapshots of the Overview, shared among readers.
func (s *Server) overviewSnapshot(c echo.Context) snapshot {
	return func() (all []fragment, err error) {
		since, ctx := time.Now(), c.Request().Context()
		var key viewKey
		err = s.store.View(ctx, func(tx *store.Tx) error {
			key, err = s.overviewKey(c, tx)
			return err
		})
		if err != nil {
			return nil, err
		}
		return s.liveViews.snapshot(ctx, key, since, func() (all []fragment, is viewKey, err error) {
			err = s.viewScene(c, func(tx *store.Tx, sc scene) error {
				if is, err = s.overviewKey(c, tx); err != nil {
					return err
				}
				o, err := s.overview(c, tx, sc)
				if err != nil {
					return err
				}
				if o.Frame.Banner, err = s.banner(tx, sc); err != nil {
					return err
				}
				all = overviewFragments(o, c.QueryParam("form"))
				return nil
			})
			return all, is, err
		})
	}
}
