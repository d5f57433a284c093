package deploy_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"slipway/internal/deploy"
	"slipway/internal/deploy/deploytest"
	"slipway/internal/image"
	"slipway/internal/secret"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

func TestImageByPushedTag(t *testing.T) {
	a := applying(t)
	first := a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a")})
	digest := a.Push(t, "1.0", deploytest.Runtime1.Build(t))

	w := a.StagedImage(t, slipway.ImageOnly, "1.0")
	if w.Image == nil || w.Image.Digest != digest || w.Image.Runtime != "3.1-4" || w.Version != "" {
		t.Fatalf("staged %+v, image %+v", w, w.Image)
	}
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
	if err != nil || r.Refusal != nil || r.Image == nil {
		t.Fatalf("review %+v, %v", r, err)
	}
	if r.Image.Shared != 0 || len(r.Image.Fresh) != 2 || r.Image.Files.Count != 1 || r.Image.Files.Files[0].Path != "from_image.py" || r.Image.Carries || len(r.Plan.Changes) != 0 || r.Plan.Ticks() != (slipway.Ticks{}) {
		t.Errorf("review %+v, plan %+v", r.Image, r.Plan)
	}
	a.Confirm(t, w.Number, a.Eve)
	w = a.Await(t, w.Number, slipway.Deployed)
	want := slipway.State{Image: digest, ImageName: deploy.Repository(a.Sales), ImageTag: "1.0", Runtime: "3.1-4", Version: first.Version, Mounted: true, DAGDeploys: true}
	if got := a.sales(t).State; got != want || w.After != want {
		t.Errorf("state %+v, row %+v, want %+v", got, w.After, want)
	}
	if want := "AIRFLOW_IMAGE=portal.test:8888/" + deploy.Repository(a.Sales) + "@" + digest + "\nRUNTIME_VERSION=3.1-4\n"; a.imageEnv(t) != want {
		t.Errorf("image.env %q, want %q", a.imageEnv(t), want)
	}
	if diff := cmp.Diff([]string{digest}, a.applied(t)); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
	if text := a.log(t, w.Number); !strings.Contains(text, "applied\n") || !strings.Contains(text, "has ended well") {
		t.Errorf("log:\n%s", text)
	}
	a.WantMounted(t, map[string]string{"a.py": dag("a")})
	if len(a.manifests(t)) != 1 {
		t.Errorf("manifests %v", a.manifests(t))
	}
}

