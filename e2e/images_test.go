package e2e

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/playwright-community/playwright-go"
)

// TestImageDeploys: an image that was pushed, one that another registry has and
// one from an archive; DAG files stay through all of them but the last, which
// brings its own; and the way back to each. With and without JavaScript.
func TestImageDeploys(t *testing.T) {
	t.Parallel()
	for name, noScript := range map[string]bool{"with scripts": false, "without scripts": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newImagePortal(t)
			page := open(t, p.portal, options{noScript: noScript})
			signIn(t, page, "ada")
			useCompose(t, page, p)
			visit(t, page, p.deployment)
			upload(t, page, firstFiles.archive(t, "project.tar.gz"))
			deployDAGs(t, page) // #1
			mounted := p.mount().target(t)

			pushed := imageOf(t, "3.1-4", nil)
			chooseKind(t, page, p, "Image")
			see(t, page, "No image has been pushed yet.")
			p.push(t, "1.0", pushed)
			waitFor(t, page, page.GetByTestId("pushed").Filter(playwright.LocatorFilterOptions{HasText: "airflow:1.0"}))
			check(t, page, "Check the image")
			see(t, page, "DAG files and bundle version stay exactly as they are.")
			see(t, page, "linux/amd64")
			confirm(t, page, "Deploy image") // #2
			see(t, page, "<b>applying</b> ")
			p.runs(t, digestOf(t, pushed), "3.1-4")

			other := imageOf(t, "3.1-5", nil)
			chooseKind(t, page, p, "Image")
			choose(t, page, "Another registry has it")
			fill(t, page, "Reference", p.open.push(t, "team/airflow:1.1", other))
			check(t, page, "Check the image")
			see(t, page, "1 shared")
			ok(t, expect.Locator(page.GetByTestId("image")).ToContainText("3.1-4"))
			ok(t, expect.Locator(page.GetByTestId("image")).ToContainText("3.1-5"))
			confirm(t, page, "Deploy image") // #3
			p.runs(t, digestOf(t, other), "3.1-5")
			p.mount().holds(t, firstFiles)
			if now := p.mount().target(t); now != mounted {
				t.Errorf("two images later %s is mounted, want %s as before", now, mounted)
			}

			changed := maps.Clone(firstFiles)
			changed["hello.py"] += "# with the image\n"
			saved := imageOf(t, "3.1-6", nil)
			chooseKind(t, page, p, "Image and DAGs")
			see(t, page, "#1, Ada Lovelace")
			choose(t, page, "I upload an archive of it")
			ok(t, page.Locator("input[name=image]").SetInputFiles(savedImage(t, saved)))
			ok(t, page.Locator("input[name=files]").SetInputFiles(changed.archive(t, "project.tar.gz")))
			check(t, page, "Check image and DAGs")
			see(t, page, "Replaces the DAGs of #1, Ada Lovelace.")
			see(t, page, "hello.py")
			confirm(t, page, "Deploy image and DAGs") // #4
			if env := p.imageEnv(t); !strings.Contains(env, "RUNTIME_VERSION=3.1-6\n") {
				t.Errorf("image.env is %q", env)
			}
			p.mount().holds(t, changed)
			follow(t, page, "Whole log") // it downloads
			ok(t, page.GetByText("Log", playwright.PageGetByTextOptions{Exact: playwright.Bool(true)}).WaitFor())

			for _, tt := range []struct {
				to      string
				runtime string
				dags    tree
			}{{"2", "3.1-4", firstFiles}, {"4", "3.1-6", changed}, {"1", "3.1-6", firstFiles}, {"3", "3.1-5", firstFiles}} {
				visit(t, page, p.deployment+"/deploys/"+tt.to+"/return")
				agree(t, page, "Return to #"+tt.to)
				deployed(t, page)
				p.mount().holds(t, tt.dags)
				if env := p.imageEnv(t); !strings.Contains(env, "RUNTIME_VERSION="+tt.runtime+"\n") {
					t.Errorf("after the return to #%s image.env is %q", tt.to, env)
				}
			}
		})
	}
}

