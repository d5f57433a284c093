package web

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
	"slipway/views"
)

// The page offers exactly the kinds that the rule allows.
func TestKindsOffered(t *testing.T) {
	for name, tt := range map[string]struct {
		who    func(*app) slipway.Actor
		change func(*slipway.Deployment)
		path   string
		want   []string
		not    string
	}{
		"author":          {eve, func(*slipway.Deployment) {}, "", []string{`aria-current="true">DAGs</a>`, `>Image</a>`, `>Image and DAGs</a>`}, `name="source"`},
		"image chosen":    {eve, func(*slipway.Deployment) {}, "?kind=IMAGE_ONLY", []string{`name="source"`, "No image has been pushed yet", "docker push", `accept=".tar,.gz,.tgz,.zst`, "compressed with gzip or zstd"}, `name="files"`},
		"both chosen":     {eve, func(*slipway.Deployment) {}, "?kind=IMAGE_AND_DAG", []string{`name="source"`, `name="files"`}, "DAG-only deploys are off"},
		"operators only":  {eve, func(d *slipway.Deployment) { d.ImageRole = slipway.Operator }, "", []string{"needs the Operator role", `>DAGs</a>`}, `>Image</a>`},
		"and named":       {eve, func(d *slipway.Deployment) { d.ImageRole = slipway.Operator }, "?kind=IMAGE_ONLY", []string{"needs the Operator role"}, "data-upload"},
		"switched off":    {eve, func(d *slipway.Deployment) { *d = d.Switched(false) }, "", []string{`aria-current="true">Image and DAGs</a>`, "the image carries the DAGs"}, `name="files"`},
		"no kind at all":  {eve, func(*slipway.Deployment) {}, "?kind=NONE", []string{`aria-current="true">DAGs</a>`}, `name="source"`},
		"member":          {mia, func(*slipway.Deployment) {}, "", []string{"needs the Author role"}, "data-upload"},
		"CI/CD, operator": {oli, func(d *slipway.Deployment) { d.CICDEnforced = true }, "?kind=IMAGE_ONLY", []string{"CI/CD is enforced"}, "data-upload"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			a.alter(t, tt.change)
			w := a.as(t, tt.who(a)).get(a.page(tt.path))
			want(t, w, http.StatusOK, tt.want...)
			if strings.Contains(w.Body.String(), tt.not) {
				t.Errorf("the page has %q", tt.not)
			}
		})
	}
}

// What the form lacks is said above it, and what was typed stays.
func TestImageFormIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		kind   string
		fields []string
		status int
		want   string
	}{
		"no source":     {"IMAGE_ONLY", nil, http.StatusUnprocessableEntity, "Choose where the image comes from."},
		"nothing there": {"IMAGE_ONLY", []string{"source", "pushed"}, http.StatusUnprocessableEntity, "Choose one of the pushed tags, or push an image first."},
		"no reference":  {"IMAGE_ONLY", []string{"source", "reference"}, http.StatusUnprocessableEntity, "Type the reference of an image"},
		"odd reference": {"IMAGE_ONLY", []string{"source", "reference", "ref", "quay.io/a b"}, http.StatusUnprocessableEntity, "is no reference of an image"},
		"foreign":       {"IMAGE_ONLY", []string{"source", "reference", "ref", "other-nova-0001/airflow:1"}, http.StatusNotFound, "in this Deployment&#39;s part of the registry"},
		"no archive":    {"IMAGE_ONLY", []string{"source", "archive"}, http.StatusUnprocessableEntity, "Choose the archive of an image first."},
		"no DAGs":       {"IMAGE_AND_DAG", []string{"source", "reference", "ref", "quay.io/a:1"}, http.StatusUnprocessableEntity, "Choose the DAGs that go with the image"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			b := a.as(t, a.Eve)
			w := b.do(form(t, a.page("/deploys?kind="+tt.kind), nil, append(tt.fields, "description", "Typed.")...))
			want(t, w, tt.status, tt.want, `value="Typed."`, `name="source"`)
			want(t, b.get(a.page("/deploys")), http.StatusOK, "No deploys yet")
		})
	}
}

// DAGs that are refused end the deploy that was made for them and an image.
func TestImageFormWithBadDAGs(t *testing.T) {
	a := newApp(t) // whose engine does not look at the image
	b := a.as(t, a.Eve)
	w := b.do(form(t, a.page("/deploys?kind=IMAGE_AND_DAG"), []sent{{"a.py", dag}},
		"source", "reference", "ref", "quay.io/a:1", "folder_path", "../../etc"))
	want(t, w, http.StatusUnprocessableEntity, `value="../../etc"`)
	if got := a.deploy(t, 1); got.Status != slipway.Cancelled {
		t.Errorf("the deploy is %s", got.Status)
	}
	w = b.do(form(t, a.page("/deploys?kind=IMAGE_AND_DAG"), []sent{{"a.py", dag}}, "source", "reference", "ref", "quay.io/a:1"))
	goesTo(t, w, a.page("/deploys/2"))
	want(t, b.get(a.page("/deploys/2")), http.StatusOK, "The image quay.io/a:1 is being looked at.")
}