// TestImageOfOthers: an image of another Deployment's part of the registry is
// not found, by whatever name somebody calls it.
func TestImageOfOthers(t *testing.T) {
	a := applying(t)
	a.Push(t, "1.0", deploytest.Runtime1.Build(t))
	other := "portal.test:8888/vast-comet-0001/airflow:1.0"
	for _, ref := range []string{"vast-comet-0001/airflow:1.0", other, "portal.test:8888/" + other, "portal.test:8888/portal.test:8888/" + other} {
		_, err := a.Engine.CreateImage(t.Context(), a.Sales.ID, a.Eve, deploy.NewImage{Kind: slipway.ImageOnly, Ref: ref})
		if kind, text := slipway.Explain(err); kind != slipway.NotFound || !strings.Contains(text, a.Sales.Namespace) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	w := a.StagedImage(t, slipway.ImageOnly, "portal.test:8888/portal.test:8888/"+deploy.Repository(a.Sales)+":1.0")
	if w.Image == nil || w.Image.Name != deploy.Repository(a.Sales) {
		t.Errorf("its own by the portal's name: %+v", w.Image)
	}
}

func TestRegistryLogins(t *testing.T) {
	a := unstarted(t)
	set := func(by slipway.Actor, host, user, password string) error {
		return a.Engine.SetRegistryLogin(t.Context(), a.Workspace.ID, by, host, image.Login{User: user, Password: password})
	}
	wantKind(t, set(a.Eve, "quay.io", "robot", "secret"), slipway.Forbidden, "Operator")
	wantKind(t, set(a.Sam, "quay.io", "robot", "secret"), slipway.NotFound, "")
	wantKind(t, set(a.Oli, "team/airflow", "robot", "secret"), slipway.Invalid, "no registry")
	wantKind(t, set(a.Oli, "quay.io", "robot", ""), slipway.Invalid, "a password")
	for _, password := range []string{"first", "secret"} {
		if err := set(a.Oli, "https://Quay.io/", "robot", password); err != nil {
			t.Fatal(err)
		}
	}
	login := func(of slipway.WorkspaceID, name string) image.Login {
		d := a.Sales
		d.Workspace = of
		l, err := a.Engine.Login(t.Context(), d, name)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if got := login(a.Workspace.ID, "quay.io/team/airflow"); got != (image.Login{User: "robot", Password: "secret"}) {
		t.Errorf("login %+v", got)
	}
	for _, got := range []image.Login{login(a.Workspace.ID, "ghcr.io/a/b"), login(a.Workspace.ID, "quay/io"), login(a.Other.ID, "quay.io/team/airflow")} {
		if got != (image.Login{}) {
			t.Errorf("login %+v, want none", got)
		}
	}
	storetest.View(t, a.Store, func(tx *store.Tx) error {
		all, err := tx.RegistryLogins(a.Workspace.ID)
		if len(all) != 1 || bytes.Contains(all[0].Sealed, []byte("secret")) || all[0].Host != "quay.io" {
			t.Errorf("logins %+v", all)
		}
		return err
	})
	// With another key nothing is given away, and people are told.
	if err := os.Remove(filepath.Join(a.Dir, "secret.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.New(t.Context(), a.Dir, a.Store); err != nil {
		t.Fatal(err)
	}
	a.Build(t)
	_, err := a.Engine.Login(t.Context(), a.Sales, "quay.io/team/airflow")
	wantKind(t, err, slipway.Invalid, "Enter them again")
	if err := a.Engine.DropRegistryLogin(t.Context(), a.Workspace.ID, a.Oli, "quay.io"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, a.Engine.DropRegistryLogin(t.Context(), a.Workspace.ID, a.Oli, "quay.io"), slipway.NotFound, "no credentials")
}

func TestImageArchive(t *testing.T) {
	a := applying(t)
	var b bytes.Buffer
	ref, err := name.NewTag("anything:latest")
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.Write(ref, deploytest.Runtime1.Build(t), &b); err != nil {
		t.Fatal(err)
	}
	w, err := a.Engine.Receive(t.Context(), a.Sales.ID, a.Eve, deploy.NewUpload{
		Image: true, Kind: slipway.ImageAndDAG, DAGs: true, Length: int64(b.Len()), Name: "image.tar",
	}, &b)
	if err != nil {
		t.Fatal(err)
	}
	a.Eventually(t, "the image is read", func() bool { return a.Load(t, w.Number).Image != nil })
	if now := a.Load(t, w.Number); now.Status != slipway.Initialized || !now.WantsDAG {
		t.Fatalf("without its DAGs it is %s", now.Status)
	}
	a.AddDAGs(t, w.Number, map[string]string{"b.py": dag("b")})
	w = a.Await(t, w.Number, slipway.Staged)
	if len(a.uploads(t)) != 0 {
		t.Errorf("uploads stay: %v", a.uploads(t))
	}
	a.Confirm(t, w.Number, a.Eve)
	w = a.Await(t, w.Number, slipway.Deployed)
	if w.After.ImageTag != w.Tag || !strings.HasPrefix(w.Tag, "deploy-20") || w.After.Version != w.Version {
		t.Errorf("tag %q, after %+v", w.Tag, w.After)
	}
	a.WantMounted(t, map[string]string{"b.py": dag("b")})
	if err := a.TryPush(t, w.Tag, deploytest.Runtime2.Build(t)); err == nil {
		t.Error("the tag of a deploy was pushed again")
	}
}

func TestImagePushedForADeploy(t *testing.T) {
	a := applying(t)
	w, other := a.waiting(t, slipway.ImageOnly), a.waiting(t, slipway.ImageOnly)
	if w.Tag == other.Tag || w.Tag == "" {
		t.Errorf("tags %q and %q", w.Tag, other.Tag)
	}
	_, err := a.Engine.Finalize(t.Context(), a.Sales.ID, w.ID, a.Eve, deploy.Finish{})
	wantKind(t, err, slipway.Conflict, "No image has been pushed as portal.test:8888/"+a.Sales.Namespace+"/airflow:"+w.Tag)
	if err := a.TryPush(t, "deploy-2001-01-01T00-00-00", deploytest.Runtime1.Build(t)); err == nil {
		t.Error("a tag of no deploy was pushed")
	}
	digest := a.Push(t, w.Tag, deploytest.Runtime1.Build(t))
	if w, err = a.Engine.Finalize(t.Context(), a.Sales.ID, w.ID, a.Eve, deploy.Finish{}); err != nil {
		t.Fatal(err)
	}
	w = a.Await(t, w.Number, slipway.Deployed)
	if w.After.Image != digest || w.After.ImageTag != w.Tag {
		t.Errorf("after %+v", w.After)
	}
	if err := a.TryPush(t, w.Tag, deploytest.Runtime2.Build(t)); err == nil {
		t.Error("the tag of a deploy was pushed again")
	}
}

func TestProjectOfTheAPI(t *testing.T) {
	for name, tt := range map[string]struct {
		dags, on bool
		needs    bool // an image deploy, afterwards
		mounted  map[string]string
	}{
		"with DAGs":              {dags: true, on: true, mounted: map[string]string{"new.py": dag("new")}},
		"without DAGs":           {on: true, needs: true},
		"the image carries them": {},
	} {
		t.Run(name, func(t *testing.T) {
			a := applying(t)
			old := a.Deployed(t, slipway.ReplaceAll, map[string]string{"old.py": dag("old")})
			a.turn(t, false)
			if tt.on {
				a.DeployedImage(t, slipway.ImageAndDAG, "0", deploytest.Runtime1)
				a.turn(t, true)
			}
			w := a.waiting(t, slipway.ImageAndDAG)
			a.Push(t, w.Tag, deploytest.Runtime2.Build(t))
			f := deploy.Finish{}
			if tt.on {
				if _, err := a.Engine.BeginBlocks(t.Context(), a.Sales.ID, a.Eve, deploy.NewUpload{To: w.Number, Name: "dags", Merge: slipway.ReplaceAll}); err != nil {
					t.Fatal(err)
				}
			}
			if tt.dags {
				if _, err := a.Engine.PutBlob(t.Context(), w.ID, bytes.NewReader(storetest.Archive(t, map[string]string{"new.py": dag("new")})), nil); err != nil {
					t.Fatal(err)
				}
				f.Version = w.Version
			}
			if _, err := a.Engine.Finalize(t.Context(), a.Sales.ID, w.ID, a.Eve, f); err != nil {
				t.Fatal(err)
			}
			w = a.Await(t, w.Number, slipway.Deployed)
			d := a.sales(t)
			if d.NeedsImage != tt.needs || d.Runtime != "3.1-5" || d.Mounted != (tt.mounted != nil) {
				t.Errorf("state %+v", d.State)
			}
			if want := map[bool]slipway.Version{true: w.Version, false: old.Version}[tt.dags]; d.Version != want {
				t.Errorf("version %s, want %s", d.Version, want)
			}
			if tt.mounted != nil {
				a.WantMounted(t, tt.mounted)
			} else if a.Current(t) != "image" {
				t.Errorf("current is %s", a.Current(t))
			}
			if len(a.uploads(t)) != 0 {
				t.Errorf("uploads stay: %v", a.uploads(t))
			}
		})
	}
}

// waiting returns an open deploy of the API.
func TestDAGsThatAreUnderWay(t *testing.T) {
	a := applying(t)
	n := deploy.NewUpload{To: a.waiting(t, slipway.ImageAndDAG).Number, Length: 3, Name: "x", Merge: slipway.ReplaceAll}
	if _, _, err := a.Engine.BeginUpload(t.Context(), a.Sales.ID, a.Eve, n); err != nil {
		t.Fatal(err)
	}
	_, _, err := a.Engine.BeginUpload(t.Context(), a.Sales.ID, a.Eve, n)
	wantKind(t, err, slipway.Conflict, "are being uploaded already")
}

func (a *app) waiting(t *testing.T, kind slipway.DeployKind) slipway.Deploy {
	t.Helper()
	w, err := a.Engine.CreateImage(t.Context(), a.Sales.ID, a.Eve, deploy.NewImage{Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (a *app) turn(t *testing.T, on bool) {
	t.Helper()
	if _, err := a.Engine.Switch(t.Context(), a.Sales.ID, on, a.Ada, true); err != nil {
		t.Fatal(err)
	}
}

// TestImageArchiveOnceMore: a crash came when the image was in the registry, and
// the record was not.
func TestImageArchiveOnceMore(t *testing.T) {
	a := unstarted(t)
	var b bytes.Buffer
	ref, err := name.NewTag("anything:latest")
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.Write(ref, deploytest.Runtime1.Build(t), &b); err != nil {
		t.Fatal(err)
	}
	archive := bytes.NewReader(bytes.Clone(b.Bytes()))
	w, err := a.Engine.Receive(t.Context(), a.Sales.ID, a.Eve, deploy.NewUpload{Image: true, Kind: slipway.ImageOnly, Length: int64(b.Len()), Name: "image.tar"}, &b)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := a.Engine.Images().Import(t.Context(), deploy.Repository(a.Sales), w.Tag, archive, archive.Size(), slipway.DefaultPlatform)
	if err != nil {
		t.Fatal(err)
	}
	a.Build(t, a.Change...)
	a.Run(t)
	w = a.Await(t, w.Number, slipway.Staged)
	if w.Image.Digest != stored.Digest {
		t.Errorf("image %s, want %s", w.Image.Digest, stored.Digest)
	}
	if _, err := a.Engine.Cancel(t.Context(), a.Sales.ID, w.Number, a.Eve); err != nil {
		t.Fatal(err)
	}
}
