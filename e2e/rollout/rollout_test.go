// Package rollout has agents of the built binary roll images out on a Docker Engine.
package rollout

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/e2e/program"

	"slipway/internal/datadir"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// TestRollsImagesOut is the whole way: docker push, deploy, and the agents
// replace the containers.
func TestRollsImagesOut(t *testing.T) {
	f := newFleet(t)
	one := f.push("one")
	f.push("two")
	f.push("crash", "ENV CRASH=1")
	if got, text := f.deployImage("one"); got != slipway.Deployed || !strings.Contains(text, "Published. No component is connected.") {
		t.Fatalf("without an agent: %s, %s", got, text)
	}
	f.run("scheduler", "airflow", one)
	f.run("worker", "airflow", one, "--env", "TASK=1")
	f.run("triggerer", "triggerer", one)
	dir := f.agent("airflow")
	f.agent("triggerer")
	f.AwaitHealthy()
	f.wantVersions(map[string]string{"scheduler": "one", "worker": "one", "triggerer": "one"})

	if got, text := f.deployImage("two"); got != slipway.Deployed {
		t.Fatalf("deploy: %s, %s", got, text)
	}
	f.AwaitHealthy()
	f.wantVersions(map[string]string{"scheduler": "two", "worker": "two", "triggerer": "two"})

	f.longTask(dir)
	f.crash()
	f.scaleDown()
	f.wantLog()
}

// longTask has DAGs go through while a task of the old image runs on.
func (f *fleet) longTask(dir string) {
	f.Helper()
	f.eventually("only the task is left", func() bool {
		left := f.leftovers()
		return len(left) == 1 && strings.HasPrefix(left[0], "worker.slipway-until-")
	})
	f.DeployDAGs("", program.ArchiveOf(map[string]string{"dags/sales.py": "from airflow import DAG"}))
	if text, err := os.ReadFile(filepath.Join(dir, "current", "dags", "sales.py")); err != nil || string(text) != "from airflow import DAG" {
		f.Errorf("mounted is %q, %v", text, err)
	}
	if left := f.leftovers(); len(left) != 1 || f.engine.Docker(f.T, "inspect", "--format", "{{.State.Running}}", left[0]) != "true" {
		f.Errorf("%q is left, want the container whose task runs", left)
	}
	if err := os.WriteFile(filepath.Join(f.shared, "finished"), nil, 0o644); err != nil {
		f.Fatal(err)
	}
	f.eventually("the old container is gone", func() bool { return len(f.leftovers()) == 0 })
}

// crash deploys an image that does not run: everything goes back.
func (f *fleet) crash() {
	f.Helper()
	got, text := f.deployImage("crash")
	if got != slipway.Failed || !strings.Contains(text, "airflow: The new container") || !strings.Contains(text, "exited with code 3") {
		f.Errorf("deploy of what crashes: %s, %s", got, text)
	}
	f.AwaitHealthy()
	f.eventually("nothing is left of it", func() bool { return len(f.leftovers()) == 0 })
	f.wantVersions(map[string]string{"scheduler": "two", "worker": "two", "triggerer": "two"})
}

// scaleDown removes a component's containers, and its agent leaves.
func (f *fleet) scaleDown() {
	f.Helper()
	f.engine.Docker(f.T, "rm", "--force", "triggerer", "worker")
	f.agents["triggerer"].TerminateWithin(f.T, time.Minute)
	f.AwaitHealthy()
	if got, text := f.deployImage("one"); got != slipway.Deployed {
		f.Fatalf("deploy after scaling down: %s, %s", got, text)
	}
	f.AwaitHealthy()
	f.wantVersions(map[string]string{"scheduler": "one"})
}

// TestRolloutSurvivesKills kills agents in the middle of rollouts.
func TestRolloutSurvivesKills(t *testing.T) {
	f := newFleet(t)
	ref := f.push("one")
	f.push("two")
	f.run("scheduler", "airflow", ref)
	f.run("worker", "airflow", ref, "--label", "slipway.order=stop-first")
	f.agent("airflow")
	f.deployImage("one")
	f.AwaitHealthy()
	for round, tag := range []string{"two", "one", "two", "one"} {
		if got, text := f.queueImage(tag, "0s"); got == slipway.Failed {
			t.Fatalf("deploy %d: %s", round, text)
		}
		f.eventually("new containers come", func() bool { return len(f.leftovers()) > 0 })
		time.Sleep(time.Duration(round) * 150 * time.Millisecond) // each time at another point
		f.agents["airflow"].Kill()
		f.agent("airflow")
		f.eventually("the rollout ends well", func() bool {
			return len(f.leftovers()) == 0 && f.versions()["scheduler"] == tag && f.versions()["worker"] == tag
		})
		f.AwaitHealthy()
		newest := f.Do("GET", f.DeploymentPath()+"/deploys?limit=1&offset=0", "", "deploys")["deploys"].([]any)[0].(program.Fields)
		if newest["status"] != "DEPLOYED" {
			t.Errorf("deploy %d: %v", round, newest)
		}
	}
}

// wantLog reads what the deploys' logs hold.
func (f *fleet) wantLog() {
	f.Helper()
	f.Installation.Process.Kill()
	st := storetest.OpenAt(f.T, filepath.Join(f.Installation.Data, datadir.Database))
	for number, want := range map[int][]string{
		2: {"airflow: The new container scheduler is healthy", "triggerer: The new container triggerer is in charge"},
		4: {"scheduler | ModuleNotFoundError: airflow", "exited with code 3"},
	} {
		var text strings.Builder
		storetest.View(f.T, st, func(tx *store.Tx) error {
			w, err := tx.Deploy(f.Installation.DeploymentID, number)
			if err != nil {
				return err
			}
			lines, err := tx.Log(w.ID, 0, 1000)
			for _, l := range lines {
				fmt.Fprintln(&text, l.Text)
			}
			return err
		})
		for _, w := range want {
			if !strings.Contains(text.String(), w) {
				f.Errorf("the log of #%d lacks %q:\n%s", number, w, text.String())
			}
		}
	}
}
