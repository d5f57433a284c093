package deploy_test

import (
	"context"
	"testing"
	"time"

	"slipway/internal/deploy"
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