func TestImageUploadsByTus(t *testing.T) {
	for name, tt := range map[string]struct {
		meta   []string
		status int
		kind   slipway.DeployKind
		source string
		wants  bool
	}{
		"image":             {[]string{"deploy", "IMAGE_ONLY", "part", "image"}, http.StatusCreated, slipway.ImageOnly, "", false},
		"image, DAGs later": {[]string{"deploy", "IMAGE_AND_DAG", "part", "image", "dags", "yes"}, http.StatusCreated, slipway.ImageAndDAG, "", true},
		"DAGs of a named":   {[]string{"deploy", "IMAGE_AND_DAG", "ref", "quay.io/a:1"}, http.StatusCreated, slipway.ImageAndDAG, "quay.io/a:1", true},
		"odd name":          {[]string{"deploy", "IMAGE_AND_DAG", "ref", "a b"}, http.StatusUnprocessableEntity, "", "", false},
		"no such deploy":    {[]string{"deploy", "IMAGE_AND_DAG", "to", "7"}, http.StatusNotFound, "", "", false},
		"odd deploy":        {[]string{"deploy", "IMAGE_AND_DAG", "to", "x"}, http.StatusUnprocessableEntity, "", "", false},
		"DAGs as image":     {[]string{"deploy", "DAG_ONLY", "part", "image"}, http.StatusUnprocessableEntity, "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			meta := coded(append(tt.meta, "deployment", string(a.Sales.ID), "filename", "airflow.tar", "kind", "archive")...)
			r := tusRequest(http.MethodPost, "/uploads", "", "Upload-Length", "10", "Upload-Metadata", meta)
			w := a.as(t, a.Eve).do(r)
			if w.Code != tt.status {
				t.Fatalf("answer %d: %s", w.Code, w.Body)
			}
			if tt.status != http.StatusCreated {
				return
			}
			if got := a.deploy(t, 1); got.Kind != tt.kind || got.Source != tt.source || got.WantsDAG != tt.wants {
				t.Errorf("deploy %+v", got)
			}
		})
	}
}

// A password is kept, and shown to nobody.
func TestRegistriesPage(t *testing.T) {
	a := newApp(t)
	b, path := a.as(t, a.Oli), registriesPath(a.Workspace.ID)
	want(t, b.get(path), http.StatusOK, "No credentials yet")
	want(t, b.post(path, "host", `a"><b>.io`, "user", "robot", "password", "s3cret"), http.StatusUnprocessableEntity, "is no registry", `value="robot"`)
	want(t, b.post(path, "host", "not a host", "user", "robot", "password", "s3cret"), http.StatusUnprocessableEntity, "is no registry", `value="robot"`)
	goesTo(t, b.post(path, "host", "quay.io", "user", "robot", "password", "s3cret"), path)
	for who, parts := range map[slipway.Actor][]string{a.Oli: {"quay.io", "robot", "by Oli Operator"}, a.Mia: {"needs the Operator role"}} {
		w := a.as(t, who).get(path)
		want(t, w, http.StatusOK, parts...)
		if strings.Contains(w.Body.String(), "s3cret") || who == a.Mia && strings.Contains(w.Body.String(), "robot") {
			t.Errorf("%s reads:\n%s", who.Name, text(w))
		}
	}
	goesTo(t, b.post(path+"/remove", "host", "quay.io"), path)
	want(t, b.get(path), http.StatusOK, "The credentials for quay.io are removed.", "No credentials yet")
	if got := a.events(t, a.Workspace.ID); len(got) < 2 || got[0] != "registry.drop quay.io" || got[1] != "registry.set quay.io" {
		t.Errorf("audit trail %v", got)
	}
}

// A rollout's output comes from elsewhere: it is shown escaped and bounded.
func TestDeployLog(t *testing.T) {
	a := newApp(t)
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		w, err := tx.AddDeploy(slipway.Deploy{Deployment: a.Sales.ID, Kind: slipway.ImageOnly, Status: slipway.Failed, Reason: "No.", By: a.Eve})
		if err != nil {
			return err
		}
		var lines []string
		for n := range 1500 {
			lines = append(lines, fmt.Sprintf("<b>line %d</b>", n+1))
		}
		return tx.AddLog(w.ID, lines)
	})
	b := a.as(t, a.Mia)
	page := b.get(a.page("/deploys/1"))
	want(t, page, http.StatusOK, "1,200 lines before these.", "&lt;b&gt;line 1201&lt;/b&gt;", "&lt;b&gt;line 1500&lt;/b&gt;")
	if got := page.Body.String(); strings.Contains(got, "line 1200&lt;") || strings.Contains(got, "<b>line") {
		t.Error("the page shows more of the log, or markup of it")
	}
	whole := b.get(a.page("/deploys/1/log"))
	want(t, whole, http.StatusOK, " <b>line 1</b>\n", " <b>line 1500</b>\n")
	if n := bytes.Count(whole.Body.Bytes(), []byte("\n")); n != 1500 || !strings.HasPrefix(whole.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("%d lines as %q", n, whole.Header().Get("Content-Disposition"))
	}
}

