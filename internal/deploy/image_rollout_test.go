package deploy_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/deploy"
	"slipway/internal/deploy/deploytest"
	"slipway/internal/slipway"
)

// unchanged fails unless everything is as it was after before.
func (a *app) unchanged(t *testing.T, before slipway.State, image string, mounted map[string]string) {
	t.Helper()
	if got := a.sales(t).State; got != before {
		t.Errorf("state %+v, want %+v", got, before)
	}
	if env := a.imageEnv(t); image == "" && env != "" || image != "" && !strings.Contains(env, "@"+image+"\n") {
		t.Errorf("image.env %q, want %s", env, image)
	}
	a.Eventually(t, "the mount is as before", func() bool { return cmp.Equal(a.Mounted(t), mounted) })
}

func TestRolloutFails(t *testing.T) {
	for name, tt := range map[string]struct {
		then string // the apply command does
		want string
	}{
		"exit 1":       {`echo "no space left"; exit 1`, "failed: exit status 1. It said last: no space left."},
		"not found":    {"/no/such/program", "It said last:"},
		"killed":       {"kill -9 $$", "signal: killed"},
		"only the new": {`case $RUNTIME_VERSION in 3.1-5) exit 3;; esac`, "exit status 3."},
	} {
		t.Run(name, func(t *testing.T) {
			a := applying(t)
			first := a.ConfirmedProject(t, "1", deploytest.Runtime1, map[string]string{"a.py": dag("a")})
			first = a.Await(t, first.Number, slipway.Deployed)
			a.SetApplyScript(t, tt.then)
			w := a.ConfirmedProject(t, "2", deploytest.Runtime2, map[string]string{"b.py": dag("b")})
			w = a.Await(t, w.Number, slipway.Failed)
			if !strings.Contains(w.Reason, tt.want) || w.WentLive() {
				t.Errorf("reason %q, want %q", w.Reason, tt.want)
			}
			a.unchanged(t, first.After, first.After.Image, map[string]string{"a.py": dag("a")})
			if diff := cmp.Diff([]string{first.After.Image, w.Image.Digest, first.After.Image}, a.applied(t)); diff != "" {
				t.Errorf("applied (-want +got):\n%s", diff)
			}
			if len(a.manifests(t)) != 1 {
				t.Errorf("manifests %v", a.manifests(t))
			}
			if !strings.Contains(a.log(t, w.Number), "Running the apply command script.") {
				t.Errorf("log:\n%s", a.log(t, w.Number))
			}
			// And the next one goes live.
			a.SetApplyScript(t, "true")
			again := a.ConfirmedProject(t, "2", deploytest.Runtime2, map[string]string{"b.py": dag("b")})
			a.Await(t, again.Number, slipway.Deployed)
			a.WantMounted(t, map[string]string{"b.py": dag("b")})
		})
	}
}

func TestRolloutTakesLong(t *testing.T) {
	a := applying(t)
	first := a.ConfirmedProject(t, "1", deploytest.Runtime1, map[string]string{"a.py": dag("a")})
	first = a.Await(t, first.Number, slipway.Deployed)
	a.Change = append(a.Change, func(c *deploy.Config) { c.ApplyTimeout = time.Second })
	a.restart(t)
	a.SetApplyScript(t, `case $RUNTIME_VERSION in 3.1-5) sleep 600 & sleep 600;; esac`)
	w := a.ConfirmedProject(t, "2", deploytest.Runtime2, map[string]string{"b.py": dag("b")})
	if w = a.Await(t, w.Number, slipway.Failed); !strings.HasPrefix(w.Reason, "The apply command script did not end within 1s, and was stopped.") {
		t.Errorf("reason %q", w.Reason)
	}
	a.unchanged(t, first.After, first.After.Image, map[string]string{"a.py": dag("a")})
}

func TestFirstRolloutFails(t *testing.T) {
	a := applying(t)
	before := a.sales(t).State
	a.SetApplyScript(t, "exit 1")
	w := a.ConfirmedProject(t, "1", deploytest.Runtime1, map[string]string{"a.py": dag("a")})
	a.Await(t, w.Number, slipway.Failed)
	a.unchanged(t, before, "", map[string]string{})
	if len(a.applied(t)) != 1 {
		t.Errorf("applied %v", a.applied(t))
	}
}

