// Package e2e drives the shipped binary with a real browser.
package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"

	"slipway/store/storetest"
)

var (
	binary  string // the built slipway
	driver  *playwright.Playwright
	browser playwright.Browser // nil where the driver is missing and E2E is not set
	expect  = playwright.NewPlaywrightAssertions(10_000)
)

const cache = "../.cache/e2e" // laid out by scripts/e2e-deps.sh

const password = storetest.Password

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	folder, err := filepath.Abs(filepath.Join(cache, "driver"))
	if err != nil {
		return fail(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "package", "cli.js")); err != nil {
		if os.Getenv("E2E") != "" {
			return fail(fmt.Errorf("run scripts/e2e-deps.sh first: %w", err))
		}
		fmt.Println("browser tests skipped: run scripts/e2e-deps.sh, or make test, to have them")
		return 0
	}
	dir, err := os.MkdirTemp("", "slipway-e2e-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "slipway")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/slipway").CombinedOutput(); err != nil {
		return fail(fmt.Errorf("build: %w\n%s", err, out))
	}
	if driver, err = playwright.Run(&playwright.RunOptions{DriverDirectory: folder, Verbose: false}); err != nil {
		return fail(err)
	}
	defer driver.Stop()
	if browser, err = launch(); err != nil {
		return fail(err)
	}
	defer browser.Close()
	return m.Run()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "e2e:", err)
	return 1
}

func launch() (playwright.Browser, error) {
	path := os.Getenv("E2E_CHROMIUM")
	for _, name := range []string{"chromium-headless-shell", "chromium"} {
		if path == "" {
			path, _ = exec.LookPath(name) // "" where there is none
		}
	}
	if path == "" {
		return nil, errors.New("no chromium: run scripts/e2e-deps.sh")
	}
	return driver.Chromium.Launch(playwright.BrowserTypeLaunchOptions{
		ExecutablePath: &path,
		Args: []string{
			"--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
			"--disable-background-networking", "--disable-component-update", "--disable-sync",
		},
	})
}

// portal is a running slipway serve.
type portal struct {
	url   string
	setup chan string // holds the one-time link once it was printed
	data  string
	cmd   *exec.Cmd
	out   *os.File // all that it said
}

// start runs the binary on a data folder until the test ends.
func start(t *testing.T, data string, args ...string) *portal {
	t.Helper()
	p := &portal{data: data}
	log, err := os.CreateTemp(t.TempDir(), "serve-*.log")
	ok(t, err)
	p.out = log
	ctx, stop := context.WithCancel(context.Background())
	p.cmd = exec.CommandContext(ctx, binary, append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0"}, args...)...)
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(os.Interrupt) }
	p.cmd.WaitDelay = 10 * time.Second
	p.cmd.Stderr = log
	out, err := p.cmd.StdoutPipe()
	ok(t, err)
	ok(t, p.cmd.Start())
	t.Cleanup(func() {
		stop()
		_ = p.cmd.Wait() // it was told to end
		_ = log.Close()  // read back below
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("slipway said:\n%s", text)
		}
	})
	p.listen(t, io.TeeReader(out, log))
	return p
}

// listen reads what serve prints at its start, and keeps the pipe empty after.
func (p *portal) listen(t *testing.T, out io.Reader) {
	t.Helper()
	p.setup = make(chan string, 1)
	ready := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if _, url, found := strings.Cut(lines.Text(), "is ready on "); found {
				ready <- strings.TrimSuffix(url, "/")
			}
			if at := strings.Index(lines.Text(), "http://"); at >= 0 && strings.Contains(lines.Text(), "/setup/") {
				p.setup <- lines.Text()[at:]
			}
		}
	}()
	select {
	case p.url = <-ready:
	case <-time.After(30 * time.Second):
		t.Fatal("the binary did not become ready")
	}
}

// setupLink returns the one-time link that serve prints while nobody has an
// account.
func (p *portal) setupLink(t *testing.T) string {
	t.Helper()
	select {
	case link := <-p.setup:
		return link
	case <-time.After(30 * time.Second):
		t.Fatal("the binary printed no set-up link")
		return ""
	}
}

// options of a browser context.
type options struct {
	noScript  bool
	bypassCSP bool
	dark      bool
	width     int // 1280 unless set
}

// person is somebody in front of a browser of their own.
type person struct {
	playwright.Page
	noScript bool
}

