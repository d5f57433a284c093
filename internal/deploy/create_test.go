package deploy_test

import (
	"os"
	"path/filepath"
	"testing"

	"slipway/internal/slipway"
)

func TestCreateAndEdit(t *testing.T) {
	a := running(t)
	d, err := slipway.NewDeployment(a.Workspace.ID, "fresh", true)
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.Engine.Create(t.Context(), d, a.Eve)
	wantKind(t, err, slipway.Forbidden, "Operator")
	if d, err = a.Engine.Create(t.Context(), d, a.Oli); err != nil || d.Creator != "Oli Operator" {
		t.Fatalf("%+v, %v", d, err)
	}
	a.Sales = d // what follows is about the new one
	a.Eventually(t, "the image's DAGs are current", func() bool {
		all := a.Engine.Components(d.ID)
		return len(all) == 1 && all[0].DAGs == slipway.FromImage
	})
	link := func() string {
		to, err := os.Readlink(filepath.Join(a.Engine.MountDir(d), "current/dags"))
		if err != nil {
			t.Fatal(err)
		}
		return to
	}
	if got := link(); got != slipway.DefaultDagsPath || a.Current(t) != "image" {
		t.Errorf("dags is %s, current %s", got, a.Current(t))
	}
	change := func(s *slipway.Settings) error { s.DagsPath = "/opt/dags"; return nil }
	_, err = a.Engine.Edit(t.Context(), d.ID, a.Eve, change)
	wantKind(t, err, slipway.Forbidden, "Operator")
	if d, err = a.Engine.Edit(t.Context(), d.ID, a.Oli, change); err != nil || d.DagsPath != "/opt/dags" {
		t.Fatalf("%+v, %v", d, err)
	}
	a.Eventually(t, "dags is the new path", func() bool { return link() == "/opt/dags" })
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("1")})
	a.WantMounted(t, map[string]string{"a.py": dag("1")})
}
