// Package crash kills the built binary at work, follows the order of its system
// calls, and has crowds deploy at once: docs/crashes.md.
package crash

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"slipway/e2e/program"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway/internal/auth"
	"slipway/internal/datadir"
	"slipway/internal/durable"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

const (
	crashRounds    = 10 // unless SLIPWAY_CRASH_ROUNDS says otherwise
	crashFolder    = 50 // rounds on one data folder
	crashStartSpan = 200 * time.Millisecond
	crashAnswers   = 80                    // most changes that are answered before a kill: a busy machine is killed at as much work as an idle one
	crashAfter     = 20 * time.Millisecond // most time from the last answer to the kill
	crashPatience  = 10 * time.Second      // until a kill without so many answers
)

// crashWorkers is how many people work on each Deployment.
var crashWorkers = [...]int{6, 2, 1}

// TestCrashes kills a portal that is at work, over and over, and checks each
// time that everything it acknowledged is still there and nothing else is.
// SLIPWAY_CRASH_SEED makes the same choices again.
func TestCrashes(t *testing.T) {
	c := &crash{seed: seedFrom(t), binary: program.Build(t, "slipway"), killed: map[string]int{}, accepted: map[string]int{}}
	rounds := numberFrom(t, "SLIPWAY_CRASH_ROUNDS", crashRounds)
	began := time.Now()
	for c.round = range rounds {
		if c.round%crashFolder == 0 {
			c.newFolder(t)
		}
		if wrong := c.once(t); len(wrong) > 0 {
			t.Fatalf("seed %d, round %d:\n%s\n\nthe portal said:\n%s", c.seed, c.round, strings.Join(wrong, "\n"), c.portal.Tail())
		}
	}
	c.countConfirmed()
	fmt.Printf("crashes: seed %d, %d rounds in %s, %d deploys confirmed, of them over the API %v; at the kill there was %s\n",
		c.seed, rounds, time.Since(began).Round(time.Second), c.confirmed, c.accepted, c.phases())
	for _, how := range []string{"in one moment", "images", "in one request"} {
		if rounds >= crashEnough && c.accepted[how] == 0 {
			t.Errorf("no deploy was accepted that came %q: the kills have shown nothing about such", how)
		}
	}
}

// crashEnough is from how many rounds on each way to deploy must have been seen.
const crashEnough = 200

// crashFault is how many rounds may pass until a fault is found.
const crashFault = 300

// TestCrashesFindFaults makes sure that the kills find what they are there for.
func TestCrashesFindFaults(t *testing.T) {
	binary := brokenBuild(t)
	for _, b := range broken {
		if !b.kill {
			continue
		}
		t.Run(b.name, func(t *testing.T) {
			c := &crash{seed: seedFrom(t), binary: binary, env: []string{"env", "SLIPWAY_BROKEN=" + b.name}, killed: map[string]int{}, accepted: map[string]int{}}
			for c.round = range crashFault {
				if c.round%crashFolder == 0 {
					c.newFolder(t)
				}
				if wrong := c.once(t); len(wrong) > 0 {
					t.Logf("found in round %d of seed %d: %s", c.round, c.seed, wrong[0])
					return
				}
			}
			t.Errorf("nobody noticed in %d rounds of seed %d", crashFault, c.seed)
		})
	}
}

func seedFrom(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("SLIPWAY_CRASH_SEED")
	if text == "" {
		return rand.Uint64N(1_000_000_000)
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

func numberFrom(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is no number of rounds", variable, text)
	}
	return n
}

// crash is a series of kills.
type crash struct {
	seed   uint64
	round  int
	binary string
	env    []string

	dir, data, temp string
	jar             http.CookieJar
	world           storetest.World
	token           string // an Author's, for the API
	images          []v1.Image
	model           *model
	disk            *disk
	portal          *program.Process
	killed          map[string]int // what was going on, in how many rounds
	confirmed       int
	accepted        map[string]int // as the model counts
}

// newFolder begins anew on an empty data folder.
func (c *crash) newFolder(t *testing.T) {
	c.countConfirmed()
	if c.dir != "" {
		if err := durable.RemoveTree(c.dir); err != nil {
			t.Fatal(err)
		}
	}
	c.dir, c.jar, c.model = t.TempDir(), nil, newModel()
	if c.images == nil {
		c.images = someImages(t)
	}
	c.data, c.temp = filepath.Join(c.dir, "data"), filepath.Join(c.dir, "tmp")
	for _, dir := range []string{c.data, c.temp} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c.disk = newDisk(c.data)
	st, err := store.Open(t.Context(), filepath.Join(c.data, datadir.Database))
	if err != nil {
		t.Fatal(err)
	}
	c.world = storetest.Seed(t, st)
	storetest.Update(t, st, func(tx *store.Tx) (err error) {
		for n := range len(crashWorkers) - 1 {
			if _, err := storetest.AddDeployment(tx, c.world.Workspace.ID, fmt.Sprintf("more-%d", n)); err != nil {
				return err
			}
		}
		c.token, _, err = auth.AddToken(tx, store.Token{Name: "ci", Workspace: c.world.Workspace.ID, Role: slipway.Author})
		return err
	})
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}

func (c *crash) countConfirmed() {
	if c.model == nil {
		return
	}
	for _, a := range c.model.deploys {
		if a.confirmed > 0 {
			c.confirmed++
		}
	}
	for how, n := range c.model.accepted {
		c.accepted[how] += n
	}
}

// phases says in how many rounds the kill came upon what.
func (c *crash) phases() string {
	var all []string
	for _, phase := range slices.Sorted(maps.Keys(c.killed)) {
		all = append(all, fmt.Sprintf("%s %d", phase, c.killed[phase]))
	}
	return strings.Join(all, ", ")
}
