package astro

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

// commands returns the shell commands of a workflow in examples/ci.
func commands(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(script(t, name))
	if err != nil {
		t.Fatal(err)
	}
	var workflow struct {
		Jobs struct {
			Deploy struct{ Steps []struct{ Run string } }
		}
		GitLab struct{ Script []string } `yaml:"deploy-dags"`
	}
	if err := yaml.Unmarshal(text, &workflow); err != nil {
		t.Fatal(err)
	}
	all := workflow.GitLab.Script
	for _, s := range workflow.Jobs.Deploy.Steps {
		all = append(all, s.Run)
	}
	return strings.Join(all, "\n")
}

// TestCIJudgesAnswers: of the answers to an upload, only a deploy that is live and
// still wanted makes a job green.
func TestCIJudgesAnswers(t *testing.T) {
	var mu sync.Mutex // the portal answers on other goroutines
	var status int
	var answer string
	var keys []string
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(portal.Close)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "dags"), 0o755); err != nil {
		t.Fatal(err)
	}
	run := map[string]func() *exec.Cmd{
		"deploy.sh": func() *exec.Cmd { return exec.CommandContext(t.Context(), script(t, "deploy.sh")) },
		"GitHub": func() *exec.Cmd {
			return exec.CommandContext(t.Context(), "bash", "-e", "-c", commands(t, "github-actions-dags.yml"))
		},
		"GitLab": func() *exec.Cmd {
			return exec.CommandContext(t.Context(), "bash", "-e", "-o", "pipefail", "-c", commands(t, "gitlab-ci-dags.yml"))
		},
		"GitLab, plain sh": func() *exec.Cmd {
			return exec.CommandContext(t.Context(), "sh", "-e", "-c", commands(t, "gitlab-ci-dags.yml"))
		},
	}
	for name, tt := range map[string]struct {
		status int
		answer string
		green  bool
	}{
		"live":             {200, `{"isWanted":true,"status":"DEPLOYED"}`, true},
		"replaced":         {200, `{"isWanted":false,"status":"DEPLOYED"}`, false},
		"of before":        {200, `{"status":"DEPLOYED"}`, false},
		"under way":        {200, `{"isWanted":true,"status":"DEPLOYING"}`, false},
		"queued":           {200, `{"isWanted":true,"status":"QUEUED"}`, false},
		"staged":           {200, `{"isWanted":false,"status":"STAGED"}`, false},
		"said, not done":   {200, `{"description":"\"status\":\"DEPLOYED\",\"isWanted\":true","isWanted":true,"status":"DEPLOYING"}`, false},
		"failed":           {409, `{"message":"Deploy #1 is failed.","statusCode":409}`, false},
		"another request":  {422, `{"message":"The Idempotency-Key belongs to deploy #1.","statusCode":422}`, false},
		"a page of others": {200, `<html>Welcome</html>`, false},
		"nothing":          {200, ``, false},
	} {
		for what, command := range run {
			mu.Lock()
			status, answer, keys = tt.status, tt.answer, nil
			mu.Unlock()
			cmd := command()
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "SLIPWAY_URL="+portal.URL, "SLIPWAY_DEPLOYMENT=d", "SLIPWAY_TOKEN=t", "CI_PROJECT_DIR="+filepath.Join(t.TempDir(), "p"),
				"SLIPWAY_KEY=17-2", "GITHUB_RUN_ID=17", "GITHUB_RUN_ATTEMPT=2", "CI_JOB_ID=17-2")
			out, err := cmd.CombinedOutput()
			if (err == nil) != tt.green {
				t.Errorf("%s, %s: %v, want green: %v\n%s", what, name, err, tt.green, out)
			}
			if tt.status >= 400 && !strings.Contains(string(out), tt.answer) {
				t.Errorf("%s, %s: the answer is not told: %s", what, name, out)
			}
			mu.Lock()
			if len(keys) != 1 || keys[0] != "17-2" {
				t.Errorf("%s, %s: keys %q", what, name, keys)
			}
			mu.Unlock()
		}
	}
}

// TestCIWorkflows: each attempt has a key of its own, and no request is endless.
func TestCIWorkflows(t *testing.T) {
	files, err := filepath.Glob(script(t, "*"))
	if err != nil || len(files) < 9 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		var workflow map[string]any
		if err := yaml.Unmarshal(b, &workflow); strings.HasSuffix(path, ".yml") && (err != nil || len(workflow) == 0) {
			t.Errorf("%s: %v", path, err)
		}
		if curls := strings.Count(text, "curl --"); curls != strings.Count(text, "--max-time") {
			t.Errorf("%s: %d requests, %d with --max-time", path, curls, strings.Count(text, "--max-time"))
		}
		id := strings.Count(text, "github.run_id") + strings.Count(text, "GITHUB_RUN_ID")
		if attempt := strings.Count(text, "github.run_attempt") + strings.Count(text, "GITHUB_RUN_ATTEMPT"); id != attempt {
			t.Errorf("%s: a key without the attempt", path)
		}
	}
}

