package deploy_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slipway/internal/archive"
	"slipway/internal/backup"
	"slipway/internal/bundle"
	"slipway/internal/bundle/buckettest"
	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store/storetest"
)

// inBucket returns an engine, not running yet, whose bundles are in a bucket.
func inBucket(t *testing.T, address string, change ...func(*deploy.Config)) *app {
	t.Helper()
	a := &app{dir: t.TempDir(), bucket: address, store: storetest.Open(t)}
	a.World = storetest.Seed(t, a.store)
	a.build(t, change...)
	return a
}

// soon is eventually for what takes a driver's tries.
func (a *app) soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not come to pass that %s", what)
		}
	}
}

// stored returns the names of the packs and manifests of the Deployment.
func (a *app) stored(t *testing.T) (names []string) {
	t.Helper()
	for p, err := range a.bundles.Packs(a.Sales.Namespace) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, p.SHA256)
	}
	for v, err := range a.bundles.Manifests(a.Sales.Namespace) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, string(v))
	}
	return names
}

func (a *app) attached(t *testing.T) *bundle.Store {
	t.Helper()
	s, err := bundle.AttachBucket(t.Context(), a.dir, a.bucket)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDeploysInBuckets(t *testing.T) {
	t.Parallel()
	for name, start := range buckettest.Kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := inBucket(t, start(t).Address)
			a.run(t)
			first := a.deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("1"), "b/c.py": dag("c")})
			a.deployed(t, slipway.AddFiles, map[string]string{"a.py": dag("2")})
			want := map[string]string{"a.py": dag("2"), "b/c.py": dag("c")}
			a.wantMounted(t, want)
			if got := a.stored(t); len(got) != 4 || len(a.packs(t)) != 0 {
				t.Errorf("the bucket has %q, the folder %q", got, a.packs(t))
			}
			a.wantSound(t)
			a.stop()
			b := a.restoredFromBucket(t, want)
			b.await(t, b.returns(t, first.Number), slipway.Deployed)
			b.wantMounted(t, map[string]string{"a.py": dag("1"), "b/c.py": dag("c")})
		})
	}
}

// wantSound fails if a check finds anything.
func (a *app) wantSound(t *testing.T) {
	t.Helper()
	var all []backup.Damage
	totals, err := backup.Fsck{Store: a.store, Bundles: a.attached(t), Dir: a.dir, Report: func(d backup.Damage) { all = append(all, d) }}.Run(t.Context())
	if err != nil || len(all) > 0 || totals.Packs != 2 || totals.Versions != 2 {
		t.Errorf("%+v, %+v, %v", all, totals, err)
	}
}

// restoredFromBucket runs a new engine on a backup, which holds no packs.
func (a *app) restoredFromBucket(t *testing.T, want map[string]string) *app {
	t.Helper()
	var file bytes.Buffer
	totals, err := backup.Write(t.Context(), a.store, a.attached(t), a.dir, t.TempDir(), &file, func(int64, int64) {})
	if err != nil || totals.Packs != 2 || totals.Versions != 2 || totals.Bucket == "" {
		t.Fatalf("%+v, %v", totals, err)
	}
	if names := memberNames(t, file.Bytes()); !slices.Contains(names, "bucket.json") || slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "packs/") }) {
		t.Errorf("the backup holds %q", names)
	}
	dir := t.TempDir()
	without := func(dir string) (*bundle.Store, error) { return bundle.Attach(dir), bundle.InFolder(dir) }
	err = backup.Read(t.Context(), bytes.NewReader(file.Bytes()), t.TempDir(), without, func(int64) {})
	wantKind(t, err, slipway.Conflict, "Name it with --bucket")
	attach := func(dir string) (*bundle.Store, error) { return bundle.AttachBucket(t.Context(), dir, a.bucket) }
	if err := backup.Read(t.Context(), bytes.NewReader(file.Bytes()), dir, attach, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	b := &app{dir: dir, bucket: a.bucket, store: storetest.OpenAt(t, filepath.Join(dir, "slipway.db")), World: a.World}
	b.build(t)
	b.run(t)
	b.eventually(t, "it is mounted again", func() bool { return maps.Equal(b.mounted(t), want) })
	return b
}

func memberNames(t *testing.T, b []byte) (names []string) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
}

