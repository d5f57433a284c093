package e2e

import (
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"
)

// clicks counts what a person clicks on a page.
type clicks struct {
	person
	n int
}

func (c *clicks) link(t *testing.T, name string) {
	t.Helper()
	c.n++
	follow(t, c.person, name)
}

func (c *clicks) button(t *testing.T, name string) {
	t.Helper()
	c.n++
	press(t, c.person, name)
}

// took compares the clicks since the last comparison.
func (c *clicks) took(t *testing.T, what string, want int) {
	t.Helper()
	if c.n > want {
		t.Errorf("%s takes %d clicks from the Overview, want %d", what, c.n, want)
	}
	t.Logf("%s: %d clicks", what, c.n)
	c.n = 0
	follow(t, c.person, "sales-prod")
}

// TestClicks counts the clicks from the Overview to what people do most.
func TestClicks(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	c := &clicks{person: open(t, p, options{})}
	setUp(t, p, c.person)
	upload(t, c.person, firstFiles.archive(t, "project.tar.gz"))
	deployDAGs(t, c.person)
	follow(t, c.person, "sales-prod")

	changed := tree{"hello.py": firstFiles["hello.py"] + "# mended\n"}
	chooser, err := c.ExpectFileChooser(func() error {
		c.n++
		return c.GetByText("Choose files").Click()
	})
	ok(t, err)
	ok(t, chooser.SetFiles(changed.file(t, "hello.py")))
	c.button(t, "Upload and check")
	arrive(t, c.person, `/deploys/2$`)
	c.button(t, "Deploy DAGs")
	deployed(t, c.person)
	c.took(t, "deploying", 3)

	c.link(t, "Compare with #1")
	see(t, c.person, "# mended")
	c.took(t, "comparing the last two", 2)

	ok(t, c.GetByRole("searchbox").Fill("ORDERS.s"))
	c.button(t, "Find")
	arrive(t, c.person, `/files/sales/orders.sql$`)
	c.link(t, "Edit or replace")
	see(t, c.person, "Edit the text")
	c.took(t, "editing a known file", 3)

	ok(t, c.GetByRole("searchbox").Fill("orders"))
	c.button(t, "Find")
	ok(t, expect.Locator(c.GetByTestId("found")).ToHaveCount(2))
	c.link(t, "Edit sales/orders.py")
	see(t, c.person, "Edit the text")
	c.took(t, "editing one of several files", 3)

	c.link(t, "Undo: return to #1")
	see(t, c.person, "This new deploy takes back #2")
	c.button(t, "Return to #1")
	deployed(t, c.person)
	c.took(t, "undo", 2)
	theMount(t, p).holds(t, firstFiles)
}

// drag is a script that drags a file over an element of the page, or drops it,
// and tells whether the browser would have left the page for the file.
const drag = `([selector, type]) => {
	const files = new DataTransfer();
	files.items.add(new File(["# dropped\n"], "dropped.py", {type: "text/x-python"}));
	const event = new DragEvent(type, {bubbles: true, cancelable: true, dataTransfer: files});
	document.querySelector(selector).dispatchEvent(event);
	return !event.defaultPrevented;
}`

// TestDropAnywhere drops a file on the heading of the Overview, which takes it,
// and on a page without a form, which stays.
func TestDropAnywhere(t *testing.T) {
	t.Parallel()
	p, _ := seeded(t)
	page := open(t, p, options{})
	signIn(t, page, "eve")
	dragged := func(selector, kind string) {
		t.Helper()
		leaves, err := page.Evaluate(drag, []string{selector, kind})
		ok(t, err)
		if leaves != false {
			t.Errorf("%s of a file on %s leaves %s", kind, selector, page.URL())
		}
	}
	dragged("h1", "drop")
	follow(t, page, "sales-prod")
	body := page.Locator("body")
	dragged("h1", "dragover")
	ok(t, expect.Locator(body).ToHaveAttribute("data-over", ""))
	ok(t, expect.Locator(body).ToHaveAttribute("data-drop-text", "Drop to deploy to sales-prod"))
	dragged("h1", "drop")
	ok(t, expect.Locator(body).Not().ToHaveAttribute("data-over", ""))
	see(t, page, "ready to upload")
	press(t, page, "Upload and check")
	arrive(t, page, `/deploys/1$`)
	see(t, page, "dropped.py")
	dragged("h1", "drop")
	arrive(t, page, `/deploys/1$`)
}

