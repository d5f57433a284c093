package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"
)

// TestSwitchDoneForMe: Slipway does the follow-up of both switches. A rollout
// that fails in the middle leaves setting, image and DAGs as they were; one that
// ends well leaves every DAG where Airflow finds it. With and without JavaScript.
func TestSwitchDoneForMe(t *testing.T) {
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

			askSwitch(t, page, p, "off")
			see(t, page, "Slipway does not know which image this Deployment runs")
			ok(t, expect.Locator(page.GetByRole("button", playwright.PageGetByRoleOptions{Name: "Prepare the image"})).ToBeDisabled())
			fill(t, page, "Reference of the image that runs", p.open.host+"/team/airflow:none")
			press(t, page, "Register the image")
			see(t, page, "There is no tag none in")
			base := imageOf(t, "3.1-4", tree{"old.py": "from airflow import DAG\n"})
			fill(t, page, "Reference of the image that runs", p.open.push(t, "team/airflow:1", base))
			press(t, page, "Register the image")
			see(t, page, "is registered as what runs today.")

			doItForMe(t, page, "Prepare the image")
			see(t, page, "Turns off DAG-only deploys in the same step.")
			see(t, page, "sales/orders.py") // of the files that the image will hold
			p.breaks(t)
			fails(t, page, "Turn off and deploy image")
			see(t, page, "It said last: no such network.")
			p.runs(t, digestOf(t, base), "3.1-4")
			wantSwitch(t, page, p, "ON")
			if now := p.mount().target(t); now != mounted {
				t.Errorf("mounted is %s, want %s as before", now, mounted)
			}

			askSwitch(t, page, p, "off")
			doItForMe(t, page, "Prepare the image")
			confirm(t, page, "Turn off and deploy image")
			wantSwitch(t, page, p, "OFF")
			if env := p.imageEnv(t); strings.Contains(env, digestOf(t, base)) || !strings.Contains(env, p.namespace+"/airflow@") {
				t.Errorf("image.env is %q, want an image with the DAGs", env)
			}
			if now := p.readsFrom(t); now != "image" {
				t.Errorf("current is %s, want image", now)
			}
			carried := p.imageEnv(t)

			askSwitch(t, page, p, "on")
			doItForMe(t, page, "Prepare the deploy")
			p.breaks(t)
			fails(t, page, "Turn on and deploy")
			wantSwitch(t, page, p, "OFF")
			if now := p.readsFrom(t); now != "image" || p.imageEnv(t) != carried {
				t.Errorf("current is %s and image.env %q, want both as before", now, p.imageEnv(t))
			}

			askSwitch(t, page, p, "on")
			doItForMe(t, page, "Prepare the deploy")
			see(t, page, "nothing changes")
			confirm(t, page, "Turn on and deploy")
			wantSwitch(t, page, p, "ON")
			p.mount().holds(t, firstFiles)
		})
	}
}

// TestSwitchDoneByHand: after the switch the Deployment needs an image deploy,
// and what is mounted stays until it has gone live; it may be switched back
// before. Slipway can still do it afterwards.
func TestSwitchDoneByHand(t *testing.T) {
	t.Parallel()
	p := newImagePortal(t)
	page := open(t, p.portal, options{})
	signIn(t, page, "ada")
	useCompose(t, page, p)
	visit(t, page, p.deployment)
	upload(t, page, firstFiles.archive(t, "project.tar.gz"))
	deployDAGs(t, page) // #1
	mounted := p.mount().target(t)
	stays := func() {
		t.Helper()
		if now := p.mount().target(t); now != mounted {
			t.Errorf("mounted is %s, want %s as before", now, mounted)
		}
	}

	switchByHand(t, page, p, "off")
	see(t, page, "This Deployment needs a deploy of Image and DAGs.")
	follow(t, page, "Switch back")
	press(t, page, "Turn on DAG-only deploys")
	see(t, page, "DAG-only deploys are on.")
	ok(t, expect.Locator(page.GetByText("needs a deploy of Image and DAGs")).ToHaveCount(0))
	stays()

	switchByHand(t, page, p, "off")
	carrying := imageOf(t, "3.1-4", firstFiles)
	p.push(t, "1.0", carrying)
	follow(t, page, "Deploy Image and DAGs")
	p.breaks(t)
	check(t, page, "Check the image")
	see(t, page, "The image carries the DAGs: version")
	fails(t, page, "Deploy image and DAGs")
	stays()
	visit(t, page, p.deployment)
	see(t, page, "This Deployment needs a deploy of Image and DAGs.")
	follow(t, page, "Deploy Image and DAGs")
	check(t, page, "Check the image")
	see(t, page, "4 files in its dags folder")
	confirm(t, page, "Deploy image and DAGs")
	p.runs(t, digestOf(t, carrying), "3.1-4")
	if now := p.readsFrom(t); now != "image" {
		t.Errorf("current is %s, want image", now)
	}
	visit(t, page, p.deployment)
	ok(t, expect.Locator(page.GetByText("needs a deploy of Image and DAGs")).ToHaveCount(0))

	switchByHand(t, page, p, "on")
	changed := maps.Clone(firstFiles)
	changed["new.py"] = "from airflow import DAG\n"
	p.push(t, "2.0", imageOf(t, "3.1-5", nil))
	for _, breaks := range []bool{true, false} {
		visit(t, page, p.deployment)
		follow(t, page, "Deploy Image and DAGs")
		choose(t, page, "airflow:2.0")
		ok(t, page.Locator("input[name=files]").SetInputFiles(changed.archive(t, "project.tar.gz")))
		check(t, page, "Check image and DAGs")
		if !breaks {
			confirm(t, page, "Deploy image and DAGs")
			continue
		}
		p.breaks(t)
		fails(t, page, "Deploy image and DAGs")
		p.runs(t, digestOf(t, carrying), "3.1-4")
		if now := p.readsFrom(t); now != "image" {
			t.Errorf("current is %s, want image", now)
		}
	}
	p.mount().holds(t, changed)

	switchByHand(t, page, p, "off")
	press(t, page, "Do it for me")
	confirm(t, page, "Deploy image and DAGs")
	visit(t, page, p.deployment)
	ok(t, expect.Locator(page.GetByText("needs a deploy of Image and DAGs")).ToHaveCount(0))
	if now := p.readsFrom(t); now != "image" {
		t.Errorf("current is %s, want image", now)
	}
}

