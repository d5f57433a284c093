package deploy_test

import (
	"bytes"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slipway/internal/archive"
	"slipway/internal/bundle/buckettest"
	"slipway/internal/deploy"
	"slipway/internal/deploy/deploytest"
	"slipway/internal/slipway"
	"slipway/store/storetest"
)

// inBucket returns an engine, not running yet, whose bundles are in a bucket.
func inBucket(t *testing.T, address string, change ...func(*deploy.Config)) *app {
	t.Helper()
	return appOf(deploytest.NewInBucket(t, address, change...))
}

// soon is eventually for what takes a driver's tries.
func (a *app) soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}

// stored returns the names of the packs and manifests of the Deployment.
func (a *app) stored(t *testing.T) (names []string) {
	t.Helper()
	for p, err := range a.Bundles.Packs(a.Sales.Namespace) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, p.SHA256)
	}
	for v, err := range a.Bundles.Manifests(a.Sales.Namespace) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, string(v))
	}
	return names
}

func TestDeploysInBuckets(t *testing.T) {
	t.Parallel()
	for name, start := range buckettest.Kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := inBucket(t, start(t).Address)
			a.Run(t)
			a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("1"), "b/c.py": dag("c")})
			a.Deployed(t, slipway.AddFiles, map[string]string{"a.py": dag("2")})
			a.WantMounted(t, map[string]string{"a.py": dag("2"), "b/c.py": dag("c")})
			if got := a.stored(t); len(got) != 4 || len(a.Packs(t)) != 0 {
				t.Errorf("the bucket has %q, the folder %q", got, a.Packs(t))
			}
		})
	}
}

func TestVersionsExpireInBuckets(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) buckettest.Bucket{"file": buckettest.File, "azurite": buckettest.Azure} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := inBucket(t, start(t).Address, func(c *deploy.Config) { c.RetainEvery = 50 * time.Millisecond })
			var days atomic.Int64
			a.Store.Now = func() time.Time { return time.Now().AddDate(0, 0, int(days.Load())) }
			a.elsewhere(t)
			a.Run(t)
			a.deployMany(t, 12)
			days.Store(91)
			a.soon(t, "two versions and what they need are gone", func() bool { return len(a.kept(t)) == 10 && len(a.stored(t)) == 21 })
		})
	}
}

// What a crash left is removed at the start, as old as the bucket says it is.
func TestLeftoversInABucket(t *testing.T) {
	t.Parallel()
	a := inBucket(t, buckettest.Fake(t).Address)
	a.strayPack(t, a.Sales.Namespace)
	a.Build(t, func(c *deploy.Config) { c.LeftoverAge = time.Hour })
	if got := a.stored(t); len(got) != 1 {
		t.Errorf("the bucket has %q, want the young pack", got)
	}
	a.later(time.Hour + time.Minute)
	a.Build(t, func(c *deploy.Config) { c.LeftoverAge = time.Hour })
	for ns, err := range a.Bundles.Namespaces() {
		t.Errorf("%s is left over (%v)", ns, err)
	}
}

// A namespace that no record names stays in a bucket for days, too.
func TestUnnamedNamespaceInABucket(t *testing.T) {
	t.Parallel()
	a := inBucket(t, buckettest.Fake(t).Address)
	a.strayPack(t, "nobody")
	for _, pass := range []time.Duration{0, slipway.OrphanLife - time.Minute, time.Minute} {
		a.later(pass)
		a.Build(t)
		var left []string
		for ns, err := range a.Bundles.Namespaces() {
			if err != nil {
				t.Fatal(err)
			}
			left = append(left, ns)
		}
		if !slices.Equal(left, []string{"nobody"}) {
			t.Fatalf("there are %q after %s more", left, pass)
		}
	}
	a.retainAside(t)
	for ns, err := range a.Bundles.Namespaces() {
		t.Errorf("%s is left over (%v)", ns, err)
	}
}

// strayPack stores a pack that no record names.
func (a *app) strayPack(t *testing.T, ns string) {
	t.Helper()
	text := storetest.Archive(t, map[string]string{"a.py": dag("stray")})
	known := func(string) (p slipway.Place, stored bool) { return p, false }
	if _, err := a.Bundles.Stage(t.Context(), ns, bytes.NewReader(text), int64(len(text)), archive.DefaultLimits(), archive.Search{}, known); err != nil {
		t.Fatal(err)
	}
}

// A deploy that was confirmed waits for the bucket; one that is not staged yet
// fails and says why. Neither changes what is mounted.
func TestABucketThatIsAway(t *testing.T) {
	t.Parallel()
	bucket := buckettest.Fake(t)
	a := inBucket(t, bucket.Address)
	a.Run(t)
	before := map[string]string{"a.py": dag("1")}
	a.Deployed(t, slipway.ReplaceAll, before)
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("2")})
	bucket.Proxy.Set(buckettest.Refuse)
	a.Confirm(t, w.Number, a.Eve)
	refused := a.Upload(t, a.Eve, slipway.AddFiles, storetest.Archive(t, map[string]string{"b.py": dag("b")}))
	a.soon(t, "the upload is refused", func() bool { return a.Load(t, refused.Number).Status == slipway.Failed })
	if got := a.Load(t, refused.Number).Reason; !strings.Contains(got, "The bucket s3://slipway cannot be reached.") {
		t.Errorf("it failed as %q", got)
	}
	turned := bucket.Proxy.TurnedAway()
	a.soon(t, "the confirmed one is tried again", func() bool { return bucket.Proxy.TurnedAway() > turned })
	if got := a.Load(t, w.Number).Status; got != slipway.Deploying {
		t.Errorf("the confirmed one is %s", got)
	}
	const reason = "The bucket s3://slipway cannot be reached."
	a.soon(t, "the page can say why", func() bool { return strings.Contains(a.Engine.Trouble(a.Sales.ID), reason) })
	wantKind(t, a.Engine.Ready(), slipway.Unavailable, reason)
	a.WantMounted(t, before)
	bucket.Proxy.Set(buckettest.None)
	a.soon(t, "it is deployed", func() bool { return a.Load(t, w.Number).Status == slipway.Deployed })
	a.soon(t, "the page has no fault", func() bool { return a.Engine.Trouble(a.Sales.ID) == "" && a.Engine.Ready() == nil })
	a.WantMounted(t, map[string]string{"a.py": dag("2")})
}