// open opens a page of a browser context of its own on p. Console and page
// errors fail the test: a strict CSP must never be hit.
func open(t *testing.T, p *portal, o options) person {
	t.Helper()
	scheme := playwright.ColorSchemeLight
	if o.dark {
		scheme = playwright.ColorSchemeDark
	}
	if o.width == 0 {
		o.width = 1280
	}
	c, err := browser.NewContext(playwright.BrowserNewContextOptions{
		BaseURL: &p.url, JavaScriptEnabled: playwright.Bool(!o.noScript), BypassCSP: &o.bypassCSP,
		ColorScheme: scheme, Viewport: &playwright.Size{Width: o.width, Height: 900}, AcceptDownloads: playwright.Bool(true),
	})
	ok(t, err)
	c.SetDefaultTimeout(15_000)
	ok(t, c.Tracing().Start(playwright.TracingStartOptions{Screenshots: playwright.Bool(true), Snapshots: playwright.Bool(true)}))
	page, err := c.NewPage()
	ok(t, err)
	watchErrors(t, page)
	t.Cleanup(func() { closeContext(t, c, page) })
	return person{page, o.noScript}
}

func watchErrors(t *testing.T, page playwright.Page) {
	page.OnPageError(func(err error) { t.Errorf("page error on %s: %v", page.URL(), err) })
	page.OnConsole(func(m playwright.ConsoleMessage) {
		// The browser itself logs every 4xx and 5xx, which some tests are about,
		// and htmx a stream that was still connecting when its page was left.
		expected := strings.HasPrefix(m.Text(), "Failed to load resource") || strings.Contains(m.Text(), "Failed to fetch")
		if m.Type() == "error" && !expected {
			t.Errorf("console error on %s: %s", page.URL(), m.Text())
		}
	})
}

// closeContext keeps a picture and a trace of a test that failed.
func closeContext(t *testing.T, c playwright.BrowserContext, page playwright.Page) {
	if t.Failed() {
		name := filepath.Join("artifacts", strings.ReplaceAll(t.Name(), "/", "-"))
		if _, err := page.Screenshot(playwright.PageScreenshotOptions{Path: playwright.String(name + ".png"), FullPage: playwright.Bool(true)}); err != nil {
			t.Log("no screenshot: ", err)
		}
		if err := c.Tracing().Stop(name + ".zip"); err != nil {
			t.Log("no trace: ", err)
		}
	}
	if err := c.Close(); err != nil {
		t.Log("close context: ", err)
	}
}

// signIn signs somebody of the storetest world in.
func signIn(t *testing.T, page person, who string) {
	t.Helper()
	visit(t, page, "/signin")
	fill(t, page, "Email address", who+"@example.com")
	fill(t, page, "Password", password)
	press(t, page, "Sign in")
	arrive(t, page, `/workspaces/`)
}

// ok ends the test if err is not nil.
func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func visit(t *testing.T, page person, path string) {
	t.Helper()
	_, err := page.Goto(path)
	ok(t, err)
}

// fill types into the field whose label begins with label; help may follow.
func fill(t *testing.T, page person, label, text string) {
	t.Helper()
	ok(t, page.GetByLabel(regexp.MustCompile(`^\s*`+regexp.QuoteMeta(label))).Fill(text))
}

func press(t *testing.T, page person, name string) {
	t.Helper()
	ok(t, page.GetByRole("button", playwright.PageGetByRoleOptions{Name: name, Exact: playwright.Bool(true)}).Click())
}

// agree presses the button of a review with this name, which may go on to say how many
// DAG files go.
func agree(t *testing.T, page person, name string) {
	t.Helper()
	said := regexp.MustCompile("^" + regexp.QuoteMeta(name) + "( and (remove|stop loading|take|lose) .*)?$")
	ok(t, page.GetByRole("button", playwright.PageGetByRoleOptions{Name: said}).Click())
}

// arrive waits until the address of the page matches a regular expression. The
// client's WaitForURL misses a navigation between its look at the address and
// its subscription to events, and then waits in vain.
func arrive(t *testing.T, page person, address string) {
	t.Helper()
	late := playwright.PageAssertionsToHaveURLOptions{Timeout: playwright.Float(30_000)}
	if err := expect.Page(page).ToHaveURL(regexp.MustCompile(address), late); err != nil {
		t.Fatalf("on %s: %v", page.URL(), err)
	}
}

func follow(t *testing.T, page person, name string) {
	t.Helper()
	ok(t, page.GetByRole("link", playwright.PageGetByRoleOptions{Name: name, Exact: playwright.Bool(true)}).First().Click())
}

// fromMenu follows a link in the menu of a deploy's row.
func fromMenu(t *testing.T, page person, number, name string) {
	t.Helper()
	ok(t, page.Locator(`summary[aria-label="More for #`+number+`"]`).First().Click())
	follow(t, page, name)
}

// see waits until a text is on the page.
func see(t *testing.T, page person, text string) {
	t.Helper()
	if err := expect.Locator(page.GetByText(text).First()).ToBeVisible(); err != nil {
		t.Fatalf("%q is not on %s: %v", text, page.URL(), err)
	}
}
