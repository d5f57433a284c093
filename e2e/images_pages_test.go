package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestImagePagesInEveryLook opens each page that is about images wide and
// narrow, light and dark, with names as long as they may be.
func TestImagePagesInEveryLook(t *testing.T) {
	t.Parallel()
	p := newImagePortal(t)
	paths := imagePages(t, p)
	for name, look := range looks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := open(t, p.portal, look)
			signIn(t, page, "ada")
			for what, path := range paths {
				visit(t, page, path)
				inspect(t, page, "image-"+what, name)
			}
		})
	}
}

// imagePages makes a bit of everything, and returns the paths of its pages.
func imagePages(t *testing.T, p *imagePortal) map[string]string {
	t.Helper()
	page := open(t, p.portal, options{})
	signIn(t, page, "ada")
	paths := emptyPages(t, page, p)
	useCompose(t, page, p)
	visit(t, page, p.deployment)
	upload(t, page, firstFiles.archive(t, "project.tar.gz"))
	deployDAGs(t, page) // #1
	long := strings.Repeat("a-very-long-name-", 6)
	for n := range 3 {
		p.push(t, fmt.Sprintf("%s%d", long, n), imageOf(t, fmt.Sprintf("3.1-%d", n+1), firstFiles))
	}
	chooseKind(t, page, p, "Image and DAGs")
	choose(t, page, "airflow:"+long+"1")
	changed := tree{"hello.py": "from airflow import DAG\n# changed\n", strings.Repeat("a_long_name_", 12) + ".py": "from airflow import DAG\n"}
	ok(t, page.Locator("input[name=files]").SetInputFiles(changed.archive(t, "project.tar.gz")))
	ok(t, page.GetByLabel("Add or change only these files").Check())
	check(t, page, "Check image and DAGs")
	confirm(t, page, "Deploy image and DAGs") // #2
	deployRef(t, page, p, p.open.push(t, "team/"+strings.Trim(long, "-")+"/airflow:"+long, imageOf(t, "", nil)))
	waitFor(t, page, page.GetByText("Nothing says that this is an image of Airflow")) // #3
	deployRef(t, page, p, p.open.push(t, "team/airflow:old", imageOf(t, "3.1-1", nil)))
	waitFor(t, page, page.GetByText("Cannot deploy a downgraded Astro Runtime version.")) // #4
	chooseKind(t, page, p, "Image")
	p.breaks(t)
	choose(t, page, "airflow:"+long+"2")
	check(t, page, "Check the image")
	fails(t, page, "Deploy image") // #5
	askSwitch(t, page, p, "off")
	doItForMe(t, page, "Prepare the image") // #6
	visit(t, page, p.deployment)
	follow(t, page, "Registries")
	registries := strings.TrimPrefix(page.URL(), p.url)
	fill(t, page, "Registry", strings.Repeat("registry.", 15)+"example.com")
	fill(t, page, "User", long)
	fill(t, page, "Password or token", "x")
	press(t, page, "Save the credentials")
	see(t, page, "are saved.")
	for what, path := range map[string]string{
		"form": "?kind=IMAGE_ONLY", "form-both": "?kind=IMAGE_AND_DAG", "history": "/deploys", "deployed": "/deploys/2", "staged": "/deploys/3",
		"refused": "/deploys/4", "failed": "/deploys/5", "switch-staged": "/deploys/6", "switch": "/switch?to=off", "settings": "/settings/images",
		"return": "/deploys/1/return",
	} {
		paths[what] = p.deployment + path
	}
	paths["registries"] = registries
	paths["deployments"] = strings.TrimSuffix(registries, "/registries")
	return paths
}

// emptyPages are those of a Deployment to which nothing was deployed.
func emptyPages(t *testing.T, page person, p *imagePortal) map[string]string {
	t.Helper()
	follow(t, page, "New Deployment")
	fill(t, page, "Name", strings.Repeat("a-very-long-name-", 4))
	press(t, page, "Add Deployment")
	see(t, page, "Deploy its DAGs now.")
	empty := strings.TrimPrefix(page.URL(), p.url)
	return map[string]string{
		"form-empty":      empty + "?kind=IMAGE_ONLY",
		"switch-unsure":   empty + "/switch?to=off",
		"settings-unsure": empty + "/settings/images",
	}
}
