package image_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway/internal/image"
	"slipway/internal/slipway"
)

// stormFor is how long pushes, deploys, deletes and collections go on at once:
// SLIPWAY_GC=1m for a minute.
func stormFor(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SLIPWAY_GC")
	if text == "" {
		return 5 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("SLIPWAY_GC: %v", err)
	}
	return d
}

// storm is a registry that is pushed to, deployed from, deleted in and
// collected at once, and what deploys need of it.
type storm struct {
	*portal

	bases []v1.Layer

	mu     sync.Mutex
	needed map[string][]string // repository → digests; noted before an image is looked at
	whole  map[string]bool     // repository@digest of deploys that were made

	pushed, deployed, deleted, swept, failed atomic.Int64
}

// Nothing that a deploy needs is lost while images are pushed, deployed,
// deleted and collected, by a collection that lets things be for moments only.
func TestCollectionUnderLoad(t *testing.T) {
	s := &storm{portal: open(t), needed: map[string][]string{}, whole: map[string]bool{}}
	s.SetGrace(1500 * time.Millisecond)
	for i := range 3 {
		s.bases = append(s.bases, layer(t, file(fmt.Sprint("base", i), fmt.Sprint(i))))
	}
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	var all sync.WaitGroup
	all.Go(func() { s.endAfter(ctx, stormFor(t), stop) })
	for n := range 4 {
		all.Go(func() { s.push(ctx, t, n) })
	}
	all.Go(func() { s.delete(ctx) })
	all.Go(func() { s.collect(ctx, t) })
	all.Wait()
	s.sweepNow(t)
	for text := range s.whole {
		if err := s.pulls(text); err != nil {
			t.Errorf("%s was deployed and cannot be pulled: %v", text, err)
		}
	}
	t.Logf("%d pushed, %d deployed, %d deleted, %d collections; %d pushes lost a race and failed", s.pushed.Load(), s.deployed.Load(), s.deleted.Load(), s.swept.Load(), s.failed.Load())
	if !s.enough() {
		t.Error("hardly anything was deployed, or nothing collected")
	}
}

// enough reports whether there was what can go wrong.
func (s *storm) enough() bool { return s.deployed.Load() >= 5 && s.swept.Load() >= 5 }

// endAfter ends the storm after a while, on a slow machine once it was one.
func (s *storm) endAfter(ctx context.Context, d time.Duration, stop func()) {
	for begun := time.Now(); ctx.Err() == nil && (time.Since(begun) < d || !s.enough()); {
		time.Sleep(10 * time.Millisecond)
	}
	stop()
}

// push pushes images that share layers, and deploys every third.
func (s *storm) push(ctx context.Context, t *testing.T, n int) {
	repo := fmt.Sprintf("%s/r%d", namespace, n%2)
	for i := 0; ctx.Err() == nil; i++ {
		tag := fmt.Sprintf("t%d", rand.IntN(3))
		img := runtimeImage(t, append(slices.Clone(s.bases[:1+i%3]), layer(t, file("x", fmt.Sprint(n, i%5))))...)
		if err := remote.Write(s.ref(repo+":"+tag), img, remote.WithContext(ctx)); err != nil {
			s.failed.Add(1) // a layer went between two steps: the client is told, and nothing was promised
			continue
		}
		s.pushed.Add(1)
		if i%3 == 0 {
			s.deploy(ctx, t, repo, digestOf(t, img))
		}
	}
}

// deploy notes that an image is needed, and that it is there if it is.
func (s *storm) deploy(ctx context.Context, t *testing.T, repo, digest string) {
	s.mu.Lock()
	s.needed[repo] = append(s.needed[repo], digest)
	s.mu.Unlock()
	err := s.Retain(ctx, repo, digest)
	if err == nil {
		_, err = s.Inspect(ctx, image.Ref{Name: repo, Digest: digest}, slipway.DefaultPlatform, image.Login{})
	}
	if kind, _ := slipway.Explain(err); err != nil && kind != slipway.NotFound && ctx.Err() == nil {
		t.Errorf("inspect: %v", err)
	}
	if err != nil {
		return
	}
	s.deployed.Add(1)
	s.mu.Lock()
	s.whole[repo+"@"+digest] = true
	s.mu.Unlock()
}

// delete deletes tags and images, those too that deploys need.
func (s *storm) delete(ctx context.Context) {
	for ctx.Err() == nil {
		repo := fmt.Sprintf("%s/r%d", namespace, rand.IntN(2))
		at := s.ref(fmt.Sprintf("%s:t%d", repo, rand.IntN(3)))
		if d, err := remote.Head(at, remote.WithContext(ctx)); err == nil && rand.IntN(2) == 0 {
			at = s.ref(repo + "@" + d.Digest.String())
		}
		if remote.Delete(at, remote.WithContext(ctx)) == nil {
			s.deleted.Add(1)
		}
		time.Sleep(time.Millisecond)
	}
}

func (s *storm) collect(ctx context.Context, t *testing.T) {
	for ctx.Err() == nil {
		s.sweepNow(t)
		s.swept.Add(1)
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *storm) sweepNow(t *testing.T) {
	err := s.Sweep(context.WithoutCancel(t.Context()), func() (image.Needed, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		keep := map[string][]string{}
		for repo, digests := range s.needed {
			keep[repo] = slices.Clone(digests)
		}
		return image.Needed{Digests: keep}, nil
	}, time.Now())
	if err != nil {
		t.Errorf("Sweep: %v", err)
	}
}
