package deploy_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store/storetest"
)

// One upload that finds a bug fails with a reason, and the portal goes on.
func TestStagingRecovers(t *testing.T) {
	a := newApp(t)
	w := a.Upload(t, a.Eve, slipway.ReplaceAll, storetest.Archive(t, map[string]string{"a.py": dag("a")}))
	a.Engine.BreakStaging()
	if err := a.Engine.StageAll(t.Context(), a.Sales.ID); err != nil {
		t.Fatal(err)
	}
	if w = a.Load(t, w.Number); w.Status != slipway.Failed || w.Reason != "Something went wrong on our side. Nothing was deployed; the log of the portal says more." {
		t.Errorf("deploy %+v", w)
	}
}

// However many requests come under known keys, few archives are unpacked at once, each
// token has a turn, and nobody waits without an end.
func TestComparisonsAreBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		tokens, each int
		takes        time.Duration // a comparison
		most         int
		refused      int
	}{
		"one token":          {1, 9, time.Second, 1, 0},
		"many tokens":        {20, 1, time.Second, deploy.MaxComparisons, 0},
		"two hundred":        {200, 1, 11 * time.Second, deploy.MaxComparisons, 188},
		"one token, forever": {1, 3, time.Hour, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := deploy.NewComparisons()
				var now, most, refused atomic.Int64
				var wg sync.WaitGroup
				began := time.Now()
				for i := range tt.tokens * tt.each {
					wg.Go(func() {
						end, err := c.Begin(t.Context(), fmt.Sprint(i%tt.tokens))
						if err != nil {
							wantKind(t, err, slipway.TooMany, "in a minute")
							if waited := time.Since(began); waited > deploy.ComparisonWait {
								t.Errorf("refused after %s", waited)
							}
							refused.Add(1)
							return
						}
						defer end()
						for n := now.Add(1); ; {
							if old := most.Load(); old >= n || most.CompareAndSwap(old, n) {
								break
							}
						}
						time.Sleep(tt.takes)
						now.Add(-1)
					})
				}
				wg.Wait()
				if int(most.Load()) != tt.most || int(refused.Load()) != tt.refused || c.Waiting() != 0 {
					t.Errorf("%d at once, %d refused, %d left, want %d, %d and none", most.Load(), refused.Load(), c.Waiting(), tt.most, tt.refused)
				}
			})
		})
	}
}

// A token with many requests takes no turn from another one.
func TestComparisonsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := deploy.NewComparisons()
		ctx, cancel := context.WithCancel(t.Context())
		for range 100 {
			go func() {
				if end, err := c.Begin(ctx, "greedy"); err == nil {
					time.Sleep(time.Hour)
					end()
				}
			}()
		}
		synctest.Wait()
		end, err := c.Begin(t.Context(), "other")
		if err != nil {
			t.Fatal(err)
		}
		end()
		cancel()
		time.Sleep(2 * time.Hour)
		if c.Waiting() != 0 {
			t.Errorf("%d wait", c.Waiting())
		}
	})
}
