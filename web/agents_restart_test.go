package web

import (
	"path/filepath"
	"testing"
	"time"

	"slipway/internal/archive"
	"slipway/internal/bundle"
	"slipway/internal/deploy"
	"slipway/internal/slipway"
)

// After a start a deploy does not end before the agents had time to report.
func TestDeployWaitsForAgentsAfterAStart(t *testing.T) {
	a := newApp(t)
	a.Sales = a.remoteDeployment(t)
	token, _ := a.agentToken(t, a.Sales.ID)
	want(t, a.asAgent(t, token, "GET", "desired?since=", ""), 200) // it was there before the start
	a.restart(t, deploy.Config{Limits: archive.DefaultLimits(), MountTimeout: time.Minute, Gather: 10 * time.Second})
	a.run(t)
	w := a.staged(t, a.Eve, map[string]string{"a.py": dag})
	r, err := a.engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Eve, r.Base, slipway.Ticks{}); err != nil {
		t.Fatal(err)
	}
	a.reaches(t, w.Number, slipway.Deploying)
	a.remote(t, token, "worker-0")
	if w = a.reaches(t, w.Number, slipway.Deployed); w.Note != "" {
		t.Errorf("note %q: it did not wait for the agent", w.Note)
	}
	all := a.engine.Components(a.Sales.ID)
	if len(all) != 1 || all[0].Version != w.Version {
		t.Errorf("components %+v", all)
	}
}

// restart replaces the engine, which does not run, by another one on the same
// data folder.
func (a *app) restart(t *testing.T, cfg deploy.Config) {
	t.Helper()
	cfg.Dir = filepath.Dir(a.engine.MountDir(slipway.Deployment{}))
	bundles, err := bundle.Open(cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if a.engine, err = deploy.New(a.store, bundles, cfg, a.server.log); err != nil {
		t.Fatal(err)
	}
	if a.server, err = New(a.store, a.engine, Config{}, a.server.log); err != nil {
		t.Fatal(err)
	}
	a.handler = a.server.Handler()
}
