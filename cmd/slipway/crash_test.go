package main

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway"
	"slipway/store"
	"slipway/store/storetest"
)

const (
	crashRounds     = 10 // unless SLIPWAY_CRASH_ROUNDS says otherwise
	crashFolder     = 50 // rounds on one data folder
	crashSpan       = 1000 * time.Millisecond
	crashStartSpan  = 200 * time.Millisecond
	crashWorkers    = 2 // for each Deployment
	crashDeployment = 3
)

// TestCrashes kills a portal that is at work, over and over, and checks each
// time that everything it acknowledged is still there and nothing else is.
// SLIPWAY_CRASH_SEED makes the same choices again.
func TestCrashes(t *testing.T) {
	c := &crash{seed: seedFrom(t), program: built(t, "slipway"), killed: map[string]int{}}
	rounds := numberFrom(t, "SLIPWAY_CRASH_ROUNDS", crashRounds)
	began := time.Now()
	for c.round = range rounds {
		if c.round%crashFolder == 0 {
			c.newFolder(t)
		}
		if wrong := c.once(t); len(wrong) > 0 {
			t.Fatalf("seed %d, round %d:\n%s\n\nthe portal said:\n%s", c.seed, c.round, strings.Join(wrong, "\n"), c.portal.tail())
		}
	}
	c.countConfirmed()
	fmt.Printf("crashes: seed %d, %d rounds in %s, %d deploys confirmed; at the kill there was %s\n",
		c.seed, rounds, time.Since(began).Round(time.Second), c.confirmed, c.phases())
}

// crashFault is how many rounds may pass until a fault is found.
const crashFault = 300