// TestSwitchOffRunByHand: nothing rolls the image out that takes the mounted DAGs
// away. What is lost is said before; afterwards every page shows the image, and the
// Deployment is not healthy until one of two people says that Airflow runs it.
func TestSwitchOffRunByHand(t *testing.T) {
	t.Parallel()
	p := newImagePortal(t)
	page := open(t, p.portal, options{noScript: true})
	signIn(t, page, "ada")
	visit(t, page, p.deployment)
	upload(t, page, firstFiles.archive(t, "project.tar.gz"))
	deployDAGs(t, page) // #1

	askSwitch(t, page, p, "off")
	see(t, page, "somebody has to restart Airflow with it")
	see(t, page, "you see which DAG files are not in it")
	choose(t, page, "I have the latest version of the project")
	press(t, page, "Turn off DAG-only deploys")
	carried := maps.Clone(firstFiles)
	delete(carried, "hello.py")
	image := imageOf(t, "3.1-4", carried)
	p.push(t, "1.0", image)
	follow(t, page, "Deploy Image and DAGs")
	check(t, page, "Check the image")
	see(t, page, "1 DAG file is not in the image: Airflow loses it")
	see(t, page, "The Deployment is UNHEALTHY until it is known to run.")
	choose(t, page, "Yes, Airflow may lose 1 DAG file")
	choose(t, page, "Yes, I restart Airflow with this image myself")
	confirm(t, page, "Deploy image and lose 1 DAG file")

	runs := playwright.PageGetByRoleOptions{Name: "Airflow runs it now"}
	for _, path := range []string{"", "/deploys", "/deploys/2", "/versions", "/settings/deploys"} {
		visit(t, page, p.deployment+path)
		ok(t, expect.Locator(page.GetByTestId("image-to-run")).ToContainText("@"+digestOf(t, image)))
		ok(t, expect.Locator(page.GetByRole("button", runs)).ToBeVisible())
	}
	visit(t, page, p.deployment)
	ok(t, expect.Locator(page.Locator("#facts")).ToContainText("UNHEALTHY"))

	ok(t, p.cmd.Process.Signal(os.Interrupt))
	_ = p.cmd.Wait() // it was told to end
	again := start(t, p.data)
	first, second := open(t, again, options{}), open(t, again, options{})
	for _, one := range []person{first, second} {
		signIn(t, one, "ada")
		visit(t, one, p.deployment)
		ok(t, expect.Locator(one.Locator("#facts")).ToContainText("UNHEALTHY"))
		ok(t, expect.Locator(one.GetByRole("button", runs)).ToBeVisible())
	}
	ok(t, second.Route("**/live*", func(r playwright.Route) { _ = r.Abort() })) // this page is not told of it
	visit(t, second, p.deployment)
	press(t, first, "Airflow runs it now")
	press(t, second, "Airflow runs it now")
	for _, one := range []person{first, second} {
		see(t, one, "noted.")
		ok(t, expect.Locator(one.Locator("#facts")).ToContainText("HEALTHY"))
		ok(t, expect.Locator(one.Locator("#facts")).Not().ToContainText("UNHEALTHY"))
		ok(t, expect.Locator(one.GetByTestId("image-to-run")).ToHaveCount(0))
	}
}

// askSwitch opens the confirmation.
func askSwitch(t *testing.T, page person, p *imagePortal, to string) {
	t.Helper()
	visit(t, page, p.deployment+"/switch?to="+to)
}

// doItForMe chooses that Slipway does the follow-up, and waits for what it will
// do.
func doItForMe(t *testing.T, page person, button string) {
	t.Helper()
	choose(t, page, "I have the latest version of the project")
	check(t, page, button)
}

// switchByHand turns the switch, and leaves the follow-up for later.
func switchByHand(t *testing.T, page person, p *imagePortal, to string) {
	t.Helper()
	askSwitch(t, page, p, to)
	choose(t, page, "I have the latest version of the project")
	press(t, page, "Turn "+to+" DAG-only deploys")
	see(t, page, "DAG-only deploys are "+to+".")
}

// fails confirms a deploy, and waits until it has gone back.
func fails(t *testing.T, page person, button string) {
	t.Helper()
	press(t, page, button)
	waitFor(t, page, page.GetByText("FAILED", playwright.PageGetByTextOptions{Exact: playwright.Bool(true)}).First())
	see(t, page, "The apply command compose failed")
}

func wantSwitch(t *testing.T, page person, p *imagePortal, want string) {
	t.Helper()
	visit(t, page, p.deployment+"/settings/deploys")
	ok(t, expect.Locator(page.GetByTestId("switch")).ToHaveText(want))
}

// readsFrom is where current points to.
func (p *imagePortal) readsFrom(t *testing.T) string {
	t.Helper()
	to, err := os.Readlink(filepath.Join(string(p.mount()), "current"))
	ok(t, err)
	return to
}
