package deploy_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/internal/bundle"
	"slipway/internal/deploy"
	"slipway/internal/deploy/deploytest"
	"slipway/internal/slipway"
	"slipway/store/storetest"
)

const (
	assetFile = "from airflow.sdk import Asset\n"
	pointer   = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
)

// packed is a zip archive with one DAG.
func packed(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("dag.py")
	if err == nil {
		_, err = w.Write([]byte(dag("packed")))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The guard names each file that Airflow loads now, and would not load after a
// deploy.
func TestGuard(t *testing.T) {
	a := running(t)
	base := map[string]string{
		"a.py": dag("a"), "b.py": dag("b"), "asset.py": assetFile, "pack.zip": packed(t), "lib/x.py": "x = 1", "link.py": "-> lib/dag.py", "lib/dag.py": dag("lib"),
		".airflowignore": "ignored.py\n", "ignored.py": dag("ignored"),
	}
	a.Deployed(t, slipway.ReplaceAll, base)
	for name, tt := range map[string]struct {
		change  map[string]string // "" removes a file, for all but "empty"
		add     bool
		warning string
		ticks   slipway.Ticks
	}{
		"nothing":              {},
		"a pack":               {change: map[string]string{"pack.zip": ""}, warning: "It removes the DAG file pack.zip.", ticks: slipway.Ticks{RemoveDAGs: true}},
		"assets":               {change: map[string]string{"asset.py": ""}, warning: "It removes the DAG file asset.py.", ticks: slipway.Ticks{RemoveDAGs: true}},
		"an ignored file":      {change: map[string]string{"ignored.py": ""}},
		"a library":            {change: map[string]string{"lib/x.py": ""}},
		"emptied":              {change: map[string]string{"b.py": "empty"}, add: true, warning: "Airflow no longer loads the DAG file b.py: it is empty.", ticks: slipway.Ticks{RemoveDAGs: true}},
		"no DAG any more":      {change: map[string]string{"b.py": "x = 1"}, add: true, warning: "Airflow no longer loads the DAG file b.py: it is no DAG file by its content.", ticks: slipway.Ticks{RemoveDAGs: true}},
		"no zip any more":      {change: map[string]string{"pack.zip": "PK"}, add: true, warning: "Airflow no longer loads the DAG file pack.zip: it is no DAG file by its content.", ticks: slipway.Ticks{RemoveDAGs: true}},
		"a dangling link":      {change: map[string]string{"b.py": "-> nothing.py"}, add: true, warning: "Airflow no longer loads the DAG file b.py: it is a link to nothing.", ticks: slipway.Ticks{RemoveDAGs: true}},
		"the target of a link": {change: map[string]string{"lib/dag.py": ""}, warning: "It removes the DAG file lib/dag.py. Airflow no longer loads the DAG file link.py: it is a link to nothing.", ticks: slipway.Ticks{RemoveDAGs: true}},
		"ignored now":          {change: map[string]string{".airflowignore": "ignored.py\nb.*\n"}, add: true, warning: "Airflow no longer loads the DAG file b.py: it is named by .airflowignore.", ticks: slipway.Ticks{RemoveDAGs: true}},
		"ignored in a folder":  {change: map[string]string{"lib/.airflowignore": "*"}, add: true, warning: "Airflow no longer loads the DAG file lib/dag.py: it is named by .airflowignore.", ticks: slipway.Ticks{RemoveDAGs: true}},
		"all ignored": {
			change: map[string]string{".airflowignore": "*"}, add: true, ticks: slipway.Ticks{Name: "sales-prod"},
			warning: "Airflow no longer loads 6 DAG files: a.py (named by .airflowignore), asset.py (named by .airflowignore), b.py (named by .airflowignore), lib/dag.py (named by .airflowignore), link.py (named by .airflowignore), pack.zip (named by .airflowignore). It leaves Airflow without a single DAG file.",
		},
		"ignored no more": {change: map[string]string{".airflowignore": ""}},
		"a pointer": {
			change: map[string]string{"b.py": pointer}, add: true, ticks: slipway.Ticks{RemoveDAGs: true, Pointers: true},
			warning: `Airflow no longer loads the DAG file b.py: it is a Git LFS pointer. The file b.py is a Git LFS pointer, not the file itself: run "git lfs pull" before packing.`,
		},
		"a pointer in place of data": {
			change: map[string]string{"data.bin": pointer}, add: true, ticks: slipway.Ticks{Pointers: true},
			warning: `The file data.bin is a Git LFS pointer, not the file itself: run "git lfs pull" before packing.`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			merge, files := slipway.AddFiles, map[string]string{}
			if !tt.add {
				merge, files = slipway.ReplaceAll, maps.Clone(base)
			}
			for path, text := range tt.change {
				switch files[path] = text; text {
				case "":
					delete(files, path)
				case "empty":
					files[path] = ""
				}
			}
			w := a.Staged(t, a.Eve, merge, files)
			r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
			if err != nil || r.Plan.Warning() != tt.warning || r.Plan.Ticks() != tt.ticks {
				t.Errorf("%q, ticks %+v, %v; want %q, %+v", r.Plan.Warning(), r.Plan.Ticks(), err, tt.warning, tt.ticks)
			}
		})
	}
}

// Bidirectional controls need a tick where a deploy adds or changes lines with them,
// and not where they were before.
func TestTrojanSource(t *testing.T) {
	a := running(t)
	base := map[string]string{"a.py": dag("a"), "b.py": dag("b"), "old.py": dag("old") + "x = '\u202e'\ny = 1\n"}
	first := a.Staged(t, a.Eve, slipway.ReplaceAll, base)
	if r, err := a.Engine.Review(t.Context(), a.Sales.ID, first.Number, a.Eve); err != nil || !slices.Equal(r.Plan.Bidi, []string{"old.py"}) {
		t.Fatalf("added: %q, %v", r.Plan.Bidi, err)
	}
	a.Confirm(t, first.Number, a.Eve)
	a.Await(t, first.Number, slipway.Deployed)
	for name, tt := range map[string]struct {
		path, text string
		want       string
	}{
		"none":                    {"a.py", dag("a2"), ""},
		"an override":             {"a.py", dag("a") + "x = '\u202e'\n", "a.py"},
		"an isolate":              {"a.py", dag("a") + "# \u2066\n", "a.py"},
		"another line":            {"old.py", dag("old") + "x = '\u202e'\ny = 2\n", ""},
		"the same line":           {"old.py", dag("old") + "x = '\u202e '\ny = 1\n", "old.py"},
		"one more":                {"old.py", dag("old") + "x = '\u202e'\ny = 1\nz = '\u202d'\n", "old.py"},
		"gone":                    {"old.py", dag("old"), ""},
		"Arabic without controls": {"a.py", dag("مرحبا"), ""},
	} {
		w := a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{tt.path: tt.text})
		r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
		if err != nil || strings.Join(r.Plan.Bidi, " ") != tt.want || r.Plan.Ticks().Bidi != (tt.want != "") {
			t.Errorf("%s: %q, %v, want %q", name, r.Plan.Bidi, err, tt.want)
		}
	}
}

