package airflow_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// story is one way of connecting Airflow, with what the tests of it share.
type story struct {
	*airflow
	*deployment
	code
	way    string // of connecting
	pinned bool   // a run keeps its version
	first  deployed
	runs   int    // that were begun
	kept   dagRun // of the DAG that is removed and returns
}

// promises are the tests that hold whichever way Airflow is connected. Each
// begins with what the one before left.
func (s *story) promises(t *testing.T) {
	for _, p := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"TheDAGsOfAFirstDeployAppear", s.firstAppears},
		{"AChangeAppears", s.changeAppears},
		{"AChangeOfAHelperAppears", s.helperAppears},
		{"ARemovedDAGGoes", s.removedGoes},
		{"AReturnBringsItBack", s.returnBringsBack},
		{"ADAGAndItsHelperAreOfOneVersion", s.pairHolds},
		{"ATaskFinishesWithTheCodeItStartedWith", s.taskKeepsItsCode},
		{"AirflowsUserCannotWriteToTheMount", s.cannotWrite},
		{"AMountThatIsReadOnlyWorks", s.readOnlyWorks},
		{"TheSwitchNeverListsNone", s.switchListsAlways},
		{"NothingOfPythonsGetsIntoAVersion", s.noBytecode},
	} {
		if !t.Run(p.name, p.test) {
			return // the next ones would wait in vain
		}
	}
}

// listed waits until Airflow lists exactly want: the tags of each DAG. A run of
// the pair then has the task that is named after the same versions.
func (s *story) listed(t *testing.T, want map[string][]string) {
	t.Helper()
	until(t, func() error {
		got, err := s.client.dags(s.prefix + "_")
		if err == nil && !maps.EqualFunc(got, want, slices.Equal) {
			err = fmt.Errorf("lists %v, want %v", got, want)
		}
		if err != nil || want["pair"] == nil {
			return err
		}
		task := taskOf(want["pair"])
		ids, err := s.client.tasks(s.prefix + "_pair")
		if err == nil && !slices.Equal(ids, []string{task}) {
			err = fmt.Errorf("has the tasks %v, want %s", ids, task)
		}
		return err
	})
}

// timed deploys all, waits until it is listed, and notes how long that took.
func (s *story) timed(t *testing.T, what string, all map[string]string, want map[string][]string) deployed {
	t.Helper()
	w := s.deploy(t, all)
	s.soon(t, what, want)
	return w
}

func tags(file, helper string) []string { return []string{"file-" + file, "helper-" + helper} }

// taskOf is what the pair of these tags calls its task.
func taskOf(tags []string) string {
	file, helper, _ := strings.Cut(strings.Join(tags, " "), " helper-")
	return strings.TrimPrefix(file, "file-") + "-with-" + helper
}

func (s *story) firstAppears(t *testing.T) {
	s.first = s.timed(t, "first deploy", files(s.pair("1", "1"), s.other("1")),
		map[string][]string{"pair": tags("1", "1"), "other": {"file-1"}})
}

func (s *story) changeAppears(t *testing.T) {
	s.timed(t, "changed DAG file", files(s.pair("1", "1"), s.other("2")),
		map[string][]string{"pair": tags("1", "1"), "other": {"file-2"}})
}

func (s *story) helperAppears(t *testing.T) {
	s.timed(t, "changed module", files(s.pair("1", "2"), s.other("2")),
		map[string][]string{"pair": tags("1", "2"), "other": {"file-2"}})
}

// removedGoes removes a DAG that has a run, which stays.
func (s *story) removedGoes(t *testing.T) {
	s.kept = s.triggers(t, s.prefix+"_other")
	s.timed(t, "removed DAG", s.pair("1", "2"), map[string][]string{"pair": tags("1", "2")})
	s.hasItsRun(t)
}

// hasItsRun checks that the DAG that is removed and returns has the run that
// was begun before.
func (s *story) hasItsRun(t *testing.T) {
	t.Helper()
	run, err := s.client.run(s.prefix+"_other", s.kept.ID)
	if err != nil || run.Version != s.kept.Version {
		t.Errorf("the DAG has the run %+v (%v), want %+v", run, err, s.kept)
	}
}

func (s *story) returnBringsBack(t *testing.T) {
	s.returnTo(t, s.first)
	s.soon(t, "return", map[string][]string{"pair": tags("1", "1"), "other": {"file-1"}})
	s.hasItsRun(t)
}

