package deploy_test

import (
	"strings"
	"testing"
	"time"

	"slipway/internal/deploy"
	"slipway/internal/deploy/deploytest"
	"slipway/internal/slipway"
)

func TestImageRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		kind slipway.DeployKind
		ref  string
		m    deploytest.Image
		want string // of the sentence
	}{
		"downgrade":      {slipway.ImageOnly, "bad", deploytest.Image{Runtime: "3.1-3"}, "Cannot deploy a downgraded Astro Runtime version."},
		"wrong platform": {slipway.ImageOnly, "bad", deploytest.Image{Runtime: "3.1-5", Arch: "arm64"}, "linux/arm64"},
		"missing tag":    {slipway.ImageOnly, "never", deploytest.Image{Runtime: "3.1-5"}, "There is no tag never"},
		"a loopback":     {slipway.ImageOnly, "localhost:1/a/b:1", deploytest.Image{}, "localhost:1"},
	} {
		t.Run(name, func(t *testing.T) {
			a := applying(t)
			before := a.DeployedImage(t, slipway.ImageOnly, "1", deploytest.Runtime1)
			a.Push(t, "bad", tt.m.Build(t))
			w, err := a.Engine.CreateImage(t.Context(), a.Sales.ID, a.Eve, deploy.NewImage{Kind: tt.kind, Ref: tt.ref})
			if err != nil {
				t.Fatal(err)
			}
			w = a.Await(t, w.Number, slipway.Failed)
			if !strings.Contains(w.Reason, tt.want) {
				t.Errorf("reason %q, want %q", w.Reason, tt.want)
			}
			if a.sales(t).State != before.After || len(a.applied(t)) != 1 {
				t.Errorf("state %+v, applied %v", a.sales(t).State, a.applied(t))
			}
		})
	}
}

func TestImageRefusedAtOnce(t *testing.T) {
	a := applying(t)
	if got := a.sales(t).Updater; got != a.Root.Title() {
		t.Errorf("updated by %q, want %q, who set the apply command", got, a.Root.Title())
	}
	create := func(by slipway.Actor, kind slipway.DeployKind, ref string) error {
		_, err := a.Engine.CreateImage(t.Context(), a.Sales.ID, by, deploy.NewImage{Kind: kind, Ref: ref})
		return err
	}
	wantKind(t, create(a.Mia, slipway.ImageOnly, "1"), slipway.Forbidden, "Author")
	wantKind(t, create(a.Sam, slipway.ImageOnly, "1"), slipway.NotFound, "")
	wantKind(t, create(a.Eve, slipway.DAGOnly, "1"), slipway.Invalid, "brings no image")
	wantKind(t, create(a.Eve, slipway.ImageOnly, "bright-nova-0001/airflow:1"), slipway.NotFound, "part of the registry")
	wantKind(t, create(a.Eve, slipway.ImageOnly, "quay.io/Team:1"), slipway.Invalid, "no reference")
	wantKind(t, a.Engine.SetApplyCommand(t.Context(), a.Sales.ID, a.Ada, "script"), slipway.Forbidden, "Organization admins")
	wantKind(t, a.Engine.SetApplyCommand(t.Context(), a.Sales.ID, a.Root, "rm"), slipway.Invalid, `no apply command "rm"`)
	a.turn(t, false)
	wantKind(t, create(a.Eve, slipway.ImageOnly, "1"), slipway.Conflict, "Deploy image and DAGs together")
}

func TestImageThatIsNotAirflow(t *testing.T) {
	a := applying(t)
	a.Push(t, "1", deploytest.Image{Packages: "x"}.Build(t))
	w := a.StagedImage(t, slipway.ImageOnly, "portal.test:8888/"+deploy.Repository(a.Sales)+":1")
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
	if err != nil || !r.Plan.Ticks().NotAirflow || len(r.Reminders) != 1 || !strings.Contains(r.Reminders[0], "no DAGs") {
		t.Errorf("ticks %+v, reminders %q, %v", r.Plan.Ticks(), r.Reminders, err)
	}
	_, err = a.Engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Eve, r.Base, slipway.Ticks{})
	wantKind(t, err, slipway.Invalid, "is an image of Airflow")
	if _, err := a.Engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Eve, r.Base, slipway.Ticks{NotAirflow: true}); err != nil {
		t.Fatal(err)
	}
	a.Await(t, w.Number, slipway.Deployed)
}

func TestImageReview(t *testing.T) {
	a := applying(t)
	old := deploytest.Runtime1
	old.Built = time.Now().Add(-100 * 24 * time.Hour)
	a.DeployedImage(t, slipway.ImageOnly, "1", old)
	dags := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("a")})
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, dags.Number, a.Eve)
	if err != nil || r.Image != nil || len(r.Reminders) != 2 || !strings.Contains(r.Reminders[0], "newer patch, 3.1-12") || !strings.Contains(r.Reminders[1], "older than 90 days") {
		t.Errorf("a DAG deploy reminds of %q, %v", r.Reminders, err)
	}
	next := old
	next.Runtime, next.DAGs = "3.1-12", map[string]string{"x.py": dag("x")}
	a.Push(t, "2", next.Build(t))
	w := a.StagedImage(t, slipway.ImageAndDAG, "2")
	r, err = a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
	if err != nil || r.Image == nil {
		t.Fatalf("review %+v, %v", r, err)
	}
	if r.Image.Old.Runtime != "3.1-4" || r.Image.New.Runtime != "3.1-12" || r.Image.Shared != 1 || len(r.Image.Fresh) != 1 || r.Image.Bytes != r.Image.Fresh[0].Size || len(r.Reminders) != 1 {
		t.Errorf("image %+v, reminders %q", r.Image, r.Reminders)
	}
	a.Confirm(t, w.Number, a.Eve)
	a.Await(t, w.Number, slipway.Deployed)
	done, err := a.Engine.Done(t.Context(), a.Sales.ID, w.Number, a.Mia)
	if err != nil || done.Image == nil || done.Image.Old.Runtime != "3.1-4" || done.Image.Shared != 1 {
		t.Errorf("done %+v, %v", done.Image, err)
	}
	back, err := a.Engine.ReviewReturn(t.Context(), a.Sales.ID, 1, a.Eve)
	if err != nil || back.Image == nil || back.Image.New.Runtime != "3.1-4" || back.Refusal != nil {
		t.Errorf("return %+v, refusal %v, %v", back.Image, back.Refusal, err)
	}
}
