package airflow_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// taskKeepsItsCode lets a task sleep through three deploys.
func (s *story) taskKeepsItsCode(t *testing.T) {
	began := s.deploy(t, s.sleeper("1"))
	s.listed(t, map[string][]string{"sleeper": {"file-1"}})
	run := s.begin(t)
	for _, v := range []string{"2", "3", "4"} {
		s.deploy(t, s.sleeper(v))
		s.listed(t, map[string][]string{"sleeper": {"file-" + v}})
	}
	if s.pinned {
		s.isBrought(t, began)
	}
	fail := filepath.Join(s.out, s.prefix, "fail")
	ok(t, os.WriteFile(fail, nil, 0o644)) // the first try of the second task
	s.release(t)
	s.succeeds(t, run)
	if _, err := os.Stat(fail); err == nil {
		t.Error("the second task was not tried twice")
	}

	late := "4" // files are looked for in what is current then
	if s.pinned {
		late = "1"
	}
	s.saw(t, "first", map[string]string{
		"its own code": "1", "module loaded before": "1", "file opened before": "1",
		"file opened late": late, "module imported late": late, "process": s.told(t, "started")["process"],
	})
	s.saw(t, "second", map[string]string{"the next task of the run": late})
	if s.pinned {
		s.ranAs(t, run, began.Version.Dir(), string(began.Version))
	}
}

// begin starts a run of the sleeper, and returns once its first task sleeps.
func (s *story) begin(t *testing.T) dagRun {
	t.Helper()
	dir := filepath.Join(s.out, s.prefix)
	s.folderForAirflow(t, dir)
	run := s.triggers(t, s.prefix+"_sleeper")
	until(t, func() error { return s.stillGoing(run, filepath.Join(dir, "started")) })
	return run
}

// triggers begins a run.
func (s *story) triggers(t *testing.T, dag string) (run dagRun) {
	t.Helper()
	s.runs++
	id := fmt.Sprintf("run-%d", s.runs)
	until(t, func() (err error) {
		run, err = s.client.trigger(dag, id)
		return err
	})
	return run
}

// stillGoing returns an error until path exists.
func (s *story) stillGoing(run dagRun, path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		now, asked := s.client.run(s.prefix+"_sleeper", run.ID)
		return errors.Join(fmt.Errorf("the run is %s and has not come to %s", now.State, filepath.Base(path)), asked)
	}
	return err
}

// release lets the task go on.
func (s *story) release(t *testing.T) {
	t.Helper()
	ok(t, os.WriteFile(filepath.Join(s.out, s.prefix, "go"), nil, 0o644))
}

func (s *story) succeeds(t *testing.T, run dagRun) {
	t.Helper()
	until(t, func() error {
		now, err := s.client.run(s.prefix+"_sleeper", run.ID)
		if err == nil && now.State != "success" {
			err = fmt.Errorf("the run is %s", now.State)
		}
		return err
	})
}

// saw checks what a task told.
func (s *story) saw(t *testing.T, task string, want map[string]string) {
	t.Helper()
	got := s.told(t, task)
	for what, version := range want {
		if got[what] != version {
			t.Errorf("%s was %q, want %q", what, got[what], version)
		}
	}
}

func (s *story) told(t *testing.T, task string) (got map[string]string) {
	t.Helper()
	ok(t, json.Unmarshal(must[[]byte](t)(os.ReadFile(filepath.Join(s.out, s.prefix, task))), &got))
	return got
}

// isBrought takes the version of w from the disk, as if this machine had never
// had it, and waits until it is there again: the task has marked it as needed,
// the DAG processor marks it again, and the agent brings it.
func (s *story) isBrought(t *testing.T, w deployed) {
	t.Helper()
	version := filepath.Join(s.mount, "versions", w.Version.Dir())
	mark := filepath.Join(s.mount, "in-use", w.Version.Dir())
	ok(t, os.Remove(mark))
	// Folders alone: a file may be the same one in other versions.
	ok(t, exec.Command("find", version, "-type", "d", "-exec", "chmod", "u+w", "{}", "+").Run())
	ok(t, os.RemoveAll(version))
	for _, path := range []string{mark, version} {
		until(t, func() error {
			_, err := os.Stat(path)
			return err
		})
	}
}

// ranAs checks that Airflow names version as that of the run, and that its link
// leads to a page of the portal that shows text.
func (s *story) ranAs(t *testing.T, run dagRun, version, text string) {
	t.Helper()
	now := must[dagRun](t)(s.client.run(s.prefix+"_sleeper", run.ID))
	if now.Version != version {
		t.Errorf("the run's version is %q, want %q", now.Version, version)
	}
	if len(now.Versions) != 1 {
		t.Fatalf("the run has links for %d versions of the DAG, want 1: %+v", len(now.Versions), now)
	}
	if page := s.portal.page(t, now.Versions[0].URL); !strings.Contains(page, text) {
		t.Errorf("%s does not show %s", now.Versions[0].URL, text)
	}
}