// With an image of Airflow 2, assets are no DAG files, and .airflowignore has regular
// expressions; the way to Airflow 3 names the files that it stops.
func TestGuardOfAirflow2(t *testing.T) {
	a := &app{deploytest.RunningWithImages(t)}
	a.DeployedImage(t, slipway.ImageOnly, "old", deploytest.Image{Runtime: "12.7.1"})
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a"), "b.py": dag("b"), "asset.py": assetFile, ".airflowignore": "^b"})
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"assets removed":  {map[string]string{"a.py": dag("a"), "b.py": dag("b"), ".airflowignore": "^b"}, ""},
		"ignored removed": {map[string]string{"a.py": dag("a")}, ""},
		"glob":            {map[string]string{"a.py": dag("a"), ".airflowignore": "a.p?"}, "Airflow no longer loads the DAG file a.py: it is named by .airflowignore. It leaves Airflow without a single DAG file."},
	} {
		w := a.Staged(t, a.Eve, slipway.ReplaceAll, tt.files)
		r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
		if err != nil || r.Plan.Warning() != tt.want {
			t.Errorf("%s: %q, %v, want %q", name, r.Plan.Warning(), err, tt.want)
		}
	}
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a"), ".airflowignore": "*.py"})
	a.Push(t, "new", deploytest.Runtime1.Build(t))
	w := a.StagedImage(t, slipway.ImageOnly, "new")
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
	if want := "Airflow no longer loads the DAG file a.py: it is named by .airflowignore."; err != nil || r.Plan.Warning() != want {
		t.Errorf("an image of Airflow 3: %q, %v, want %q", r.Plan.Warning(), err, want)
	}
}

