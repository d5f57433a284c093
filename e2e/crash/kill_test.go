package crash

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slipway/e2e/program"

	"slipway/internal/datadir"
	"slipway/internal/slipway"
	"slipway/store"
)

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
	base := c.portal.Ready()
	if base == "" {
		return []string{"the portal does not start"}
	}
	if c.jar == nil {
		c.jar = program.SignInAda(t, base)
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
	argv := program.ServeArgs(c.binary, c.data, "--reserve", "0", "--retain-every", "100ms", "--leftover-age", "0")
	c.portal = program.Launch(t, c.temp, append(slices.Clone(c.env), argv...)...)
}

// killedAtStart kills the portal while it puts in order what the kill before
// left.
func (c *crash) killedAtStart(t *testing.T, rng *rand.Rand) []string {
	c.start(t)
	time.Sleep(time.Duration(rng.Int64N(int64(crashStartSpan))))
	c.portal.Kill()
	c.killed["start"]++
	if wrong := c.look(t); len(wrong) > 0 {
		return append(wrong, "after the kill at the start")
	}
	return nil
}

// rest waits until the portal has finished by itself what was acknowledged,
// and checks that nothing else is left.
func (c *crash) rest(t *testing.T) (wrong []string) {
	st, err := store.Attach(t.Context(), filepath.Join(c.data, datadir.Database))
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
	var answers atomic.Int64
	last, enough := 1+rng.Int64N(crashAnswers), make(chan struct{})
	for i, d := range f.deployments {
		for n := range crashWorkers[i] {
			w := &worker{
				Visitor: program.NewVisitor(ctx, base, c.jar), of: d.ID, model: c.model, token: c.token, images: c.images, last: len(f.deploys[d.ID]),
				rng: rand.New(rand.NewPCG(c.seed, uint64(c.round)<<8|uint64(i<<4|n+1))),
				changed: func() {
					if answers.Add(1) == last {
						close(enough)
					}
				},
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
	select {
	case <-enough:
	case <-time.After(crashPatience):
	}
	time.Sleep(time.Duration(rng.Int64N(int64(crashAfter))))
	c.portal.Kill()
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
				"an image":   w.Kind.HasImage() && !w.Status.Ended(),
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

// age makes everything that was replaced old enough to expire, on the portal's
// side and in the mounts.
func (c *crash) age(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(c.data, datadir.Database))
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
