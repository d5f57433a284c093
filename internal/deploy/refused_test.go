package deploy_test

import (
	"strings"
	"testing"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// A deploy of the API that cannot be confirmed ends with the reason that its
// sender was told; what is about the sender, or can be mended, leaves it staged.
func TestRefusedFinalize(t *testing.T) {
	none := slipway.Version("")
	for name, tt := range map[string]struct {
		before  func(t *testing.T, a *app)
		by      func(a *app) slipway.Actor
		finish  deploy.Finish
		kind    slipway.Kind
		says    string
		status  slipway.Status
		history string // part of the reason that it keeps
	}{
		"switched off meanwhile": {
			before: func(t *testing.T, a *app) { a.turn(t, false) },
			kind:   slipway.Conflict, says: "DAG-only deploys are not enabled", status: slipway.Failed, history: "DAG-only deploys are not enabled",
		},
		"too many files once it is added": {
			before: func(t *testing.T, a *app) {
				a.Deployed(t, slipway.ReplaceAll, map[string]string{"1.py": dag("1"), "2.py": dag("2"), "3.py": dag("3")})
			},
			kind: slipway.TooLarge, says: "more than 3 files", status: slipway.Failed, history: "more than 3 files",
		},
		"another version named": {
			finish: deploy.Finish{Version: "2026-01-01T00:00:00.0000000Z"},
			kind:   slipway.Invalid, says: "is not that of deploy", status: slipway.Staged,
		},
		"another base named": {
			before: func(t *testing.T, a *app) { a.Deployed(t, slipway.ReplaceAll, map[string]string{"1.py": dag("1")}) },
			finish: deploy.Finish{Base: &none},
			kind:   slipway.Conflict, says: "Another deploy came in between", status: slipway.Staged,
		},
		"a Member": {
			by:   func(a *app) slipway.Actor { return a.Mia },
			kind: slipway.Forbidden, says: "needs the Author role", status: slipway.Staged,
		},
		"a stranger": {
			by:   func(a *app) slipway.Actor { return a.Sam },
			kind: slipway.NotFound, says: "There is no Deployment", status: slipway.Staged,
		},
		"guarded": {
			before: func(t *testing.T, a *app) {
				a.Deployed(t, slipway.ReplaceAll, map[string]string{"1.py": dag("1")})
				a.guard(t)
				a.Deployed(t, slipway.ReplaceAll, map[string]string{"readme.txt": "no DAG"})
			},
			kind: slipway.Conflict, says: "a person has to confirm this one", status: slipway.Staged,
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := running(t, func(c *deploy.Config) { c.Limits.Files = 3 })
			files := map[string]string{"new.py": dag("new")}
			if name == "guarded" {
				files = map[string]string{"notes.txt": "still no DAG"}
			}
			w := a.Staged(t, a.Eve, slipway.AddFiles, files)
			if tt.before != nil {
				tt.before(t, a)
			}
			by := a.Eve
			if tt.by != nil {
				by = tt.by(a)
			}
			if tt.finish.Version == "" {
				tt.finish.Version = w.Version
			}
			_, err := a.Engine.Finalize(t.Context(), a.Sales.ID, w.ID, by, tt.finish)
			wantKind(t, err, tt.kind, tt.says)
			got := a.Load(t, w.Number)
			if got.Status != tt.status || got.Position != 0 {
				t.Errorf("it is %s at %d, want %s", got.Status, got.Position, tt.status)
			}
			if tt.history == "" && got.Reason != "" || tt.history != "" && !strings.Contains(got.Reason, tt.history) {
				t.Errorf("reason %q, want %q", got.Reason, tt.history)
			}
		})
	}
}

// guard has deploys of the API wait for a person where a page would ask.
func (a *app) guard(t *testing.T) {
	t.Helper()
	storetest.Update(t, a.Store, func(tx *store.Tx) error {
		d, err := tx.LoadDeployment(a.Sales.ID)
		if err != nil {
			return err
		}
		d.GuardAPI = true
		return tx.SaveSettings(d)
	})
}
