package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"slipway/internal/agent"
	"slipway/internal/archive"
	"slipway/internal/auth"
	"slipway/internal/bundle"
	"slipway/internal/datadir"
	"slipway/internal/deploy"
	"slipway/internal/image"
	"slipway/internal/slipway"
	"slipway/store"
)

// portal is a portal without pages, whose clock is set.
type portal struct {
	store    *store.Store
	engine   *deploy.Engine
	registry *http.Server // serves the images of the engine on loopback
	host     string       // of registry
	log      *slog.Logger
	ahead    atomic.Int64 // nanoseconds from the true time to the portal's; before it: below 0
	stop     context.CancelFunc
	done     chan error
}

// newPortal opens a portal in the empty folder dir as of now.
func newPortal(ctx context.Context, dir string, now time.Time) (p *portal, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { // Airflow's user reads the mounts below
		return nil, err
	}
	p = &portal{done: make(chan error, 1)}
	p.set(now)
	if p.store, err = store.Open(ctx, filepath.Join(dir, datadir.Database)); err != nil {
		return nil, err
	}
	p.store.Now = func() time.Time { return time.Now().Add(time.Duration(p.ahead.Load())) }
	bundles, err := bundle.Open(dir)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	cfg := deploy.Config{Dir: dir, Limits: archive.DefaultLimits(), MountTimeout: time.Minute, Agent: "demo", RegistryHost: "127.0.0.1:8888", ApplyCommands: map[string][]string{
		applyCommand: {"/bin/sh", "-c", applyScript},
	}}
	cfg.Images, err = image.Open(image.Config{
		Dir:     filepath.Join(dir, datadir.Registry),
		MayPush: func(ctx context.Context, repository, tag string) error { return p.engine.MayPush(ctx, repository, tag) },
		Claim:   func(n int64) (func(), error) { return p.engine.Claim(n) },
		Pushed:  func(pushed image.Push) { p.engine.Pushed(pushed) },
	}, log)
	if err != nil {
		return nil, err
	}
	if p.engine, err = deploy.New(p.store, bundles, cfg, log); err != nil {
		return nil, err
	}
	p.log = log
	return p, p.serveImages()
}

// applyCommand is the name of a command that recreates containers, as far as the
// page can tell; the image of the Runtime that applyScript names fails.
const (
	applyCommand = "compose-up"
	applyScript  = `echo "Recreating airflow-scheduler-1 ... done"; case "$RUNTIME_VERSION" in 3.1-6) echo "airflow-worker-1: exec format error" >&2; exit 1;; esac; echo "Recreating airflow-worker-1 ... done"`
)

// run runs the engine, with an agent on this machine, until close.
func (p *portal) run(ctx context.Context) {
	ctx, p.stop = context.WithCancel(ctx)
	go func() {
		p.done <- p.engine.Run(ctx, func(ctx context.Context, _ slipway.Deployment, dir string, from *deploy.AgentPortal) error {
			return agent.New(agent.Config{Dir: dir, Component: slipway.EmbeddedComponent, Portal: from, Log: p.log}).Run(ctx)
		})
	}()
}

// serveImages serves the engine's registry on a free port of loopback.
func (p *portal) serveImages() error {
	on, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p.host = on.Addr().String()
	p.registry = &http.Server{ReadHeaderTimeout: time.Minute, Handler: p.engine.Images().Handler(image.Authorizer{
		Realm: func(*http.Request) string { return "http://" + p.host + "/v2/token" },
		Admit: func(*http.Request, string, []image.Access) error { return nil }, // only this program knows the port
	})}
	go func() { _ = p.registry.Serve(on) }() // ends by close
	return nil
}

// close ends the work and closes the store.
func (p *portal) close() error {
	if p.stop != nil {
		p.stop()
		return errors.Join(<-p.done, p.registry.Close(), p.store.Close())
	}
	return errors.Join(p.registry.Close(), p.store.Close())
}

// set sets the portal's clock.
func (p *portal) set(now time.Time) { p.ahead.Store(int64(time.Until(now))) }

// found makes the first account, Workspace and Deployment, and the other people.
func (p *portal) found(ctx context.Context) (all auth.Founded, actors []slipway.Actor, err error) {
	hash, err := auth.HashPassword(password)
	if err != nil {
		return all, nil, err
	}
	err = p.store.Update(ctx, func(tx *store.Tx) error {
		first := people[0]
		f := auth.Founding{Email: first.email, Name: first.name, Workspace: "Data Platform", Deployment: "warehouse-prod", Local: true}
		if all, err = auth.Found(tx, f, hash, slipway.Actor{Via: slipway.Local}); err != nil {
			return err
		}
		actors = append(actors, actor(all.User))
		for _, who := range people[1:] {
			u, err := tx.AddUser(slipway.User{Email: who.email, Name: who.name}, hash)
			if err != nil {
				return err
			}
			if err := tx.SetRole(all.Workspace.ID, u.ID, who.role); err != nil {
				return err
			}
			actors = append(actors, actor(u))
		}
		finance, err := tx.AddWorkspace("Finance Analytics") // where nobody has begun
		if err != nil {
			return err
		}
		return tx.SetRole(finance.ID, actors[0].User, slipway.Owner)
	})
	return all, actors, err
}

// actor returns somebody in the portal's pages.
func actor(u slipway.User) slipway.Actor {
	return slipway.Actor{User: u.ID, Name: u.Title(), Via: slipway.Portal, IP: "10.20.0.17"}
}

// upload sends an archive and waits until the deploy is staged, or has failed.
func (p *portal) upload(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, n deploy.NewUpload, b []byte) (slipway.Deploy, error) {
	n.Length = int64(len(b))
	w, err := p.engine.Receive(ctx, of, by, n, bytes.NewReader(b))
	if err != nil {
		return w, err
	}
	return p.await(ctx, w, func(w slipway.Deploy) bool { return w.Status == slipway.Staged })
}

// confirm confirms a staged deploy, with all consents, and waits until the
// deploy is live or has failed.
func (p *portal) confirm(ctx context.Context, w slipway.Deploy, by slipway.Actor) (slipway.Deploy, error) {
	r, err := p.engine.Review(ctx, w.Deployment, w.Number, by)
	if err != nil {
		return w, err
	}
	if w, err = p.engine.Confirm(ctx, w.Deployment, w.Number, by, r.Base, consents); err != nil {
		return w, err
	}
	return p.await(ctx, w, ended)
}

// consents are the ticks for everything that a plan may ask.
var consents = slipway.Ticks{RemoveDAGs: true, NoDAGs: true, Pointers: true, Bidi: true, NotAirflow: true, RunsImage: true}

func ended(w slipway.Deploy) bool { return w.Status.Ended() }

// await waits until is holds for a deploy, or the deploy has ended.
func (p *portal) await(ctx context.Context, w slipway.Deploy, is func(slipway.Deploy) bool) (slipway.Deploy, error) {
	changed, stop := p.engine.WatchAll()
	defer stop()
	late := time.After(time.Minute)
	for {
		err := p.store.View(ctx, func(tx *store.Tx) (err error) {
			w, err = tx.Deploy(w.Deployment, w.Number)
			return err
		})
		if err != nil || is(w) || ended(w) {
			return w, err
		}
		select {
		case <-ctx.Done():
			return w, ctx.Err()
		case <-late:
			return w, fmt.Errorf("deploy #%d of %s is %s for a minute", w.Number, p.store.Now().Format(time.DateOnly), w.Status)
		case <-changed:
		case <-time.After(20 * time.Millisecond):
		}
	}
}
