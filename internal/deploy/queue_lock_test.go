package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slipway/internal/deploy"
	"slipway/internal/deploy/deploytest"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// Requests get the lock of a queue in the order in which they came, and one that
// gives up takes no place.
func TestQueueLockKeepsTheOrder(t *testing.T) {
	a := newApp(t)
	open, begun := make(chan struct{}), make(chan struct{})
	var order []int
	var wg sync.WaitGroup
	wait := func(ctx context.Context, n int) {
		wg.Go(func() {
			err := a.Engine.InTurn(ctx, a.Sales.ID, func() error {
				if n == 0 {
					close(begun)
					<-open
				}
				order = append(order, n)
				return nil
			})
			if n == 3 && !errors.Is(err, context.Canceled) || n != 3 && err != nil {
				t.Errorf("request %d: %v", n, err)
			}
		})
		a.eventuallySoon(t, func() bool { return a.Engine.InLine(a.Sales.ID) == n+1 })
	}
	wait(t.Context(), 0)
	<-begun
	leaving, leave := context.WithCancel(t.Context())
	for n := 1; n < 20; n++ {
		ctx := t.Context()
		if n == 3 {
			ctx = leaving
		}
		wait(ctx, n)
	}
	leave()
	a.eventuallySoon(t, func() bool { return a.Engine.InLine(a.Sales.ID) == 19 })
	close(open)
	wg.Wait()
	if len(order) != 19 || !slices.IsSorted(order) {
		t.Errorf("they came in the order %v", order)
	}
	if n := a.Engine.InLine(a.Sales.ID); n != 0 {
		t.Errorf("%d are in line in the end", n)
	}
}

func (a *app) eventuallySoon(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never came to that")
		}
	}
}

// A request whose every try is overtaken is refused with a sentence, and gives
// the lock back.
func TestQueueLockIsGivenBack(t *testing.T) {
	a := newApp(t)
	tries := 0
	err := a.Engine.InTurn(t.Context(), a.Sales.ID, func() error {
		tries++
		return deploy.ErrMoved
	})
	wantKind(t, err, slipway.Conflict, "kept changing while this deploy was checked, so it was not queued. Deploy or confirm it again.")
	if tries < 5 || a.Engine.InLine(a.Sales.ID) != 0 {
		t.Errorf("%d tries, %d in line", tries, a.Engine.InLine(a.Sales.ID))
	}
}

// crowd is many people and programs that deploy to one Deployment at once.
type crowd struct {
	*app
	clock atomic.Int64 // grows with each thing that is sent or answered
	mu    sync.Mutex
	all   []answered
}

// answered is a deploy whose sender was told that it is queued.
type answered struct {
	number         int
	sent, answered int64
}

// tell notes that a deploy was sent at a time and is acknowledged.
func (c *crowd) tell(number int, sent int64) {
	now := c.clock.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, answered{number, sent, now})
}

// finalizes sends a deploy as the API does.
func (c *crowd) finalizes(t *testing.T, w slipway.Deploy) {
	sent := c.clock.Add(1)
	got, err := c.Engine.Finalize(t.Context(), c.Sales.ID, w.ID, c.Eve, deploy.Finish{Version: w.Version})
	if err != nil || got.ID != w.ID || got.Number != w.Number {
		t.Errorf("finalize #%d: #%d, %v", w.Number, got.Number, err)
		return
	}
	c.tell(w.Number, sent)
}

// confirms sends a deploy as a person does, who reads the changes anew when
// somebody came in between.
func (c *crowd) confirms(t *testing.T, w slipway.Deploy) {
	for {
		r, err := c.Engine.Review(t.Context(), c.Sales.ID, w.Number, c.Ada)
		if err != nil {
			t.Errorf("review #%d: %v", w.Number, err)
			return
		}
		sent := c.clock.Add(1)
		_, err = c.Engine.Confirm(t.Context(), c.Sales.ID, w.Number, c.Ada, r.Base, deploytest.DAGTicks)
		if err == nil {
			c.tell(w.Number, sent)
			return
		}
		if !errors.Is(err, slipway.ErrBaseChanged) {
			t.Errorf("confirm #%d: %v", w.Number, err)
			return
		}
	}
}

