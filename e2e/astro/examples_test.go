package astro

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/e2e/program"

	"slipway/internal/image/dockertest"
)

// project is somebody's repository of DAGs, with the scripts of examples/ci.
type project struct {
	*testing.T
	dir string
	env []string
}

func newProject(t *testing.T, in *program.Installation) *project {
	t.Helper()
	p := &project{T: t, dir: t.TempDir()}
	p.env = append(os.Environ(), "SLIPWAY_URL="+in.Base, "SLIPWAY_DEPLOYMENT="+string(in.DeploymentID), "SLIPWAY_TOKEN="+in.Token,
		"GIT_AUTHOR_NAME=Eve", "GIT_AUTHOR_EMAIL=eve@example.com", "GIT_COMMITTER_NAME=Eve", "GIT_COMMITTER_EMAIL=eve@example.com", "GIT_CONFIG_GLOBAL=/dev/null")
	p.mustRun("git", "init", "--quiet", "--initial-branch=main")
	p.write("Dockerfile", "FROM scratch\nLABEL io.astronomer.docker.runtime.version=3.0-4\nCOPY . /usr/local/airflow/\n")
	p.write("README.md", "ours\n")
	p.commit("begin")
	return p
}

func (p *project) write(name, text string) {
	p.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.Fatal(err)
	}
}

func (p *project) commit(message string) {
	p.Helper()
	p.mustRun("git", "add", "--all")
	p.mustRun("git", "commit", "--quiet", "--message", message)
}

// run runs a program in the project and returns what it said.
func (p *project) run(program string, args ...string) (string, error) {
	cmd := exec.CommandContext(p.Context(), program, args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (p *project) mustRun(program string, args ...string) string {
	p.Helper()
	out, err := p.run(program, args...)
	if err != nil {
		p.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return out
}

// script returns the path of one of the examples.
func script(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "examples", "ci", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCIDeploysDAGs runs the scripts that others copy.
func TestCIDeploysDAGs(t *testing.T) {
	in := program.Install(t, "http")
	p := newProject(t, in)
	p.write("dags/sales.py", "from airflow import DAG\n")
	p.commit("the first DAG")

	p.mustRun(script(t, "deploy.sh"))

	if got := in.Mounted(t, "sales.py"); got != "from airflow import DAG\n" {
		t.Errorf("mounted is %q", got)
	}
	w := in.Astro(t, in.Token).Do("GET", in.Astro(t, in.Token).DeploymentPath()+"/deploys?limit=1", "")["deploys"].([]any)[0].(program.Fields)
	if git := w["git"].(program.Fields); w["description"] != "the first DAG" || git["authorName"] != "Eve" || git["branch"] != "main" || len(git["commitSha"].(string)) != 40 {
		t.Errorf("the deploy is %v", w)
	}

	p.write("dags/sales.py", "from airflow import DAG # two\n")
	p.commit("change a DAG")
	p.mustRun(script(t, "by-changes.sh"))
	if got := in.Mounted(t, "sales.py"); !strings.Contains(got, "two") {
		t.Errorf("mounted is %q after the change", got)
	}
	p.write("README.md", "yours\n")
	p.commit("words")
	if out := p.mustRun(script(t, "by-changes.sh")); !strings.Contains(out, "Nothing that is deployed has changed.") {
		t.Errorf("by-changes.sh says %s", out)
	}

	p.env = append(p.env, "SLIPWAY_TOKEN=no token")
	if out, err := p.run(script(t, "deploy.sh")); err == nil || !strings.Contains(out, "This is no API token of this portal.") {
		t.Errorf("with a wrong token: %v\n%s", err, out)
	}
}

// TestCIDeploysImages builds, pushes and deploys with a Docker Engine of its own.
func TestCIDeploysImages(t *testing.T) {
	engine := dockertest.Start(t)
	in := program.Install(t, "http")
	p := newProject(t, in)
	p.env = append(p.env, "DOCKER_HOST="+engine.Host, "DOCKER_BUILDKIT=0", "DOCKER_CONFIG="+t.TempDir())
	p.write("dags/sales.py", "one")
	p.write("requirements.txt", "apache-airflow-providers-http\n")
	p.commit("packages")

	if out := p.mustRun(script(t, "by-changes.sh")); !strings.Contains(out, "requirements.txt") {
		t.Errorf("by-changes.sh says %s", out)
	}

	a := in.Astro(t, in.Token)
	d := a.Deployment()
	version, _ := d["dagTarballVersion"].(string)
	if image, _ := d["image"].(string); !strings.Contains(image, "/airflow@sha256:") || d["runtimeVersion"] != "3.0-4" || version == "" {
		t.Errorf("the Deployment is %v", d)
	}
	if got := in.Mounted(t, "sales.py"); got != "one" {
		t.Errorf("mounted is %q", got)
	}

	p.write("dags/sales.py", "two")
	p.write("plugins/p.py", "x = 1\n")
	p.commit("a plugin")
	p.mustRun(script(t, "image.sh"), "IMAGE_ONLY")
	if now := a.Deployment(); now["image"] == d["image"] || now["dagTarballVersion"] != version || in.Mounted(t, "sales.py") != "one" {
		t.Errorf("after the image alone: %v", now)
	}
}
