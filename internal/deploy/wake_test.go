package deploy_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"slipway/internal/archive"
	"slipway/internal/bundle"
	"slipway/internal/deploy"
	"slipway/internal/image"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// Whoever waits for one deploy is woken by all that ends the wait: nothing looks
// by the clock.
func TestWhoWaitsIsWoken(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(a *app, w slipway.Deploy) error
		kind slipway.Kind
	}{
		"cancelled": {func(a *app, w slipway.Deploy) error {
			_, err := a.Engine.Cancel(context.Background(), a.Sales.ID, w.Number, a.Ada)
			return err
		}, slipway.Conflict},
		"refused": {func(a *app, w slipway.Deploy) error {
			return a.Engine.Refuse(context.Background(), w, slipway.Errorf(slipway.Invalid, "It is none."))
		}, slipway.Invalid},
		"checked": {func(a *app, w slipway.Deploy) error { return a.Engine.StageAll(context.Background(), a.Sales.ID) }, slipway.Internal},
		"its Deployment is deleted": {func(a *app, w slipway.Deploy) error {
			return a.Engine.Delete(context.Background(), a.Sales.ID, a.Ada, a.Sales.Name)
		}, slipway.NotFound},
		"its sender is removed": {func(a *app, w slipway.Deploy) error {
			err := a.Store.Update(context.Background(), func(tx *store.Tx) error { return tx.RemoveMember(a.Workspace.ID, a.Eve.User) })
			a.Engine.Recheck()
			return err
		}, slipway.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t) // which checks nothing by itself, as it does not run
			w := a.Upload(t, a.Eve, slipway.ReplaceAll, storetest.Archive(t, map[string]string{"a.py": dag("a")}))
			watching := a.Engine.Watching()
			ended := make(chan error, 1)
			go func() {
				_, err := a.Engine.Finalize(context.Background(), a.Sales.ID, w.ID, a.Eve, deploy.Finish{Version: w.Version})
				ended <- err
			}()
			a.eventuallySoon(t, func() bool { return a.Engine.Watching() > watching })
			if err := tt.end(a, w); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-ended:
				if kind, _ := slipway.Explain(err); kind != tt.kind || tt.kind == slipway.Internal && err != nil {
					t.Errorf("%v, want kind %v", err, tt.kind)
				}
			case <-time.After(20 * time.Second):
				t.Error("nobody woke it")
			}
		})
	}
}

// A pushed image is told to the open pages of its Deployment. Where the Deployment
// cannot be found out, the log says why: the signal is lost, and nothing else would show it.
func TestPushedIsTold(t *testing.T) {
	const said = "tell open pages of a pushed image"
	for name, tt := range map[string]struct {
		repository func(storetest.World) string
		closed     bool // the records cannot be read
		told       bool
		logged     string
	}{
		"to its Deployment": {func(w storetest.World) string { return deploy.Repository(w.Sales) }, false, true, ""},
		"to nobody, of a namespace without a Deployment": {func(storetest.World) string { return "none-such-0001/airflow" }, false, false, ""},
		"to the log": {func(w storetest.World) string { return deploy.Repository(w.Sales) }, true, false, said},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			dir, st := t.TempDir(), storetest.Open(t)
			world := storetest.Seed(t, st)
			bundles, err := bundle.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			e, err := deploy.New(st, bundles, deploy.Config{Dir: dir, Limits: archive.DefaultLimits(), Agent: "test"}, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			changed, stop := e.Watch(world.Sales.ID)
			defer stop()
			if tt.closed {
				if err := st.Close(); err != nil {
					t.Fatal(err)
				}
			}
			e.Pushed(image.Push{Repository: tt.repository(world), Tag: "1.0"})
			told := false
			select {
			case <-changed:
				told = true
			default:
			}
			if told != tt.told {
				t.Errorf("told: %t, want %t", told, tt.told)
			}
			if text := log.String(); !strings.Contains(text, tt.logged) || strings.Contains(text, said) != (tt.logged != "") {
				t.Errorf("the log says %q, want %q", text, tt.logged)
			}
		})
	}
}
