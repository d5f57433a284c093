package deploy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/image"
	"slipway/internal/slipway"
	"slipway/store/storetest"
)

// TestBackupOfImages: a restored portal has the images, the credentials, and a
// way back.
func TestBackupOfImages(t *testing.T) {
	a := applying(t)
	one := a.project(t, "1", runtime1, map[string]string{"a.py": dag("a")})
	one = a.await(t, one.Number, slipway.Deployed)
	two := a.imaged(t, slipway.ImageOnly, "2", runtime2)
	if err := a.engine.SetRegistryLogin(t.Context(), a.Workspace.ID, a.Oli, "quay.io", image.Login{User: "robot", Password: "secret"}); err != nil {
		t.Fatal(err)
	}
	file, err := a.backup(t)
	if err != nil {
		t.Fatal(err)
	}
	a.stop()
	dir, err := restore(t, file)
	if err != nil {
		t.Fatal(err)
	}
	b := &app{dir: dir, store: storetest.OpenAt(t, filepath.Join(dir, "slipway.db")), World: a.World}
	b.then(t, "true")
	b.build(t, a.change...)
	b.run(t)
	if l, err := b.engine.Login(t.Context(), b.Sales, "quay.io/x"); err != nil || l.Password != "secret" {
		t.Errorf("credentials %+v, %v", l, err)
	}
	if tags, err := b.engine.PushedTags(t.Context(), b.Sales); err != nil || len(tags) != 2 {
		t.Errorf("tags %+v, %v", tags, err)
	}
	w, err := b.engine.Return(t.Context(), b.Sales.ID, one.Number, b.Eve, two.After.Version, allTicks, "")
	if err != nil {
		t.Fatal(err)
	}
	b.await(t, w.Number, slipway.Deployed)
	if got := b.files(t, *one.Image); len(got) != 1 {
		t.Errorf("files of the image: %v", got)
	}
	if all, totals := b.fsck(t); len(all) != 0 || totals.Images != 2 {
		t.Errorf("fsck: %+v, totals %+v", all, totals)
	}
}

func TestFsckOfImages(t *testing.T) {
	a := applying(t)
	w := a.imaged(t, slipway.ImageOnly, "1", runtime1)
	blob := func(digest string) string {
		hex := strings.TrimPrefix(digest, "sha256:")
		return filepath.Join(a.dir, "registry", "docker", "registry", "v2", "blobs", "sha256", hex[:2], hex, "data")
	}
	if all, totals := a.fsck(t); len(all) != 0 || totals.Images != 1 {
		t.Fatalf("fsck: %+v, totals %+v", all, totals)
	}
	spoiled := blob(w.Image.Layers[0].Digest)
	b, err := os.ReadFile(spoiled)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1]++
	if err := os.WriteFile(spoiled, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if all, _ := a.fsck(t); len(all) != 1 || !strings.Contains(all[0].Problem, w.Image.Layers[0].Digest+" of the registry is damaged") {
		t.Errorf("fsck: %+v", all)
	}
	if err := os.Remove(spoiled); err != nil {
		t.Fatal(err)
	}
	if all, _ := a.fsck(t); len(all) != 1 || all[0].Namespace != a.Sales.Namespace || !strings.Contains(all[0].Problem, "not complete") {
		t.Errorf("fsck: %+v", all)
	}
}