// TestKeys presses the keys that lead somewhere, and those that must not.
func TestKeys(t *testing.T) {
	t.Parallel()
	p, _ := seeded(t)
	page := open(t, p, options{})
	signIn(t, page, "ada")
	follow(t, page, "sales-prod")
	upload(t, page, firstFiles.archive(t, "project.tar.gz"))
	deployDAGs(t, page)
	follow(t, page, "sales-prod")
	list := page.GetByRole("dialog", playwright.PageGetByRoleOptions{Name: "Keys"})
	keys := func(names ...string) {
		t.Helper()
		for _, name := range names {
			ok(t, page.Keyboard().Press(name))
		}
	}

	keys("?")
	ok(t, expect.Locator(list).ToBeVisible())
	ok(t, expect.Locator(list).Not().ToContainText("changed file"))
	keys("Escape")
	ok(t, expect.Locator(list).ToBeHidden())
	keys("/")
	field := page.GetByRole("searchbox")
	ok(t, expect.Locator(field).ToBeFocused())
	keys("g", "d", "?", "/")
	ok(t, expect.Locator(field).ToHaveValue("gd?/"))
	ok(t, field.Blur())
	keys("g", "h")
	arrive(t, page, `/deploys$`)
	keys("g", "d")
	arrive(t, page, `/workspaces/[^/]+$`)

	press(t, page, "Keys")
	ok(t, list.GetByLabel("Use single keys in this browser").Uncheck())
	ok(t, list.GetByText("Close", playwright.LocatorGetByTextOptions{Exact: playwright.Bool(true)}).Click())
	follow(t, page, "sales-prod")
	keys("?", "g", "h")
	ok(t, expect.Locator(list).ToBeHidden())
	arrive(t, page, `/deployments/[^/]+$`)

	follow(t, page, "Settings")
	follow(t, page, "Deploys")
	ok(t, page.GetByRole("switch").Focus())
	keys("Space")
	arrive(t, page, `/switch\?to=off$`)
}

// TestKeysOfFiles jumps from file to file, unless keys are off.
func TestKeysOfFiles(t *testing.T) {
	t.Parallel()
	p, _ := seeded(t)
	page := open(t, p, options{})
	signIn(t, page, "ada")
	follow(t, page, "sales-prod")
	upload(t, page, firstFiles.archive(t, "project.tar.gz"))
	list := page.GetByRole("dialog", playwright.PageGetByRoleOptions{Name: "Keys"})
	here := page.Locator(".filelist summary:focus")
	ok(t, page.Keyboard().Press("?"))
	ok(t, expect.Locator(list).ToContainText("Go to the next changed file"))
	ok(t, page.Keyboard().Press("n")) // behind the list nothing moves
	ok(t, page.Keyboard().Press("Escape"))
	ok(t, expect.Locator(here).ToHaveCount(0))
	ok(t, page.Keyboard().Press("n"))
	ok(t, expect.Locator(here).ToHaveCount(1))

	press(t, page, "Keys")
	ok(t, list.GetByLabel("Use single keys in this browser").Uncheck())
	ok(t, list.GetByText("Close", playwright.LocatorGetByTextOptions{Exact: playwright.Bool(true)}).Click())
	ok(t, page.Keyboard().Press("n"))
	ok(t, expect.Locator(here).ToHaveCount(0))
}

// TestLeavingAnEdit asks before the text of an edited file is lost.
func TestLeavingAnEdit(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	page := open(t, p, options{})
	setUp(t, p, page)
	upload(t, page, firstFiles.archive(t, "project.tar.gz"))
	deployDAGs(t, page)
	asked := 0
	page.OnDialog(func(d playwright.Dialog) {
		asked++
		if d.Type() == "beforeunload" && asked == 1 {
			_ = d.Dismiss() // stay
			return
		}
		_ = d.Accept()
	})
	fix := strings.Replace(page.URL(), "/deploys/1", "/fix/hello.py", 1)

	visit(t, page, fix)
	follow(t, page, "sales-prod")
	arrive(t, page, `/deployments/[^/]+$`)
	if asked != 0 {
		t.Error("leaving an unchanged file asks")
	}
	visit(t, page, fix)
	text := page.Locator("#fix-text")
	ok(t, text.Click())
	ok(t, text.PressSequentially("# more "))
	ok(t, page.GetByRole("link", playwright.PageGetByRoleOptions{Name: "sales-prod", Exact: playwright.Bool(true)}).Click())
	ok(t, expect.Locator(text).ToHaveValue(firstFiles["hello.py"]+"# more "))
	if asked != 1 {
		t.Errorf("leaving an edited file asked %d times, want 1", asked)
	}
	press(t, page, "Check the change")
	arrive(t, page, `/deploys/2$`)
	if asked != 1 {
		t.Error("sending the edited file asked")
	}
}
