package crash

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slipway/e2e/program"

	"slipway/internal/slipway"
)

const (
	crashAgentRounds = 4 // unless SLIPWAY_CRASH_AGENT_ROUNDS says otherwise
	crashAgentSpan   = 600 * time.Millisecond
)

// TestCrashesOfAgents kills agents and the portal while deploys go live, over
// and over, and checks each time that what Airflow sees is a complete version.
// Between the kills the agents have to come to what was deployed last, without
// help.
func TestCrashesOfAgents(t *testing.T) {
	c := &agentCrash{RemoteAgents: program.NewRemoteAgents(t), rng: rand.New(rand.NewPCG(seedFrom(t), 1)), agents: map[string]*program.Process{}, killed: map[string]int{}}
	c.Start(t)
	for _, name := range []string{"scheduler-0", "worker-0"} {
		c.agents[name] = c.StartAgent(t, name)
	}
	rounds := numberFrom(t, "SLIPWAY_CRASH_AGENT_ROUNDS", crashAgentRounds)
	began := time.Now()
	for round := range rounds {
		c.round(t, round)
	}
	fmt.Printf("crashes of agents: %d rounds in %s, %d deploys sent; killed %v; in the middle of a mount %d times\n",
		rounds, time.Since(began).Round(time.Second), c.sent.Load(), c.killed, c.halfway)
}

// agentCrash is a series of kills.
type agentCrash struct {
	*program.RemoteAgents
	rng     *rand.Rand
	agents  map[string]*program.Process
	sent    atomic.Int64
	killed  map[string]int
	halfway int // a kill left a version half written
}

// round kills somebody at work, looks at what is left, and has everybody come
// to the last deploy.
func (c *agentCrash) round(t *testing.T, round int) {
	ctx, stop := context.WithCancel(t.Context())
	busy := make(chan struct{})
	go func() {
		defer close(busy)
		for ctx.Err() == nil {
			_, _, _ = c.Upload(ctx, generation(int(c.sent.Add(1))), "0s") // the portal may be gone
		}
	}()
	time.Sleep(time.Duration(c.rng.Int64N(int64(crashAgentSpan))))
	dead := c.kill()
	c.look(t, round)
	c.revive(t, dead)
	stop()
	<-busy
	c.converge(t, round)
}

// kill ends some processes at once, and returns who they were.
func (c *agentCrash) kill() (dead []string) {
	for _, name := range append(slices.Sorted(maps.Keys(c.agents)), "portal") {
		if c.rng.IntN(2) == 0 {
			dead = append(dead, name)
		}
	}
	if len(dead) == 0 {
		dead = []string{"worker-0"}
	}
	for _, name := range dead {
		c.killed[name]++
		if name == "portal" {
			c.Process.Kill()
		} else {
			c.agents[name].Kill()
		}
	}
	return dead
}

func (c *agentCrash) revive(t *testing.T, dead []string) {
	for _, name := range dead {
		if name == "portal" {
			c.Start(t)
		} else {
			c.agents[name] = c.StartAgent(t, name)
		}
	}
}

// look checks what Airflow sees beside each agent.
func (c *agentCrash) look(t *testing.T, round int) {
	t.Helper()
	for name := range c.agents {
		if err := completeMount(c.Mount(name)); err != nil {
			t.Fatalf("round %d: %s: %v\n%s", round, name, err, c.agents[name].Tail())
		}
		left, err := filepath.Glob(filepath.Join(c.Mount(name), "versions", ".tmp-*"))
		if err != nil {
			t.Fatal(err)
		}
		c.halfway += min(len(left), 1)
	}
}

// converge makes one more deploy, and waits until both agents have it.
func (c *agentCrash) converge(t *testing.T, round int) {
	t.Helper()
	last := int(c.sent.Add(1))
	status, text, err := c.Upload(t.Context(), generation(last), "60s")
	if err != nil || status != http.StatusOK && status != http.StatusAccepted {
		t.Fatalf("round %d: answer %d, %v: %s\n%s", round, status, err, text, c.Process.Tail())
	}
	for name, p := range c.agents {
		program.Until(t, fmt.Sprintf("%s has the last deploy of round %d:\n%s", name, round, p.Tail()), func() bool {
			return c.Holds(name, "generation.py", strconv.Itoa(last))
		})
	}
	c.look(t, round)
}

// generation is a project whose files all tell which deploy they are of, but
// for those that never change.
func generation(n int) map[string]string {
	files := map[string]string{"dags/generation.py": strconv.Itoa(n)}
	for i := range 40 {
		files[fmt.Sprintf("dags/same/%d.py", i)] = fmt.Sprint("the same ", i)
		files[fmt.Sprintf("dags/team_%d/changing_%d.py", i%4, i)] = fmt.Sprint(n, " ", strings.Repeat("x", i*100))
	}
	return files
}

// completeMount says what is wrong with what current points to: a version is
// whole, of one deploy, and as its record says.
func completeMount(dir string) error {
	to, err := os.Readlink(filepath.Join(dir, "current"))
	if os.IsNotExist(err) {
		return nil // nothing was mounted yet
	}
	if err != nil || to == "image" {
		return err
	}
	at := filepath.Join(dir, to)
	want, err := recordedSums(at + ".json")
	if err != nil {
		return fmt.Errorf("the record of %s: %w", to, err)
	}
	got, texts := map[string]string{}, map[string]string{}
	err = filepath.WalkDir(filepath.Join(at, "dags"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(filepath.Join(at, "dags"), path)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		sum := sha256.Sum256(b)
		got[name], texts[name] = hex.EncodeToString(sum[:]), string(b)
		return err
	})
	if err != nil {
		return err
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("%s has %d files, its record %d, and they are not the same", to, len(got), len(want))
	}
	n, err := strconv.Atoi(texts["generation.py"])
	if err != nil {
		return fmt.Errorf("%s is of no deploy: %w", to, err)
	}
	for name, text := range generation(n) {
		if texts[strings.TrimPrefix(name, "dags/")] != text {
			return fmt.Errorf("%s is of deploy %d, but not %s", to, n, name)
		}
	}
	return nil
}

// recordedSums reads which content each file of a mounted version has.
func recordedSums(path string) (map[string]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r struct{ Files []slipway.File }
	sums := map[string]string{}
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, err
	}
	for _, f := range r.Files {
		sums[f.Path] = f.SHA256
	}
	return sums, nil
}
