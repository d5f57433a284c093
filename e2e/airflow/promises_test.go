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
	"time"
)

// story is one way of connecting Airflow, with what the tests of it share.
type story struct {
	*airflow
	*deployment
	code
	way    string // of connecting
	pinned bool   // a run keeps its version
	first  deployed
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
		if !t.Run(s.way+"/"+p.name, p.test) {
			return // the next ones would wait in vain
		}
	}
}

// listed waits until Airflow lists exactly want: the tags of each DAG.
func (s *story) listed(t *testing.T, want map[string][]string) {
	t.Helper()
	until(t, func() error {
		got, err := s.client.dags(s.prefix + "_")
		if err == nil && !maps.EqualFunc(got, want, slices.Equal) {
			err = fmt.Errorf("lists %v, want %v", got, want)
		}
		return err
	})
}

// timed deploys all, waits until it is listed, and notes how long that took.
func (s *story) timed(t *testing.T, what string, all map[string]string, want map[string][]string) deployed {
	t.Helper()
	w := s.deploy(t, all)
	start := time.Now()
	s.listed(t, want)
	s.note(what, time.Since(start))
	return w
}

func tags(file, helper string) []string { return []string{"file-" + file, "helper-" + helper} }

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

func (s *story) removedGoes(t *testing.T) {
	s.timed(t, "removed DAG", s.pair("1", "2"), map[string][]string{"pair": tags("1", "2")})
}

func (s *story) returnBringsBack(t *testing.T) {
	s.returnTo(t, s.first)
	start := time.Now()
	s.listed(t, map[string][]string{"pair": tags("1", "1"), "other": {"file-1"}})
	s.note("return", time.Since(start))
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
		file, helper, _ := strings.Cut(strings.Join(got["pair"], " "), " helper-")
		if file != "file-"+helper {
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
		path := filepath.Join(s.mount, dir, "written.py")
		if out, err := s.command("touch", path).CombinedOutput(); err == nil {
			t.Errorf("Airflow's user wrote %s: %s", path, out)
		}
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
// where it may is seen in the folder that stands for the image's, or on its path.
func (s *story) noBytecode(t *testing.T) {
	if found := bytecode(t, s.mount); len(found) > 0 {
		t.Errorf("the mount holds %v", found)
	}
	if found := bytecode(t, s.home, s.lib, s.image); len(found) == 0 {
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