// forget takes from a manifest the marks that releases before the numbered rules did
// not set, as if version v were from such a release, and starts the engine anew.
func (a *app) forget(t *testing.T, v slipway.Version) {
	t.Helper()
	m, err := a.Bundles.Manifest(a.Sales.Namespace, v)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Files {
		f := &m.Files[i]
		f.DAG = f.DAG && strings.HasSuffix(f.Path, ".py")
		f.Asset, f.LFS, f.Bidi, f.Marks = false, false, false, 0
	}
	var b bytes.Buffer
	if err := bundle.WriteManifest(&b, m); err != nil {
		t.Fatal(err)
	}
	a.Stop()
	name := a.Manifest(v)
	if err := errors.Join(os.Remove(name), os.WriteFile(name, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	a.Build(t)
	a.Run(t)
}

// Versions of releases that did not mark zip archives and assets are looked at: the
// guard neither keeps silent about such files, nor warns of those that stay.
func TestMarksOfAnOlderRelease(t *testing.T) {
	a := running(t)
	large := "# " + strings.Repeat("x", 300<<10) + "\n" + assetFile
	files := map[string]string{
		"a.py": dag("a"), "asset.py": assetFile, "large.py": large, "pack.zip": packed(t), "lib/x.py": "x = 1", "link.py": "-> asset.py",
		"old.py": "x = '\u202e'\ny = 1\n", "data.bin": pointer, "no.zip": "PK",
	}
	first := a.Deployed(t, slipway.ReplaceAll, files)
	a.forget(t, first.Version)
	warn := func(what string, w slipway.Deploy, want string) {
		t.Helper()
		r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
		if err != nil || r.Plan.Warning() != want {
			t.Errorf("%s: %q, %v, want %q", what, r.Plan.Warning(), err, want)
		}
	}
	warn("the same", a.Staged(t, a.Eve, slipway.ReplaceAll, files), "")
	warn("one more", a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{"b.py": dag("b")}), "")
	warn("a.py alone", a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("a")}), "It removes 4 DAG files: asset.py, large.py, link.py, pack.zip.")
	warn("emptied", a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{"asset.py": ""}),
		"Airflow no longer loads 2 DAG files: asset.py (empty), link.py (empty).")
	warn("another line of old.py", a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{"old.py": "x = '\u202e'\ny = 2\n"}), "")
	if got, err := a.Engine.Loaded(t.Context(), a.sales(t), first.Version); err != nil || strings.Join(got, " ") != "a.py asset.py large.py link.py pack.zip" {
		t.Errorf("the version shows %q, %v", got, err)
	}

	a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a"), "pack.zip": files["pack.zip"], "asset.py": assetFile, "old.py": "y = 1\n"})
	want := "The file data.bin is a Git LFS pointer, not the file itself: run \"git lfs pull\" before packing. Changed lines hold bidirectional controls, which can make code look like other code: old.py."
	r, err := a.Engine.ReviewReturn(t.Context(), a.Sales.ID, first.Number, a.Eve)
	if err != nil || r.Plan.Warning() != want {
		t.Errorf("the way back: %q, %v, want %q", r.Plan.Warning(), err, want)
	}

	assets := a.Deployed(t, slipway.ReplaceAll, map[string]string{"asset.py": assetFile, "lib/x.py": "x = 1"})
	a.forget(t, assets.Version)
	warn("assets alone, added to", a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{"lib/x.py": "x = 2"}), "")
	if err := os.RemoveAll(filepath.Join(a.Dir, "packs")); err != nil {
		t.Fatal(err)
	}
	warn("looked at once", a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{"lib/y.py": "y = 2"}), "")
}

