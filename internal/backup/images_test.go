package backup_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/internal/datadir"
	"slipway/internal/deploy"
	"slipway/internal/deploy/deploytest"
	"slipway/internal/image"
	"slipway/internal/slipway"
)

// TestBackupOfImages: a restored portal has the images, the credentials, and a
// way back.
func TestBackupOfImages(t *testing.T) {
	locked, sent := lockedRegistry(t)
	a := deploytest.RunningWithImages(t)
	one := a.ConfirmedProject(t, "1", deploytest.Runtime1, map[string]string{"a.py": deploytest.DAG("a")})
	one = a.Await(t, one.Number, slipway.Deployed)
	two := a.DeployedImage(t, slipway.ImageOnly, "2", deploytest.Runtime2)
	if err := a.Engine.SetRegistryLogin(t.Context(), a.Workspace.ID, a.Oli, locked, image.Login{User: "robot", Password: "secret"}); err != nil {
		t.Fatal(err)
	}
	file, err := write(t, a.Installation)
	if err != nil {
		t.Fatal(err)
	}
	a.Stop()
	dir, err := restore(t, file)
	if err != nil {
		t.Fatal(err)
	}
	b := &deploytest.ImageInstallation{Installation: restored(t, a.Installation, dir)}
	b.SetApplyScript(t, "true")
	a.Registries = []string{locked} // used by a.Change
	b.Build(t, a.Change...)
	b.Run(t)
	if tags, err := b.Engine.PushedTags(t.Context(), b.Sales); err != nil || len(tags) != 2 {
		t.Errorf("tags %+v, %v", tags, err)
	}
	w, err := b.Engine.Return(t.Context(), b.Sales.ID, one.Number, b.Eve, two.After.Version, deploytest.DAGTicks, "")
	if err != nil {
		t.Fatal(err)
	}
	b.Await(t, w.Number, slipway.Deployed)
	if got := b.ImageFiles(t, *one.Image); len(got) != 1 {
		t.Errorf("files of the image: %v", got)
	}
	if all, totals := fsck(t, b.Installation); len(all) != 0 || totals.Images != 2 {
		t.Errorf("fsck: %+v, totals %+v", all, totals)
	}
	if _, err := b.Engine.CreateImage(t.Context(), b.Sales.ID, b.Eve, deploy.NewImage{Kind: slipway.ImageOnly, Ref: locked + "/x:1"}); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-sent:
		if got != "robot secret" {
			t.Errorf("credentials %q", got)
		}
	case <-time.After(20 * time.Second):
		t.Error("no credentials were sent")
	}
}

// lockedRegistry returns the host of a registry without images, and the user and
// password of the first request that has them.
func lockedRegistry(t *testing.T) (host string, sent <-chan string) {
	t.Helper()
	first := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		if !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		select {
		case first <- user + " " + password:
		default:
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), first
}

func TestFsckOfImages(t *testing.T) {
	a := deploytest.RunningWithImages(t)
	w := a.DeployedImage(t, slipway.ImageOnly, "1", deploytest.Runtime1)
	blob := func(digest string) string {
		hex := strings.TrimPrefix(digest, "sha256:")
		return filepath.Join(a.Dir, "registry", "docker", "registry", "v2", "blobs", "sha256", hex[:2], hex, "data")
	}
	if all, totals := fsck(t, a.Installation); len(all) != 0 || totals.Images != 1 {
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
	if all, _ := fsck(t, a.Installation); len(all) != 1 || !strings.Contains(all[0].Problem, w.Image.Layers[0].Digest+" of the registry is damaged") {
		t.Errorf("fsck: %+v", all)
	}
	if err := os.Remove(spoiled); err != nil {
		t.Fatal(err)
	}
	if all, _ := fsck(t, a.Installation); len(all) != 1 || all[0].Namespace != a.Sales.Namespace || !strings.Contains(all[0].Problem, "not complete") {
		t.Errorf("fsck: %+v", all)
	}
}

// A start that finishes a rotation moves the next key to the place of the key. A backup
// that reads the next one first has it before the move under its own name, and
// otherwise after the move.
func TestBackupReadsTheNextKeyFirst(t *testing.T) {
	a := deploytest.New(t)
	key, err := os.ReadFile(filepath.Join(a.Dir, datadir.SecretKey))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(a.Dir, datadir.NextKey), key, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := write(t, a)
	if err != nil {
		t.Fatal(err)
	}
	names := memberNames(t, b)
	next, now := slices.Index(names, datadir.NextKey), slices.Index(names, datadir.SecretKey)
	if next < 0 || now < next {
		t.Errorf("the next key is member %d, the key %d", next, now)
	}
}
