package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/playwright-community/playwright-go"
)

// TestAgentsOnTheBoard has three agents, each a process of its own, follow the
// deploys of one Deployment: all of them, then one that lags and one that
// fails, until both are well again.
func TestAgentsOnTheBoard(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), "--mount-timeout", "12s")
	page := open(t, p, options{})
	token := connectAgents(t, p, page)
	settings := page.URL()
	well := runAgent(t, p, token, "scheduler-0")
	lagging := runAgent(t, p, token, "worker-1")
	failing := runAgent(t, p, token, "worker-2")
	see(t, page, "3 connected")
	picturesOf(t, page, "agents-settings")

	deployFiles(t, page, "1")
	deployed(t, page)
	follow(t, page, "sales-prod")
	board := page.GetByTestId("component")
	ok(t, expect.Locator(board).ToHaveCount(3))
	see(t, page, "3 of 3 on #1")
	for _, one := range []*agentProcess{well, lagging, failing} {
		one.holds(t, "1")
	}

	lagging.signal(t, syscall.SIGSTOP)
	failing.stop(t)
	failing = runAgent(t, p, token, "worker-2", "--reserve", "900TiB")
	ok(t, expect.Locator(board).ToHaveCount(3))
	deployFiles(t, page, "2")
	waitFor(t, page, page.GetByText("FAILED", playwright.PageGetByTextOptions{Exact: playwright.Bool(true)}).First())
	see(t, page, "It was not mounted everywhere within 12s: worker-1 has ")
	see(t, page, "worker-2: The disk of the folder ")
	picturesOf(t, page, "agents-deploy-failed")
	follow(t, page, "sales-prod")
	see(t, page, "1 of 3 on #2")
	see(t, page, "not what is wanted")
	picturesOf(t, page, "agents-board")
	follow(t, page, "Deployments")
	see(t, page, "UNHEALTHY")
	picturesOf(t, page, "agents-list")
	well.holds(t, "2")
	lagging.holds(t, "1")
	failing.holds(t, "1")

	lagging.signal(t, syscall.SIGCONT)
	follow(t, page, "sales-prod")
	see(t, page, "2 of 3 on #2")
	failing.stop(t)
	failing = runAgent(t, p, token, "worker-2")
	see(t, page, "3 of 3 on #2")
	see(t, page, "HEALTHY")
	lagging.holds(t, "2")
	failing.holds(t, "2")

	visit(t, page, settings)
	follow(t, page, "Revoke agents")
	press(t, page, "Revoke")
	see(t, page, "The agent token agents is revoked.")
}

// connectAgents sets up a Deployment whose Airflow runs elsewhere, and makes a
// token for its agents as the pages lead there.
func connectAgents(t *testing.T, p *portal, page person) (token string) {
	t.Helper()
	visit(t, page, p.setupLink(t))
	fill(t, page, "Email address", "ada@example.com")
	fill(t, page, "Name", "Ada Lovelace")
	fill(t, page, "Password", password)
	fill(t, page, "Workspace", "Data Platform")
	fill(t, page, "Deployment", "sales-prod")
	ok(t, page.GetByLabel(regexp.MustCompile(`^\s*Elsewhere`)).Check())
	press(t, page, "Set up Slipway")
	arrive(t, page, `/deployments/[^/]+$`)
	follow(t, page, "Connect agents")
	see(t, page, "No agent reports yet.")
	press(t, page, "Make an agent token")
	token, err := page.Locator("#new-token").InnerText()
	ok(t, err)
	line, err := page.Locator("#agent-command").InnerText()
	ok(t, err)
	if !strings.Contains(line, "SLIPWAY_TOKEN="+token+" slipway agent --portal "+p.url) {
		t.Errorf("the line to copy is %q", line)
	}
	follow(t, page, "Agents") // by which the page can be loaded again
	see(t, page, "No agent reports yet.")
	return token
}

// deployFiles deploys a project of one DAG, whose text tells which it is, up to
// the end of the deploy.
func deployFiles(t *testing.T, page person, text string) {
	t.Helper()
	follow(t, page, "Overview")
	files := tree{"a.py": "from airflow import DAG\n# " + text + "\n"}
	upload(t, page, files.archive(t, "project.tar.gz"))
	agree(t, page, "Deploy DAGs")
}

// agentProcess is a running slipway agent.
type agentProcess struct {
	cmd *exec.Cmd
	dir string
}

// runAgent runs an agent of the binary until it is stopped or the test ends.
// That of one component has the same folder each time.
func runAgent(t *testing.T, p *portal, token, component string, more ...string) *agentProcess {
	t.Helper()
	a := &agentProcess{dir: filepath.Join(p.data, "elsewhere", component)}
	args := append([]string{"agent", "--portal", p.url, "--component", component, "--dags", a.dir}, more...)
	a.cmd = exec.Command(binary, args...)
	a.cmd.Env = append(os.Environ(), "SLIPWAY_TOKEN="+token)
	log, err := os.CreateTemp(t.TempDir(), "agent-*.log")
	ok(t, err)
	a.cmd.Stdout, a.cmd.Stderr = log, log
	ok(t, a.cmd.Start())
	t.Cleanup(func() {
		_ = a.cmd.Process.Kill() // it may have ended
		_ = a.cmd.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s said:\n%s", component, text)
		}
		_ = log.Close() // read back above
		writable(a.dir)
	})
	return a
}

// writable lets the test's folder be removed by others than root.
func writable(dir string) {
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return err
	})
}

func (a *agentProcess) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	ok(t, a.cmd.Process.Signal(s))
}

// stop tells the agent to sign off.
func (a *agentProcess) stop(t *testing.T) {
	t.Helper()
	a.signal(t, syscall.SIGTERM)
	ok(t, a.cmd.Wait())
}

// holds checks which project Airflow sees beside the agent.
func (a *agentProcess) holds(t *testing.T, text string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(a.dir, "current/dags/a.py"))
	if err != nil || !strings.Contains(string(b), "# "+text+"\n") {
		t.Errorf("%s: %q, %v; want %s", a.dir, b, err, text)
	}
}

// picturesOf keeps pictures of a page as it is, wide and narrow, light and
// dark, where E2E_SCREENSHOTS names a folder.
func picturesOf(t *testing.T, page person, name string) {
	t.Helper()
	dir := os.Getenv("E2E_SCREENSHOTS")
	if dir == "" {
		return
	}
	for _, look := range []struct {
		name   string
		width  int
		scheme *playwright.ColorScheme
	}{{"1280", 1280, playwright.ColorSchemeLight}, {"360", 360, playwright.ColorSchemeLight}, {"1280-dark", 1280, playwright.ColorSchemeDark}} {
		ok(t, page.SetViewportSize(look.width, 900))
		ok(t, page.EmulateMedia(playwright.PageEmulateMediaOptions{ColorScheme: look.scheme}))
		_, err := page.Screenshot(playwright.PageScreenshotOptions{
			Path: playwright.String(filepath.Join(dir, name+"-"+look.name+".png")), FullPage: playwright.Bool(true),
		})
		ok(t, err)
	}
	ok(t, page.SetViewportSize(1280, 900))
	ok(t, page.EmulateMedia(playwright.PageEmulateMediaOptions{ColorScheme: playwright.ColorSchemeLight}))
}