// wantInOrder checks that all that were acknowledged went live, each after those
// that had been acknowledged before it was sent.
func (c *crowd) wantInOrder(t *testing.T, want int) {
	t.Helper()
	if len(c.all) != want {
		t.Errorf("%d are acknowledged, want %d", len(c.all), want)
	}
	position := map[int]int64{}
	for _, a := range c.all {
		position[a.number] = c.Await(t, a.number, slipway.Deployed).Position
	}
	for _, first := range c.all {
		for _, then := range c.all {
			if first.answered < then.sent && position[first.number] > position[then.number] {
				t.Errorf("#%d was acknowledged before #%d was sent, and comes after it", first.number, then.number)
			}
		}
	}
}

// Many who deploy at once lose nothing: each deploy goes live, and each file of
// each is there in the end.
func TestManyDeployAtOnce(t *testing.T) {
	const n = 45
	c := &crowd{app: running(t)}
	want := map[string]string{}
	var staged []slipway.Deploy
	for i := range n {
		name := fmt.Sprintf("dag_%02d.py", i)
		want[name] = dag(name)
		staged = append(staged, c.Staged(t, c.Eve, slipway.AddFiles, map[string]string{name: want[name]}))
	}
	var wg sync.WaitGroup
	for i, w := range staged {
		wg.Go(func() {
			if i%3 == 0 {
				c.confirms(t, w)
			} else {
				c.finalizes(t, w)
			}
		})
	}
	wg.Wait()
	c.wantInOrder(t, n)
	c.WantMounted(t, want)
}

// Of requests to finalize one deploy that come at once, each is told the same.
func TestOneFinalizedManyTimesAtOnce(t *testing.T) {
	c := &crowd{app: running(t)}
	c.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("1")})
	w := c.Staged(t, c.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("2")})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { c.finalizes(t, w) })
	}
	wg.Wait()
	if got := c.Await(t, w.Number, slipway.Deployed); got.Position != 2 || len(c.all) != 20 {
		t.Errorf("position %d, %d answers", got.Position, len(c.all))
	}
}

// Returns and deploys that come at once wait for each other.
func TestReturnsAmongDeploys(t *testing.T) {
	c := &crowd{app: running(t)}
	first := c.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("first"), "b.py": dag("b")})
	var wg sync.WaitGroup
	var mu sync.Mutex
	queued := 1
	for i := range 12 {
		w := c.Staged(t, c.Eve, slipway.AddFiles, map[string]string{"a.py": dag(fmt.Sprint(i))})
		wg.Go(func() { c.finalizes(t, w) })
		wg.Go(func() {
			w, err := c.Engine.RollBack(t.Context(), c.Sales.ID, first.ID, c.Eve, "again")
			if kind, text := slipway.Explain(err); err != nil && (kind != slipway.Conflict || text != "Deploy #1 is what runs already.") {
				t.Errorf("return: %v", err)
			}
			if err == nil {
				c.Await(t, w.Number, slipway.Deployed)
				mu.Lock()
				queued++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	c.wantInOrder(t, 12)
	storetest.View(t, c.Store, func(tx *store.Tx) error {
		all, err := tx.Deploys(c.Sales.ID, 0, 100)
		if len(all) != queued+12 {
			t.Errorf("%d deploys, want %d", len(all), queued+12)
		}
		return err
	})
}

// A pushed image that is finalized by many at once is deployed once, and each is
// told so.
func TestOneImageFinalizedManyTimesAtOnce(t *testing.T) {
	a := unstarted(t)
	a.Run(t)
	for n := range 3 {
		w := a.waiting(t, slipway.ImageOnly)
		a.Push(t, w.Tag, deploytest.Image{Runtime: "3.1-4", Packages: fmt.Sprint(n)}.Build(t))
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				if got, err := a.Engine.Finalize(t.Context(), a.Sales.ID, w.ID, a.Eve, deploy.Finish{}); err != nil || got.ID != w.ID {
					t.Errorf("finalize #%d: #%d, %v", w.Number, got.Number, err)
				}
			})
		}
		wg.Wait()
		a.Await(t, w.Number, slipway.Deployed)
	}
}

// A return that was read against another version is refused before its ticks
// are asked for.
func TestReturnAgainstAnotherBase(t *testing.T) {
	a := running(t)
	first := a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a")})
	second := a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("b")})
	a.Deployed(t, slipway.AddFiles, map[string]string{"b.py": dag("b")})
	_, err := a.Engine.Return(t.Context(), a.Sales.ID, first.Number, a.Eve, second.Version, slipway.Ticks{}, "")
	wantKind(t, err, slipway.Conflict, slipway.ErrBaseChanged.Text)
}
