package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"slipway/internal/archive"
	"slipway/internal/bundle"
	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
)

// history is a Deployment on an engine of its own.
type history struct {
	src, data string
	quick     bool // only what changed is sent, and nothing is mounted meanwhile
	store     *store.Store
	bundles   *bundle.Store
	engine    *deploy.Engine
	of        slipway.Deployment
	by        slipway.Actor
	days      atomic.Int64 // by which the clock is ahead
	stop      func() error

	times, cpu []float64 // of each deploy since the last row, ms
}

func newHistory(ctx context.Context, data, src string, quick bool) (h *history, err error) {
	if err := os.MkdirAll(data, 0o755); err != nil {
		return nil, err
	}
	h = &history{src: src, data: data, quick: quick}
	if h.store, err = store.Open(ctx, filepath.Join(data, "slipway.db")); err != nil {
		return nil, err
	}
	h.store.Now = func() time.Time { return time.Now().AddDate(0, 0, int(h.days.Load())) }
	if h.bundles, err = bundle.Open(data); err != nil {
		return nil, errors.Join(err, h.store.Close())
	}
	if err := h.seed(ctx); err != nil {
		return nil, errors.Join(err, h.store.Close())
	}
	cfg := deploy.Config{Dir: data, Limits: archive.DefaultLimits(), MountTimeout: time.Minute, RetainEvery: 10 * time.Second}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if h.engine, err = deploy.New(h.store, h.bundles, cfg, log); err != nil {
		return nil, errors.Join(err, h.store.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- h.engine.Run(ctx, keepMounted) }()
	h.stop = func() error {
		cancel()
		return errors.Join(<-done, h.store.Close())
	}
	return h, nil
}

// seed makes a person and the Deployment.
func (h *history) seed(ctx context.Context) error {
	return h.store.Update(ctx, func(tx *store.Tx) error {
		w, err := tx.AddWorkspace("Bench")
		if err != nil {
			return err
		}
		u, err := tx.AddUser(slipway.User{Email: "bench@example.com", Name: "Bench"}, "")
		if err != nil {
			return err
		}
		if err := tx.SetRole(w.ID, u.ID, slipway.Owner); err != nil {
			return err
		}
		h.by = slipway.Actor{User: u.ID, Name: u.Title(), Via: slipway.Local}
		d, err := slipway.NewDeployment(w.ID, "history", !h.quick)
		if err != nil {
			return err
		}
		h.of, err = tx.AddDeployment(d)
		return err
	})
}

// deploy changes 1 % of the files and takes the project from its upload to
// mounted and durable.
func (h *history) deploy(ctx context.Context, turn int) error {
	files, err := change(h.src, turn)
	if err != nil {
		return err
	}
	merge := slipway.AddFiles
	if !h.quick || turn == 0 {
		files, merge = []string{"."}, slipway.ReplaceAll
	}
	archive, err := packed(h.src, files)
	if err != nil {
		return err
	}
	began, cpu := time.Now(), cpuTime()
	w, err := h.upload(ctx, archive, merge)
	if err != nil {
		return err
	}
	if err := h.reaches(ctx, w.Number, slipway.Staged); err != nil {
		return err
	}
	r, err := h.engine.Review(ctx, h.of.ID, w.Number, h.by)
	if err != nil {
		return err
	}
	if _, err := h.engine.Confirm(ctx, h.of.ID, w.Number, h.by, r.Base, r.Plan.Ticks()); err != nil {
		return err
	}
	if err := h.reaches(ctx, w.Number, slipway.Deployed); err != nil {
		return err
	}
	h.times = append(h.times, time.Since(began).Seconds()*1000)
	h.cpu = append(h.cpu, (cpuTime()-cpu).Seconds()*1000)
	return nil
}

func (h *history) upload(ctx context.Context, archive []byte, merge slipway.Merge) (slipway.Deploy, error) {
	u, _, err := h.engine.BeginUpload(ctx, h.of.ID, h.by, deploy.NewUpload{Length: int64(len(archive)), Name: "dags.tar.gz", Merge: merge})
	if err != nil {
		return slipway.Deploy{}, err
	}
	w, _, err := h.engine.Append(ctx, u.ID, h.by, 0, bytes.NewReader(archive), -1)
	return w, err
}

// reaches waits until a deploy has a status.
func (h *history) reaches(ctx context.Context, number int, want slipway.Status) error {
	return h.until(ctx, func() (bool, error) {
		var w slipway.Deploy
		err := h.store.View(ctx, func(tx *store.Tx) (err error) {
			w, err = tx.Deploy(h.of.ID, number)
			return err
		})
		if err == nil && w.Status.Ended() && w.Status != want {
			err = fmt.Errorf("it is %s: %s", w.Status, w.Reason)
		}
		return w.Status == want, err
	})
}

// until waits for is, which it asks whenever something has changed.
func (h *history) until(ctx context.Context, is func() (bool, error)) error {
	changed, stop := h.engine.Watch(h.of.ID)
	defer stop()
	for {
		if yes, err := is(); yes || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-time.After(time.Second):
		}
	}
}

// expired reports whether only the last versions are kept, and the packs that
// they need.
func (h *history) expired(ctx context.Context) (bool, error) {
	s, err := h.stored(ctx)
	return err == nil && s.versions <= slipway.DefaultKeepVersions && s.rows == s.files, err
}

// stored is what lies on the disk.
type stored struct {
	versions, rows, files int // manifests; packs in the records, and on the disk
	claims                int // packs that the current version needs
	packs, manifests      int64
}

func (h *history) stored(ctx context.Context) (s stored, err error) {
	err = h.store.View(ctx, func(tx *store.Tx) error {
		d, err := tx.LoadDeployment(h.of.ID)
		if err != nil {
			return err
		}
		packs, err := tx.Packs(d.ID)
		if err != nil {
			return err
		}
		s.rows = len(packs)
		s.claims, err = tx.SmallPacks(d.ID, d.Version, 1<<62)
		return err
	})
	if err != nil {
		return s, err
	}
	if s.files, s.packs, err = sizes(filepath.Join(h.data, "packs", h.of.Namespace)); err != nil {
		return s, err
	}
	s.versions, s.manifests, err = sizes(filepath.Join(h.data, "bundles", h.of.Namespace))
	return s, err
}