// Patterns that Slipway cannot judge are a warning with a tick of its own where files
// change. They bar neither an image nor the way back.
func TestPatternsThatCannotBeJudged(t *testing.T) {
	a := running(t)
	const warning = "Slipway cannot tell which DAG files Airflow stops loading. The patterns in .airflowignore are too many, or too complicated, for so many files."
	many := map[string]string{"a.py": dag("a"), ".airflowignore": strings.Repeat("x*\n", 2_100)}
	review := func(number int, warning string) {
		t.Helper()
		r, err := a.Engine.Review(t.Context(), a.Sales.ID, number, a.Eve)
		if err != nil || r.Refusal != nil || r.Plan.Warning() != warning || r.Plan.Ticks() != (slipway.Ticks{Unjudged: warning != ""}) {
			t.Errorf("#%d: %q, ticks %+v, refusal %v, %v; want %q", number, r.Plan.Warning(), r.Plan.Ticks(), r.Refusal, err, warning)
		}
	}
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, many)
	review(w.Number, warning)
	_, err := a.Engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Eve, "", slipway.Ticks{RemoveDAGs: true, NoDAGs: true})
	wantKind(t, err, slipway.Invalid, warning+" Tick that the deploy may go on.")
	a.guard(t)
	_, err = a.Engine.Finalize(t.Context(), a.Sales.ID, w.ID, a.Eve, deploy.Finish{Version: w.Version})
	wantKind(t, err, slipway.Conflict, warning+" Deploys of the API are guarded")
	a.Confirm(t, w.Number, a.Eve)
	a.Await(t, w.Number, slipway.Deployed)

	review(a.Staged(t, a.Eve, slipway.ReplaceAll, many).Number, "")
	review(a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{"b.py": dag("b")}).Number, warning)
	a.Push(t, "new", deploytest.Runtime1.Build(t))
	review(a.StagedImage(t, slipway.ImageOnly, "new").Number, "")

	a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a")})
	r, err := a.Engine.ReviewReturn(t.Context(), a.Sales.ID, w.Number, a.Eve)
	if err != nil || r.Refusal != nil || r.Plan.Warning() != warning {
		t.Errorf("the way back: %q, %v, %v", r.Plan.Warning(), r.Refusal, err)
	}
	a.Await(t, a.Return(t, w.Number), slipway.Deployed)
	a.WantMounted(t, many)
}

// The files of a staged deploy are judged once, and not at each view of the page.
func TestJudgedOnce(t *testing.T) {
	a := running(t)
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("a"), "b.py": dag("b"), ".airflowignore": "a.py\nb.py\n"})
	for _, when := range []string{"first", "without the pack"} {
		r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
		if want := "It leaves Airflow without a single DAG file."; err != nil || r.Plan.Warning() != want {
			t.Errorf("%s: %q, %v, want %q", when, r.Plan.Warning(), err, want)
		}
		if err := os.RemoveAll(filepath.Join(a.Dir, "packs")); err != nil {
			t.Fatal(err)
		}
	}
}

// An empty archive removes all files, after the red tick; a guarded Deployment
// lets such a deploy of the API wait.
func TestDeployOfNothing(t *testing.T) {
	a := running(t)
	first := a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a"), "b/c.txt": "c"})
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, nil)
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
	if want := (slipway.Ticks{RemoveDAGs: true, NoDAGs: true}); err != nil || r.Plan.Ticks() != want {
		t.Fatalf("ticks %+v, %v, want %+v", r.Plan.Ticks(), err, want)
	}
	_, err = a.Engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Eve, r.Base, slipway.Ticks{RemoveDAGs: true})
	wantKind(t, err, slipway.Invalid, "without a single DAG file")

	a.guard(t)
	_, err = a.Engine.Finalize(t.Context(), a.Sales.ID, w.ID, a.Eve, deploy.Finish{Version: w.Version})
	wantKind(t, err, slipway.Conflict, "It removes the DAG file a.py. It leaves Airflow without a single DAG file. Deploys of the API are guarded")
	if got := a.Load(t, w.Number); got.Status != slipway.Staged {
		t.Fatalf("guarded, it is %s", got.Status)
	}
	a.Confirm(t, w.Number, a.Eve)
	a.Await(t, w.Number, slipway.Deployed)
	a.WantMounted(t, map[string]string{})

	a.Await(t, a.Return(t, first.Number), slipway.Deployed)
	a.WantMounted(t, map[string]string{"a.py": dag("a"), "b/c.txt": "c"})

	added := a.Upload(t, a.Eve, slipway.AddFiles, storetest.Archive(t, nil))
	if got := a.Await(t, added.Number, slipway.Failed); got.Reason != "The archive holds no file to deploy. To remove all files, replace everything." {
		t.Errorf("nothing added: %q", got.Reason)
	}
}