// Who may not register an image is not asked for one, and a wrong one is
// refused above its form.
func TestRegisterImageIsRefused(t *testing.T) {
	a := newApp(t)
	if page := a.as(t, a.Oli).get(a.page("/settings/images")).Body.String(); strings.Contains(page, "Register the image") {
		t.Error("an Operator is asked which image runs")
	}
	b := a.as(t, a.Ada)
	want(t, b.get(a.page("/settings/images")), http.StatusOK, "Register the image")
	want(t, b.post(a.page("/image"), "ref", "airflow"), http.StatusNotFound, "There is no tag airflow in", `value="airflow"`)
	want(t, b.post(a.page("/image"), "ref", "quay.io/a b", "to", "off"), http.StatusUnprocessableEntity, "is no reference", "Turn off DAG-only deploys")
}

// Where nothing can run the image that takes mounted DAGs away, somebody has to
// say that he restarts Airflow himself.
func TestNothingRunsTheImage(t *testing.T) {
	a := newApp(t)
	a.run(t)
	live := a.live(t, a.Eve, map[string]string{"a.py": "from airflow import DAG\n"})
	i := slipway.Image{Name: "quay.io/a", Digest: "sha256:" + strings.Repeat("a", 64), Airflow: "3.1.0", Platform: slipway.DefaultPlatform}
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		d, err := tx.LoadDeployment(a.Sales.ID)
		if err != nil {
			return err
		}
		if err := tx.SaveState(d.Switched(false)); err != nil {
			return err
		}
		w, err := tx.AddDeploy(slipway.Deploy{Deployment: d.ID, Kind: slipway.ImageAndDAG, Status: slipway.Staged, By: a.Eve, Image: &i, After: i.Brought()})
		if err != nil {
			return err
		}
		return tx.SetImageFiles(w.ID, store.ImageFiles{Folder: "/dags", Count: 1, Files: []store.ImageFile{{Path: "b.py", Size: 1}}})
	})
	b := a.as(t, a.Eve)
	want(t, b.get(a.page("/deploys/2")), http.StatusOK, `name="runs_image" value="yes" form="confirm" required`, "Yes, I restart Airflow with this image myself", "its DAGs may be missing.",
		"1 DAG file is not in the image: Airflow loses it", `<button class="btn danger">Deploy image and lose 1 DAG file</button>`, "The Deployment is UNHEALTHY until it is known to run.")
	want(t, b.post(a.page("/deploys/2/confirm"), "base", string(live.Version), "runs_image", "yes"), http.StatusUnprocessableEntity, "removes the DAG file a.py. Tick that it may.")
	refused := b.post(a.page("/deploys/2/confirm"), "base", string(live.Version), "remove_dags", "yes")
	want(t, refused, http.StatusUnprocessableEntity, "Nothing here can run the image: give the Deployment an apply command")
	goesTo(t, b.post(a.page("/deploys/2/confirm"), "base", string(live.Version), "remove_dags", "yes", "runs_image", "yes"), a.page("/deploys/2"))
	a.reaches(t, 2, slipway.Deployed)

	// Until it is known to run, every page says so.
	for _, page := range []string{"", "/deploys", "/deploys/2", "/versions", "/settings/deploys"} {
		want(t, b.get(a.page(page)), http.StatusOK, "It is not known that Airflow runs this image.", i.Ref(), "Airflow runs it now")
	}
	want(t, b.get(a.page("")), http.StatusOK, "UNHEALTHY")
	member := a.as(t, a.Mia)
	if page := member.get(a.page("")).Body.String(); !strings.Contains(page, i.Ref()) || strings.Contains(page, "Airflow runs it now") {
		t.Error("a Member is not told, or may say that it runs")
	}
	want(t, member.post(a.page("/image/runs"), "digest", i.Digest), http.StatusForbidden, "needs the Author role")
	want(t, b.post(a.page("/image/runs"), "digest", "sha256:0"), http.StatusConflict, "Another image is wanted by now.")
	for _, who := range []*browser{b, a.as(t, a.Ada)} { // two people at once
		goesTo(t, who.post(a.page("/image/runs"), "digest", i.Digest), a.page(""))
		want(t, who.get(a.page("")), http.StatusOK, "Airflow runs the image "+views.ShortDigest(i.Digest)+": noted.")
	}
	if page := b.get(a.page("")).Body.String(); strings.Contains(page, "not known that Airflow") || a.deployment(t).ToRun != "" {
		t.Errorf("it is still said, to run is %q", a.deployment(t).ToRun)
	}
}
