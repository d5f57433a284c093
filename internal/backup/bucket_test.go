package backup_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"slipway/internal/backup"
	"slipway/internal/bundle"
	"slipway/internal/bundle/buckettest"
	"slipway/internal/deploy/deploytest"
	"slipway/internal/slipway"
)

// attached returns the packs and manifests of a as another process opens them.
func attached(t *testing.T, a *deploytest.Installation) *bundle.Store {
	t.Helper()
	s, err := bundle.AttachBucket(t.Context(), a.Dir, a.Bucket)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBackupInBuckets(t *testing.T) {
	t.Parallel()
	for name, start := range buckettest.Kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := deploytest.NewInBucket(t, start(t).Address)
			a.Run(t)
			first := a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": deploytest.DAG("1"), "b/c.py": deploytest.DAG("c")})
			a.Deployed(t, slipway.AddFiles, map[string]string{"a.py": deploytest.DAG("2")})
			want := map[string]string{"a.py": deploytest.DAG("2"), "b/c.py": deploytest.DAG("c")}
			a.WantMounted(t, want)
			wantSound(t, a)
			a.Stop()
			b := restoredFromBucket(t, a, want)
			b.Await(t, b.Return(t, first.Number), slipway.Deployed)
			b.WantMounted(t, map[string]string{"a.py": deploytest.DAG("1"), "b/c.py": deploytest.DAG("c")})
		})
	}
}

// wantSound fails the test unless fsck finds two packs, two versions and no
// damage.
func wantSound(t *testing.T, a *deploytest.Installation) {
	t.Helper()
	var all []backup.Damage
	totals, err := backup.Fsck{Store: a.Store, Bundles: attached(t, a), Dir: a.Dir, Report: func(d backup.Damage) { all = append(all, d) }}.Run(t.Context())
	if err != nil || len(all) > 0 || totals.Packs != 2 || totals.Versions != 2 {
		t.Errorf("%+v, %+v, %v", all, totals, err)
	}
}

// restoredFromBucket runs a new engine on a backup, which holds no packs.
func restoredFromBucket(t *testing.T, a *deploytest.Installation, want map[string]string) *deploytest.Installation {
	t.Helper()
	var file bytes.Buffer
	totals, err := backup.Write(t.Context(), a.Store, attached(t, a), a.Dir, t.TempDir(), &file, func(int64, int64) {})
	if err != nil || totals.Packs != 2 || totals.Versions != 2 || totals.Bucket == "" {
		t.Fatalf("%+v, %v", totals, err)
	}
	if names := memberNames(t, file.Bytes()); !slices.Contains(names, "bucket.json") || slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "packs/") }) {
		t.Errorf("the backup holds %q", names)
	}
	dir := t.TempDir()
	without := func(dir string) (*bundle.Store, error) { return bundle.Attach(dir), bundle.InFolder(dir) }
	err = backup.Read(t.Context(), bytes.NewReader(file.Bytes()), t.TempDir(), without, func(int64) {})
	deploytest.WantKind(t, err, slipway.Conflict, "Name it with --bucket")
	attach := func(dir string) (*bundle.Store, error) { return bundle.AttachBucket(t.Context(), dir, a.Bucket) }
	if err := backup.Read(t.Context(), bytes.NewReader(file.Bytes()), dir, attach, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	b := runRestored(t, a, dir)
	b.Eventually(t, "it is mounted again", func() bool { return maps.Equal(b.Mounted(t), want) })
	return b
}

// memberNames returns the names of the members of a tar.
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

// fsck finds a pack missing in a bucket, and so does a backup.
func TestDamageInABucket(t *testing.T) {
	t.Parallel()
	a := deploytest.NewInBucket(t, buckettest.Fake(t).Address)
	a.Run(t)
	w := a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": deploytest.DAG("1")})
	a.Stop()
	dropPack(t, a)
	var all []backup.Damage
	totals, err := backup.Fsck{Store: a.Store, Bundles: attached(t, a), Dir: a.Dir, Report: func(d backup.Damage) { all = append(all, d) }}.Run(t.Context())
	if err != nil || totals.Damages != 1 || len(all) != 1 || all[0].Problem != "The pack is missing." || !slices.Equal(all[0].Versions, []slipway.Version{w.Version}) {
		t.Errorf("%+v, %v", all, err)
	}
	_, err = backup.Write(t.Context(), a.Store, attached(t, a), a.Dir, t.TempDir(), io.Discard, func(int64, int64) {})
	deploytest.WantKind(t, err, slipway.Invalid, "is missing or cut off in the bucket s3://slipway")
}

// dropPack deletes the only pack of a.
func dropPack(t *testing.T, a *deploytest.Installation) {
	t.Helper()
	for p, err := range a.Bundles.Packs(a.Sales.Namespace) {
		if err == nil {
			err = a.Bundles.DropPack(a.Sales.Namespace, p.SHA256)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