// What a bucket has lost is found by a check, and by a backup.
func TestDamageInABucket(t *testing.T) {
	t.Parallel()
	a := inBucket(t, buckettest.Fake(t).Address)
	a.run(t)
	w := a.deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("1")})
	a.stop()
	pack := a.stored(t)[0]
	if err := a.bundles.DropPack(a.Sales.Namespace, pack); err != nil {
		t.Fatal(err)
	}
	var all []backup.Damage
	totals, err := backup.Fsck{Store: a.store, Bundles: a.attached(t), Dir: a.dir, Report: func(d backup.Damage) { all = append(all, d) }}.Run(t.Context())
	if err != nil || totals.Damages != 1 || len(all) != 1 || all[0].Problem != "The pack is missing." || !slices.Equal(all[0].Versions, []slipway.Version{w.Version}) {
		t.Errorf("%+v, %v", all, err)
	}
	_, err = backup.Write(t.Context(), a.store, a.attached(t), a.dir, t.TempDir(), io.Discard, func(int64, int64) {})
	wantKind(t, err, slipway.Invalid, "is missing or cut off in the bucket s3://slipway")
}

func TestVersionsExpireInBuckets(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) buckettest.Bucket{"file": buckettest.File, "azurite": buckettest.Azure} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := inBucket(t, start(t).Address, func(c *deploy.Config) { c.RetainEvery = 50 * time.Millisecond })
			var days atomic.Int64
			a.store.Now = func() time.Time { return time.Now().AddDate(0, 0, int(days.Load())) }
			a.elsewhere(t)
			a.run(t)
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
	a.build(t, func(c *deploy.Config) { c.LeftoverAge = time.Hour })
	if got := a.stored(t); len(got) != 1 {
		t.Errorf("the bucket has %q, want the young pack", got)
	}
	a.later(time.Hour + time.Minute)
	a.build(t, func(c *deploy.Config) { c.LeftoverAge = time.Hour })
	for ns, err := range a.bundles.Namespaces() {
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
		a.build(t)
		var left []string
		for ns, err := range a.bundles.Namespaces() {
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
	for ns, err := range a.bundles.Namespaces() {
		t.Errorf("%s is left over (%v)", ns, err)
	}
}

// strayPack stores a pack that no record names.
func (a *app) strayPack(t *testing.T, ns string) {
	t.Helper()
	text := storetest.Archive(t, map[string]string{"a.py": dag("stray")})
	known := func(string) (p slipway.Place, stored bool) { return p, false }
	if _, err := a.bundles.Stage(t.Context(), ns, bytes.NewReader(text), int64(len(text)), archive.DefaultLimits(), known); err != nil {
		t.Fatal(err)
	}
}

// A deploy that was confirmed waits for the bucket; one that is not staged yet
// fails and says why. Neither changes what is mounted.
func TestABucketThatIsAway(t *testing.T) {
	t.Parallel()
	bucket := buckettest.Fake(t)
	a := inBucket(t, bucket.Address)
	a.run(t)
	before := map[string]string{"a.py": dag("1")}
	a.deployed(t, slipway.ReplaceAll, before)
	w := a.staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("2")})
	bucket.Proxy.Set(buckettest.Refuse)
	a.confirm(t, w.Number, a.Eve)
	refused := a.upload(t, a.Eve, slipway.AddFiles, storetest.Archive(t, map[string]string{"b.py": dag("b")}))
	a.soon(t, "the upload is refused", func() bool { return a.load(t, refused.Number).Status == slipway.Failed })
	if got := a.load(t, refused.Number).Reason; !strings.Contains(got, "The bucket s3://slipway cannot be reached.") {
		t.Errorf("it failed as %q", got)
	}
	turned := bucket.Proxy.TurnedAway()
	a.soon(t, "the confirmed one is tried again", func() bool { return bucket.Proxy.TurnedAway() > turned })
	if got := a.load(t, w.Number).Status; got != slipway.Deploying {
		t.Errorf("the confirmed one is %s", got)
	}
	a.wantMounted(t, before)
	bucket.Proxy.Set(buckettest.None)
	a.soon(t, "it is deployed", func() bool { return a.load(t, w.Number).Status == slipway.Deployed })
	a.wantMounted(t, map[string]string{"a.py": dag("2")})
}