// TestMountFails: the image runs already, but its DAGs cannot be mounted.
func TestMountFails(t *testing.T) {
	a := applying(t)
	first := a.ConfirmedProject(t, "1", deploytest.Runtime1, map[string]string{"a.py": dag("a")})
	first = a.Await(t, first.Number, slipway.Deployed)
	heal := a.block(t)
	w := a.ConfirmedProject(t, "2", deploytest.Runtime2, map[string]string{"b.py": dag("b")})
	w = a.Await(t, w.Number, slipway.Failed)
	if !strings.Contains(w.Reason, "were not mounted everywhere") {
		t.Errorf("reason %q", w.Reason)
	}
	heal()
	a.unchanged(t, first.After, first.After.Image, map[string]string{"a.py": dag("a")})
	if diff := cmp.Diff([]string{first.After.Image, w.Image.Digest, first.After.Image}, a.applied(t)); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
}

// restart stops the engine, builds another one on the same folder and runs it.
func (a *app) restart(t *testing.T) {
	t.Helper()
	a.Stop()
	a.Build(t, a.Change...)
	a.Run(t)
}

// TestRestartInTheMiddle: whatever was going on, it goes on, and ends as it
// would have.
func TestRestartInTheMiddle(t *testing.T) {
	for name, tt := range map[string]struct {
		during  string // the apply command does when the portal stops
		after   string // and afterwards
		succeed bool
		at      func(a *app, w slipway.Deploy) bool // when the portal stops
	}{
		"while it is applied, then well":  {"sleep 600", "true", true, func(a *app, w slipway.Deploy) bool { return !w.RollingAt.IsZero() }},
		"while it is applied, then badly": {"sleep 600", `case $RUNTIME_VERSION in 3.1-5) exit 3;; esac`, false, func(a *app, w slipway.Deploy) bool { return !w.RollingAt.IsZero() }},
		"while it goes back":              {`case $RUNTIME_VERSION in 3.1-5) exit 3;; esac; sleep 600`, "true", false, func(a *app, w slipway.Deploy) bool { return w.Reason != "" }},
	} {
		t.Run(name, func(t *testing.T) {
			a := applying(t)
			first := a.ConfirmedProject(t, "1", deploytest.Runtime1, map[string]string{"a.py": dag("a")})
			first = a.Await(t, first.Number, slipway.Deployed)
			a.SetApplyScript(t, tt.during)
			w := a.ConfirmedProject(t, "2", deploytest.Runtime2, map[string]string{"b.py": dag("b")})
			a.Eventually(t, "it is in the middle", func() bool { return tt.at(a, a.Load(t, w.Number)) && len(a.applied(t)) >= 2 })
			a.Stop()
			if got := a.Load(t, w.Number).Status; got != slipway.Deploying {
				t.Fatalf("after the stop it is %s", got)
			}
			a.SetApplyScript(t, tt.after)
			a.restart(t)
			if tt.succeed {
				w = a.Await(t, w.Number, slipway.Deployed)
				a.unchanged(t, w.After, w.Image.Digest, map[string]string{"b.py": dag("b")})
				return
			}
			w = a.Await(t, w.Number, slipway.Failed)
			if !strings.Contains(w.Reason, "exit status 3") {
				t.Errorf("reason %q", w.Reason)
			}
			a.unchanged(t, first.After, first.After.Image, map[string]string{"a.py": dag("a")})
		})
	}
}

// TestApplyIsStoppedWhole: nothing of the apply command outlives the portal.
func TestApplyIsStoppedWhole(t *testing.T) {
	a := applying(t)
	a.SetApplyScript(t, `sleep 600 & echo $! > "$0/child"; wait`)
	a.Push(t, "1", deploytest.Runtime1.Build(t))
	w := a.StagedImage(t, slipway.ImageOnly, "1")
	a.Confirm(t, w.Number, a.Eve)
	child := filepath.Join(a.Dir, "child")
	var pid []byte
	a.Eventually(t, "the command runs", func() bool {
		pid, _ = os.ReadFile(child)
		return bytes.HasSuffix(pid, []byte("\n"))
	})
	a.Stop()
	a.Eventually(t, "its child has ended", func() bool {
		state, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		return err != nil || strings.Contains(string(state), ") Z ")
	})
}

