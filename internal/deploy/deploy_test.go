package deploy_test

import (
	"testing"

	"slipway/internal/deploy"
	"slipway/internal/deploy/deploytest"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// app is an installation with the helpers of all these tests. A registry is there
// only in those of unstarted and applying.
type app struct{ *deploytest.ImageInstallation }

func appOf(i *deploytest.Installation) *app {
	return &app{&deploytest.ImageInstallation{Installation: i}}
}

// newApp returns an engine that does not run yet.
func newApp(t *testing.T, change ...func(*deploy.Config)) *app {
	t.Helper()
	return appOf(deploytest.New(t, change...))
}

func running(t *testing.T, change ...func(*deploy.Config)) *app {
	t.Helper()
	return appOf(deploytest.Running(t, change...))
}

// dag returns the text of a DAG file.
func dag(text string) string { return deploytest.DAG(text) }

func (a *app) sales(t *testing.T) (d slipway.Deployment) {
	t.Helper()
	storetest.View(t, a.Store, func(tx *store.Tx) (err error) {
		d, err = tx.LoadDeployment(a.Sales.ID)
		return err
	})
	return d
}

func (a *app) manifests(t *testing.T) []string { return a.Names(t, "bundles", a.Sales.Namespace) }
func (a *app) uploads(t *testing.T) []string   { return a.Names(t, "uploads") }

// wantKind fails unless err is of a kind and its text has a part.
func wantKind(t *testing.T, err error, kind slipway.Kind, part string) {
	t.Helper()
	deploytest.WantKind(t, err, kind, part)
}