// TestCIDecidesByChanges: only changes below dags alone go without an image.
func TestCIDecidesByChanges(t *testing.T) {
	const dagsOnly, image, nothing = "deploy.sh dags", "image.sh", ""
	for name, tt := range map[string]struct {
		change func(p *project)
		want   string
		named  string // a name in the output
	}{
		"a DAG":                {func(p *project) { p.write("dags/a.py", "2") }, dagsOnly, ""},
		"a DAG removed":        {func(p *project) { p.mustRun("git", "rm", "-q", "dags/old.py") }, dagsOnly, ""},
		"letters of Europe":    {func(p *project) { p.write("dags/größe.py", "1") }, dagsOnly, ""},
		"quotes and spaces":    {func(p *project) { p.write(`dags/a "b" \ c.py`, "1") }, dagsOnly, ""},
		"a line break":         {func(p *project) { p.write("dags/a\nDockerfile", "1") }, dagsOnly, ""},
		"a tab":                {func(p *project) { p.write("dags/\ta.py", "1") }, dagsOnly, ""},
		"renamed in dags":      {func(p *project) { p.mustRun("git", "mv", "dags/old.py", "dags/new.py") }, dagsOnly, ""},
		"moved into dags":      {func(p *project) { p.mustRun("git", "mv", "include/h.py", "dags/") }, image, "include/h.py"},
		"moved out of dags":    {func(p *project) { p.mustRun("git", "mv", "dags/old.py", "include/") }, image, "include/old.py"},
		"moved into docs":      {func(p *project) { p.mustRun("git", "mv", "include/h.py", "docs/") }, image, "include/h.py"},
		"mode":                 {func(p *project) { p.mustRun("git", "update-index", "--chmod=+x", "dags/old.py") }, dagsOnly, ""},
		"letters outside":      {func(p *project) { p.write("include/größe.py", "1") }, image, "include/größe.py"},
		"a line break outside": {func(p *project) { p.write("include/a\ndags/b", "1") }, image, "include/a"},
		"a folder like dags":   {func(p *project) { p.write("dags2/a.py", "1") }, image, "dags2/a.py"},
		"dags below":           {func(p *project) { p.write("lib/dags/a.py", "1") }, image, "lib/dags/a.py"},
		"packages":             {func(p *project) { p.write("requirements.txt", "x") }, image, "requirements.txt"},
		"words at the root":    {func(p *project) { p.write("README.md", "1") }, nothing, ""},
		"words below":          {func(p *project) { p.write("include/README.md", "1") }, image, "include/README.md"},
		"words and a DAG":      {func(p *project) { p.write("docs/x.txt", "1"); p.write("dags/a.py", "2") }, dagsOnly, ""},
		"workflows":            {func(p *project) { p.write(".github/workflows/x.yml", "1") }, nothing, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := &project{T: t, dir: t.TempDir()}
			p.env = append(os.Environ(), "GIT_AUTHOR_NAME=Eve", "GIT_AUTHOR_EMAIL=eve@example.com", "GIT_COMMITTER_NAME=Eve",
				"GIT_COMMITTER_EMAIL=eve@example.com", "GIT_CONFIG_GLOBAL=/dev/null")
			p.mustRun("git", "init", "--quiet", "--initial-branch=main")
			for file, text := range map[string]string{"dags/old.py": "old", "dags/a.py": "1", "include/h.py": "h", "include/x": "x", "docs/d": "d"} {
				p.write(file, text)
			}
			p.commit("begin")
			tt.change(p)
			if name != "mode" { // which git alone knows
				p.mustRun("git", "add", "--all")
			}
			p.mustRun("git", "commit", "--quiet", "--message", "change")
			tools := t.TempDir()
			by, err := os.ReadFile(script(t, "by-changes.sh"))
			if err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{
				"by-changes.sh": string(by), "deploy.sh": "#!/bin/sh\necho RUNS deploy.sh $*\n", "image.sh": "#!/bin/sh\necho RUNS image.sh $*\n",
			} {
				if err := os.WriteFile(filepath.Join(tools, file), []byte(text), 0o700); err != nil { //nolint:gosec // a script
					t.Fatal(err)
				}
			}
			out := p.mustRun(filepath.Join(tools, "by-changes.sh"))
			_, got, _ := strings.Cut(strings.TrimSpace(out), "RUNS ")
			if strings.TrimSpace(got) != tt.want || !strings.Contains(out, tt.named) {
				t.Errorf("by-changes.sh does %q, want %q:\n%s", got, tt.want, out)
			}
			if out, err := p.run(filepath.Join(tools, "by-changes.sh"), "0000000000000000000000000000000000000000"); err != nil || !strings.Contains(out, "RUNS image.sh") {
				t.Errorf("without the commit before: %v\n%s", err, out)
			}
		})
	}
}