func TestReturnToImages(t *testing.T) {
	a := applying(t)
	one := a.ConfirmedProject(t, "1", deploytest.Runtime1, map[string]string{"a.py": dag("a")})
	one = a.Await(t, one.Number, slipway.Deployed)
	two := a.DeployedImage(t, slipway.ImageOnly, "2", deploytest.Runtime2)
	three := a.Deployed(t, slipway.ReplaceAll, map[string]string{"c.py": dag("c")})

	back := func(to slipway.Deploy, kind slipway.DeployKind, image string, mounted map[string]string) {
		t.Helper()
		r, err := a.Engine.ReviewReturn(t.Context(), a.Sales.ID, to.Number, a.Eve)
		if err != nil || r.Refusal != nil {
			t.Fatalf("review of the return to #%d: %v, %v", to.Number, r.Refusal, err)
		}
		w, err := a.Engine.Return(t.Context(), a.Sales.ID, to.Number, a.Eve, r.Base, deploytest.DAGTicks, "")
		if err != nil {
			t.Fatal(err)
		}
		if w.Kind != kind {
			t.Errorf("the return to #%d is %s, want %s", to.Number, w.Kind, kind)
		}
		w = a.Await(t, w.Number, slipway.Deployed)
		a.unchanged(t, w.After, image, mounted)
		if w.After.Image != image || (r.Image == nil) != (kind == slipway.DAGOnly) {
			t.Errorf("after the return to #%d: %+v", to.Number, w.After)
		}
	}
	// A downgrade, which only a return may do.
	back(one, slipway.ImageAndDAG, one.After.Image, map[string]string{"a.py": dag("a")})
	back(two, slipway.ImageOnly, two.After.Image, map[string]string{"a.py": dag("a")})
	back(three, slipway.DAGOnly, two.After.Image, map[string]string{"c.py": dag("c")})

	// And one that fails goes back.
	before := a.sales(t).State
	a.SetApplyScript(t, `case $RUNTIME_VERSION in 3.1-4) exit 1;; esac`)
	w, err := a.Engine.Return(t.Context(), a.Sales.ID, one.Number, a.Eve, before.Version, deploytest.DAGTicks, "")
	if err != nil {
		t.Fatal(err)
	}
	a.Await(t, w.Number, slipway.Failed)
	a.unchanged(t, before, two.After.Image, map[string]string{"c.py": dag("c")})
}

// TestRolloutJudgedAtItsTurn: what was called back may make a downgrade of what
// waited behind it.
func TestRolloutJudgedAtItsTurn(t *testing.T) {
	a := applying(t)
	one := a.DeployedImage(t, slipway.ImageOnly, "1", deploytest.Runtime1)
	two := a.DeployedImage(t, slipway.ImageOnly, "2", deploytest.Runtime2)
	other := deploytest.Runtime1
	other.Packages = "another"
	a.Push(t, "other", other.Build(t))

	a.SetApplyScript(t, `while [ -e "$0/hold" ]; do sleep 0.05; done`)
	a.hold(t)
	running := a.StagedImage(t, slipway.ImageOnly, "2")
	a.Confirm(t, running.Number, a.Eve)
	a.Eventually(t, "it runs", func() bool { return len(a.applied(t)) == 3 })
	back, err := a.Engine.Return(t.Context(), a.Sales.ID, one.Number, a.Eve, "", deploytest.DAGTicks, "")
	if err != nil {
		t.Fatal(err)
	}
	older := a.StagedImage(t, slipway.ImageOnly, "other") // fine after the return
	a.Confirm(t, older.Number, a.Eve)
	_, err = a.Engine.Cancel(t.Context(), a.Sales.ID, running.Number, a.Eve)
	wantKind(t, err, slipway.Conflict, "going live already")
	if _, err := a.Engine.Cancel(t.Context(), a.Sales.ID, back.Number, a.Eve); err != nil {
		t.Fatal(err)
	}
	a.release(t)
	a.Await(t, running.Number, slipway.Deployed)
	older = a.Await(t, older.Number, slipway.Failed)
	if !strings.HasPrefix(older.Reason, "Cannot deploy a downgraded Astro Runtime version.") || !older.RollingAt.IsZero() {
		t.Errorf("reason %q, rolling at %s", older.Reason, older.RollingAt)
	}
	if d := a.sales(t); d.Image != two.After.Image || len(a.applied(t)) != 3 {
		t.Errorf("state %+v, applied %v", d.State, a.applied(t))
	}
}

// hold keeps an apply command that waits for it from going on.
func (a *app) hold(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(a.Dir, "hold"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (a *app) release(t *testing.T) {
	t.Helper()
	if err := os.Remove(filepath.Join(a.Dir, "hold")); err != nil {
		t.Fatal(err)
	}
}
