package airflow_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	s.release(t)
	s.succeeds(t, run)

	late := "4" // files are looked for in what is current then
	if s.pinned {
		late = "1"
	}
	s.saw(t, "first", map[string]string{
		"its own code": "1", "module loaded before": "1", "file opened before": "1",
		"file opened late": late, "module imported late": late,
	})
	s.saw(t, "second", map[string]string{"the next task of the run": late})
	if s.pinned {
		s.ranAs(t, run, began)
	}
}

// begin starts a run of the sleeper, and returns once its first task sleeps.
func (s *story) begin(t *testing.T) dagRun {
	t.Helper()
	dir := filepath.Join(s.out, s.prefix)
	s.folderForAirflow(t, dir)
	var run dagRun
	until(t, func() (err error) {
		run, err = s.client.trigger(s.prefix + "_sleeper")
		return err
	})
	until(t, func() error { return s.stillGoing(run, filepath.Join(dir, "started")) })
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
	var got map[string]string
	ok(t, json.Unmarshal(must[[]byte](t)(os.ReadFile(filepath.Join(s.out, s.prefix, task))), &got))
	for what, version := range want {
		if got[what] != version {
			t.Errorf("%s was of version %q, want %q", what, got[what], version)
		}
	}
}

// isBrought takes the version of w from the disk, as if this machine had never
// had it, and waits until it is there again: the task has marked it as needed,
// the DAG processor marks it again, and the agent brings it.
func (s *story) isBrought(t *testing.T, w deployed) {
	t.Helper()
	version := filepath.Join(s.mount, "versions", w.Version.Dir())
	mark := filepath.Join(s.mount, "in-use", w.Version.Dir())
	ok(t, os.Remove(mark))
	ok(t, exec.Command("chmod", "-R", "u+w", version).Run())
	ok(t, os.RemoveAll(version))
	for _, path := range []string{mark, version} {
		until(t, func() error {
			_, err := os.Stat(path)
			return err
		})
	}
}

// ranAs checks that Airflow names the version of w as that of the run, and that
// it leads to the version's page in the portal.
func (s *story) ranAs(t *testing.T, run dagRun, w deployed) {
	t.Helper()
	now := must[dagRun](t)(s.client.run(s.prefix+"_sleeper", run.ID))
	if now.Version != w.Version.Dir() {
		t.Errorf("the run's version is %q, want %q", now.Version, w.Version.Dir())
	}
	s.leads(t, s.prefix+"_sleeper", w.Version.Dir(), string(w.Version))
}

// leads follows Airflow's link from a version of a DAG to the portal, which
// shows text there.
func (s *story) leads(t *testing.T, dag, version, text string) {
	t.Helper()
	var at string
	until(t, func() error { // Airflow writes a DAG's version at most every 30 s, though it lists its tags at once
		all, err := s.client.dagVersions(dag)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(v dagVersion) bool { return v.Version == version })
		if i < 0 {
			return fmt.Errorf("%s has the versions %v, want one of %s", dag, all, version)
		}
		at = all[i].URL
		return nil
	})
	if page := s.portal.page(t, at); !strings.Contains(page, text) {
		t.Errorf("%s does not show %s", at, text)
	}
}