// TestCrashesFindFaults makes sure that the kills find what they are there for.
func TestCrashesFindFaults(t *testing.T) {
	program := brokenBuild(t)
	for _, b := range broken {
		if !b.kill {
			continue
		}
		t.Run(b.name, func(t *testing.T) {
			c := &crash{seed: seedFrom(t), program: program, env: []string{"env", "SLIPWAY_BROKEN=" + b.name}, killed: map[string]int{}}
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
	seed    uint64
	round   int
	program string
	env     []string

	dir, data, temp string
	jar             http.CookieJar
	world           storetest.World
	model           *model
	disk            *disk
	portal          *process
	killed          map[string]int // what was going on, in how many rounds
	confirmed       int
}

// newFolder begins anew on an empty data folder.
func (c *crash) newFolder(t *testing.T) {
	c.countConfirmed()
	if c.dir != "" {
		if err := removeAll(c.dir); err != nil {
			t.Fatal(err)
		}
	}
	c.dir, c.jar, c.model = t.TempDir(), nil, newModel()
	c.data, c.temp = filepath.Join(c.dir, "data"), filepath.Join(c.dir, "tmp")
	for _, dir := range []string{c.data, c.temp} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c.disk = newDisk(c.data)
	st, err := store.Open(t.Context(), filepath.Join(c.data, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	c.world = storetest.Seed(t, st)
	storetest.Update(t, st, func(tx *store.Tx) error {
		for n := range crashDeployment - 1 {
			if _, err := storetest.AddDeployment(tx, c.world.Workspace.ID, fmt.Sprintf("more-%d", n)); err != nil {
				return err
			}
		}
		return nil
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
}

// once starts the portal, lets it come to rest, puts it to work, kills it, and
// returns what is wrong.
func (c *crash) once(t *testing.T) (wrong []string) {
	rng := rand.New(rand.NewPCG(c.seed, uint64(c.round)))
	if rng.IntN(8) == 0 {
		if wrong := c.killedAtStart(t, rng); len(wrong) > 0 {
			return wrong
		}
	}
	c.start(t)
	base := c.portal.ready()
	if base == "" {
		return []string{"the portal does not start"}
	}
	if c.jar == nil {
		c.jar = signInAda(t, base)
	}
	if wrong := c.rest(t); len(wrong) > 0 {
		return append(wrong, "after the start")
	}
	if wrong = c.work(t, base, rng); len(wrong) > 0 {
		return append(wrong, "at work")
	}
	if wrong = c.look(t); len(wrong) > 0 {
		return append(wrong, "after the kill")
	}
	if rng.IntN(4) == 0 {
		c.age(t)
	}
	return nil
}

func (c *crash) start(t *testing.T) {
	argv := serveArgs(c.program, c.data, "--reserve", "0", "--retain-every", "100ms")
	c.portal = launch(t, c.temp, append(slices.Clone(c.env), argv...)...)
}

// killedAtStart kills the portal while it puts in order what the kill before
// left.
func (c *crash) killedAtStart(t *testing.T, rng *rand.Rand) []string {
	c.start(t)
	time.Sleep(time.Duration(rng.Int64N(int64(crashStartSpan))))
	c.portal.kill()
	c.killed["start"]++
	if wrong := c.look(t); len(wrong) > 0 {
		return append(wrong, "after the kill at the start")
	}
	return nil
}

// rest waits until the portal has finished by itself what was acknowledged,
// and checks that nothing else is left.
func (c *crash) rest(t *testing.T) (wrong []string) {
	st, err := store.Attach(t.Context(), filepath.Join(c.data, databaseName))
	if err != nil {
		return []string{err.Error()}
	}
	defer st.Close()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		f, err := factsOf(t.Context(), st)
		if err != nil {
			return []string{err.Error()}
		}
		wrong = nil
		if f.busy() {
			wrong = []string{"the portal does not come to rest"}
			continue
		}
		for _, name := range c.disk.leftovers(f, c.temp) {
			wrong = append(wrong, "left over: "+name)
		}
		for _, d := range f.deployments {
			wrong = append(wrong, c.disk.current(d)...)
		}
		if len(wrong) > 0 {
			continue
		}
		wrong = append(c.model.check(f, true), c.disk.check(t.Context(), f, c.model)...)
		if now, err := factsOf(t.Context(), st); err == nil && f.same(now) {
			return wrong
		}
	}
	return append(wrong, "and the portal does not come to rest")
}

// work has people at work until the kill.
func (c *crash) work(t *testing.T, base string, rng *rand.Rand) (wrong []string) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f, _ := afterKill(t, c.data)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i, d := range f.deployments {
		for n := range crashWorkers {
			w := &worker{
				visitor: newVisitor(ctx, base, c.jar), of: d.ID, model: c.model, last: len(f.deploys[d.ID]),
				rng: rand.New(rand.NewPCG(c.seed, uint64(c.round)<<8|uint64(i*crashWorkers+n+1))),
			}
			wg.Go(func() {
				found := w.run()
				w.CloseIdleConnections()
				mu.Lock()
				wrong = append(wrong, found...)
				mu.Unlock()
			})
		}
	}
	time.Sleep(time.Duration(rng.Int64N(int64(crashSpan))))
	c.portal.kill()
	cancel()
	wg.Wait()
	return wrong
}

// look checks the data folder as the kill left it.
func (c *crash) look(t *testing.T) []string {
	f, wrong := afterKill(t, c.data)
	c.tally(f)
	wrong = append(wrong, c.model.check(f, false)...)
	wrong = append(wrong, c.disk.check(t.Context(), f, c.model)...)
	return append(wrong, c.model.contents(f)...)
}

// tally notes what the kill cut off.
func (c *crash) tally(f facts) {
	going := map[string]bool{}
	for of, all := range f.deploys {
		for _, w := range all {
			for phase, on := range map[string]bool{
				"uploading":  w.Status == slipway.Initialized && w.UploadedAt.IsZero(),
				"staging":    w.Status == slipway.Initialized && !w.UploadedAt.IsZero(),
				"waiting":    w.Status == slipway.Queued,
				"publishing": w.Status == slipway.Deploying && !w.WentLive(),
				"mounting":   w.Status == slipway.Deploying && w.WentLive(),
				"returning":  w.Status.Active() && w.ReturnTo != 0,
			} {
				going[phase] = going[phase] || on
			}
		}
		going["switching"] = going["switching"] || f.waiting[of] > 0
	}
	for _, name := range c.disk.leftovers(f, c.temp) {
		going["retaining"] = going["retaining"] || strings.HasSuffix(name, ".json.zst") || strings.Contains(name, ".tmp-gone-")
		going["unfinished files"] = true
	}
	for phase, on := range going {
		if on {
			c.killed[phase]++
		}
	}
}

func (c *crash) phases() string {
	var all []string
	for _, phase := range slices.Sorted(maps.Keys(c.killed)) {
		all = append(all, fmt.Sprintf("%s %d", phase, c.killed[phase]))
	}
	return strings.Join(all, ", ")
}

// age makes everything that was replaced old enough to expire, on the portal's
// side and in the mounts.
func (c *crash) age(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(c.data, databaseName))
	if err == nil {
		_, err = db.ExecContext(t.Context(), `UPDATE versions SET replaced_at = 1 WHERE replaced_at > 0`)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	records, err := filepath.Glob(filepath.Join(c.data, "mounts", "*", "versions", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range records {
		old := time.Now().Add(-48 * time.Hour)
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
}