// TestImagesAreRefused: each wrong image ends in a sentence that helps, and
// changes nothing.
func TestImagesAreRefused(t *testing.T) {
	t.Parallel()
	p := newImagePortal(t)
	page := open(t, p.portal, options{})
	signIn(t, page, "ada")
	useCompose(t, page, p)
	deployRef(t, page, p, p.open.push(t, "team/airflow:new", imageOf(t, "3.1-4", nil)))
	confirm(t, page, "Deploy image")
	before := p.imageEnv(t)

	arm := platformImage(t, "arm64", nil, nil)
	secret := p.shut.push(t, "team/airflow:1", imageOf(t, "3.1-5", nil))
	for ref, want := range map[string]string{
		p.open.push(t, "team/airflow:old", imageOf(t, "3.1-2", nil)): "Cannot deploy a downgraded Astro Runtime version.",
		p.open.push(t, "team/airflow:arm", arm):                      "This image offers linux/arm64 only; this Deployment needs linux/amd64.",
		nobody + "/team/airflow:1":                                   "could not be reached",
		p.open.host + "/team/airflow:none":                           "There is no tag none in",
		"127.0.0.1:2/team/airflow:1":                                 "Images are never fetched from there.",
		"airflow:none":                                               "There is no image airflow:none in this Deployment's part of the registry",
		secret:                                                       "Give its user and password in the Workspace's registry credentials.",
	} {
		deployRef(t, page, p, ref)
		waitFor(t, page, page.GetByText(want).First())
	}
	for _, tt := range []struct{ password, want string }{
		{"wrong", "refused the user \"robot\" and its password"},
		{"s3cret", "What this deploy will do"},
	} {
		follow(t, page, "Registries")
		fill(t, page, "Registry", p.shut.host)
		fill(t, page, "User", "robot")
		fill(t, page, "Password or token", tt.password)
		press(t, page, "Save the credentials")
		see(t, page, "are saved.")
		if text, err := page.Content(); err != nil || strings.Contains(text, tt.password+`"`) {
			t.Errorf("the password is on the page, or %v", err)
		}
		deployRef(t, page, p, secret)
		waitFor(t, page, page.GetByText(tt.want).First())
	}
	if now := p.imageEnv(t); now != before {
		t.Errorf("image.env is %q, want %q as before", now, before)
	}
	follow(t, page, "Registries")
	press(t, page, "Remove the credentials for "+p.shut.host)
	see(t, page, "No credentials yet")

	odd := p.open.push(t, "team/nginx:1", imageOf(t, "", nil))
	deployRef(t, page, p, odd)
	waitFor(t, page, page.GetByText("Nothing says that this is an image of Airflow"))
	ok(t, page.Locator("#review").GetByRole("checkbox").Check())
	confirm(t, page, "Deploy image")
}

// useCompose has the Deployment's images applied by the command of the
// configuration.
func useCompose(t *testing.T, page person, p *imagePortal) {
	t.Helper()
	visit(t, page, p.deployment+"/settings/images")
	_, err := page.Locator("select[name=command]").SelectOption(playwright.SelectOptionValues{Values: playwright.StringSlice("compose")})
	ok(t, err)
	press(t, page, "Save Apply command")
	see(t, page, "This machine runs compose to apply images.")
}

// chooseKind opens the form for a kind of deploy.
func chooseKind(t *testing.T, page person, p *imagePortal, kind string) {
	t.Helper()
	visit(t, page, p.deployment)
	follow(t, page, kind)
	ok(t, expect.Locator(page.Locator("#new-deploy a[aria-current]")).ToHaveText(kind))
}

func choose(t *testing.T, page person, label string) {
	t.Helper()
	ok(t, page.GetByLabel(label).Check())
}

// deployRef asks for a deploy of an image that a reference names.
func deployRef(t *testing.T, page person, p *imagePortal, ref string) {
	t.Helper()
	chooseKind(t, page, p, "Image")
	choose(t, page, "Another registry has it")
	fill(t, page, "Reference", ref)
	press(t, page, "Check the image")
}

// check sends the form, and waits for what the deploy will do.
func check(t *testing.T, page person, button string) {
	t.Helper()
	press(t, page, button)
	arrive(t, page, `/deploys/[^/]+$`)
	waitFor(t, page, page.GetByRole("heading", playwright.PageGetByRoleOptions{Name: "What this deploy will do"}))
}

// confirm confirms a deploy once it is checked, and waits until it is live.
func confirm(t *testing.T, page person, button string) {
	t.Helper()
	waitFor(t, page, page.GetByRole("button", playwright.PageGetByRoleOptions{Name: button, Exact: playwright.Bool(true)}))
	press(t, page, button)
	deployed(t, page)
}

// runs compares what Airflow on this machine is told to run.
func (p *imagePortal) runs(t *testing.T, digest, runtime string) {
	t.Helper()
	env := p.imageEnv(t)
	if !strings.Contains(env, "@"+digest+"\n") || !strings.Contains(env, "RUNTIME_VERSION="+runtime+"\n") {
		t.Errorf("image.env is %q, want %s with Runtime %s", env, digest, runtime)
	}
}

// TestPushesShowUp: the form lists a push by itself, and a choice that was made
// stays what it was, even when its tag is pushed anew.
func TestPushesShowUp(t *testing.T) {
	t.Parallel()
	p := newImagePortal(t)
	page := open(t, p.portal, options{})
	signIn(t, page, "ada")
	chooseKind(t, page, p, "Image")
	rows := page.GetByTestId("pushed")
	first := imageOf(t, "3.1-1", nil)
	for n, img := range []v1.Image{first, imageOf(t, "3.1-2", nil)} {
		p.push(t, fmt.Sprintf("1.%d", n), img)
		waitFor(t, page, rows.Nth(n))
	}
	choose(t, page, "airflow:1.0")
	fill(t, page, "Description (optional)", "typed before the third push")
	p.push(t, "1.1", imageOf(t, "3.1-3", nil))
	p.push(t, "1.2", imageOf(t, "3.1-4", nil))
	waitFor(t, page, rows.Filter(playwright.LocatorFilterOptions{HasText: "airflow:1.2"}))
	ok(t, expect.Locator(rows).ToHaveCount(3))
	ok(t, expect.Locator(page.GetByLabel("airflow:1.0")).ToBeChecked())
	check(t, page, "Check the image")
	see(t, page, "typed before the third push")
	see(t, page, digestOf(t, first)[len("sha256:"):][:12])
}