// pairHolds changes a DAG file and its module together while the file is being
// read: between its own text and the module. Where Airflow looks for each file
// anew it may then list half of each, until it reads the file again, which
// docs/airflow.md says. The bundle class never shows that.
func (s *story) pairHolds(t *testing.T) {
	gate := filepath.Join(s.out, s.prefix+"-gate")
	s.folderForAirflow(t, gate)
	s.deploy(t, s.pair("3", "3"))
	until(t, func() error {
		_, err := os.Stat(filepath.Join(gate, "3"))
		return err
	})
	s.deploy(t, s.pair("4", "4"))
	ok(t, os.RemoveAll(gate))
	mixed := s.mixedUntil(t, "4")
	if mixed > 0 && s.pinned {
		t.Errorf("a DAG and its helper were listed of two versions %d times", mixed)
	}
	t.Logf("listed of two versions: %d times", mixed)
}

// mixedUntil returns how often the DAG and its helper are seen of two versions
// until both are of version v.
func (s *story) mixedUntil(t *testing.T, v string) (mixed int) {
	t.Helper()
	until(t, func() error {
		got, err := s.client.dags(s.prefix + "_")
		if err != nil {
			return err
		}
		file, helper, there := strings.Cut(strings.Join(got["pair"], " "), " helper-")
		if there && file != "file-"+helper {
			mixed++
		}
		if !slices.Equal(got["pair"], tags(v, v)) {
			return fmt.Errorf("lists %v, want version %s", got["pair"], v)
		}
		return nil
	})
	return mixed
}

// folderForAirflow makes a folder that Airflow's user may write to.
func (a *airflow) folderForAirflow(t *testing.T, dir string) {
	t.Helper()
	ok(t, os.RemoveAll(dir))
	ok(t, os.Mkdir(dir, 0o755))
	if a.uid() != os.Getuid() {
		ok(t, os.Chown(dir, a.uid(), a.uid()))
	}
}

// cannotWrite tries to, as the user that Airflow runs as.
func (s *story) cannotWrite(t *testing.T) {
	for _, dir := range []string{".", "versions", "current/dags"} {
		if s.uid() == os.Getuid() && dir != "current/dags" {
			continue // the tests' own user owns those
		}
		s.refused(t, "touch", filepath.Join(s.mount, dir, "written.py"))
	}
	file := filepath.Join(s.mount, "current", "dags", s.prefix+"_sleeper.py")
	s.refused(t, "dd", "if=/dev/null", "of="+file)
	s.refused(t, "rm", "-f", file)
	s.refused(t, "mv", file, file+".moved")
	if s.uid() != os.Getuid() {
		s.refused(t, "ln", "-sfn", "versions/other", filepath.Join(s.mount, "current"))
	}
}

// refused runs a command as Airflow's user, which has to fail.
func (s *story) refused(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := s.command(name, args...).CombinedOutput(); err == nil {
		t.Errorf("Airflow's user did %s %v: %s", name, args, out)
	}
}

// readOnlyWorks takes away the one folder of a mount that Airflow may write to.
func (s *story) readOnlyWorks(t *testing.T) {
	dir := filepath.Join(s.mount, "in-use")
	mode := must[os.FileInfo](t)(os.Stat(dir)).Mode()
	ok(t, os.Chmod(dir, 0o555))
	defer func() { ok(t, os.Chmod(dir, mode)) }()
	s.deploy(t, files(s.pair("6", "6"), s.sleeper("6")))
	s.listed(t, map[string][]string{"pair": tags("6", "6"), "sleeper": {"file-6"}})
	run := s.begin(t)
	s.release(t)
	s.succeeds(t, run)
}

// noBytecode looks for what Python leaves beside modules. That it does leave it
// where it may is seen in the folder that stands for the image's, where tasks
// ran from; with the class, which forbids it, on Python's path.
func (s *story) noBytecode(t *testing.T) {
	if found := bytecode(t, s.mount); len(found) > 0 {
		t.Errorf("the mount holds %v", found)
	}
	where := []string{s.image} // a task ran from there
	if s.pinned {
		where = []string{s.home, s.lib} // the class leaves none in an image's folder either
	}
	if found := bytecode(t, where...); len(found) == 0 {
		t.Error("Airflow's user left no bytecode anywhere, so nothing is shown by its absence in the mount")
	}
}

func bytecode(t *testing.T, dirs ...string) (found []string) {
	t.Helper()
	for _, dir := range dirs {
		ok(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // Airflow cleared something away
			}
			if err == nil && (d.Name() == "__pycache__" || strings.HasSuffix(path, ".pyc")) {
				found = append(found, path)
			}
			return err
		}))
	}
	return found
}
