package hostile

import (
	"bytes"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/e2e/program"

	"slipway/internal/datadir"
	"slipway/internal/slipway"
)

// ownDisk mounts a file system of its own, which only root can.
// fill takes all space of a disk but so many bytes, and returns what gives it
// back.
// wantSentence checks that a request was refused because of the disk, in words.
func wantSentence(t *testing.T, what string, r program.Reply, err error) {
	t.Helper()
	if err != nil || r.Status != http.StatusInsufficientStorage || !strings.Contains(r.Body, "The disk of the portal ") {
		t.Errorf("%s: answer %d, %v: %s", what, r.Status, err, r.Body)
	}
}

// wantPages checks that everything can still be read.
func wantPages(t *testing.T, b *program.Portal) {
	t.Helper()
	of := program.DeploymentURL(b.World.Sales.ID)
	for _, path := range []string{"/workspaces/" + string(b.World.Workspace.ID), of, of + "/deploys", of + "/versions", of + "/deploys/1", of + "/settings", "/healthz"} {
		if r, err := b.Page(path); err != nil || r.Status != http.StatusOK {
			t.Errorf("%s: answer %d, %v", path, r.Status, err)
		}
	}
}

// staged uploads a file and waits until its deploy can be confirmed.
func staged(t *testing.T, b *program.Portal, text string) (number int, consent url.Values) {
	t.Helper()
	number, r, err := b.Upload(b.World.Sales.ID, slipway.ReplaceAll, program.ArchiveOf(map[string]string{"dags/sales.py": text}))
	if err != nil || r.Status != http.StatusNoContent {
		t.Fatalf("upload: answer %d, %v: %s", r.Status, err, r.Body)
	}
	consent, ok, err := b.Consent(program.DeployURL(b.World.Sales.ID, number), 20*time.Second)
	if err != nil || !ok {
		t.Fatalf("deploy #%d is not staged: %v", number, err)
	}
	return number, consent
}

// TestDiskReserve has a disk run nearly full: uploads are refused before it is,
// and taken again when there is room.
func TestDiskReserve(t *testing.T) {
	dir := ownDisk(t)
	b := program.StartPortal(t, filepath.Join(dir, "data"), "--reserve", "16MiB")
	b.MustDeploy(t)
	before := b.Mounted(t)
	number, consent := staged(t, b, "# airflow DAG, staged before\n")
	heal := fill(t, dir, 17<<20)
	big := make([]byte, 4<<20)
	r, _, err := b.BeginUpload(b.World.Sales.ID, slipway.AddFiles, len(big))
	wantSentence(t, "an upload that says its size", r, err)
	r, err = b.UploadByForm(b.World.Sales.ID, slipway.AddFiles, "dags.tar.gz", append(big, big...))
	wantSentence(t, "a form", r, err)
	if got := b.Mounted(t); got != before {
		t.Errorf("mounted is %q, want %q", got, before)
	}
	wantPages(t, b)
	healReserve := fill(t, dir, 15<<20)
	if r, err = b.Page("/readyz"); err != nil || r.Status != http.StatusServiceUnavailable || !strings.Contains(r.Body, "nearly full") {
		t.Errorf("readyz below the reserve: answer %d, %v: %s", r.Status, err, r.Body)
	}
	healReserve()
	// What is staged needs a few bytes only, for which the reserve is there.
	if r, err = b.Form(program.DeployURL(b.World.Sales.ID, number)+"/confirm", consent); err != nil || r.Status != http.StatusSeeOther {
		t.Errorf("confirm: answer %d, %v", r.Status, err)
	}
	if err := b.AwaitStatus(b.World.Sales.ID, number, slipway.Deployed, 20*time.Second); err != nil {
		t.Error(err)
	}
	heal()
	b.MustDeploy(t)
}

// TestOneAuthorLeavesRoom has an Author begin uploads for as long as they are
// taken, announced and in full: others still deploy, and the portal is ready.
func TestOneAuthorLeavesRoom(t *testing.T) {
	const size = 4 << 20
	for name, send := range map[string]bool{"announced": false, "sent": true} {
		t.Run(name, func(t *testing.T) {
			b := program.StartPortal(t, filepath.Join(ownDisk(t), "data"), "--reserve", "16MiB")
			b.MustDeploy(t)
			eve := program.NewVisitor(t.Context(), b.Base, program.SignIn(t, b.Base, "eve@example.com"))
			defer eve.CloseIdleConnections()
			taken, r := 0, program.Reply{}
			for ; taken < 20; taken++ {
				var err error
				r, _, err = eve.BeginUpload(b.World.Sales.ID, slipway.AddFiles, size)
				if err != nil {
					t.Fatal(err)
				}
				if r.Status != http.StatusCreated {
					break
				}
				if !send {
					continue
				}
				h := http.Header{"Tus-Resumable": {"1.0.0"}, "Upload-Offset": {"0"}, "Content-Type": {"application/offset+octet-stream"}}
				if r, err := eve.Send(http.MethodPatch, r.Location(), bytes.NewReader(make([]byte, size-1)), h); err != nil || r.Status != http.StatusNoContent {
					t.Fatalf("upload: answer %d, %v: %s", r.Status, err, r.Body)
				}
			}
			if taken == 0 || r.Status != http.StatusRequestEntityTooLarge || !strings.Contains(r.Body, "cancel some of them first: #") {
				t.Errorf("after %d uploads: answer %d: %s", taken, r.Status, r.Body)
			}
			if r, err := b.Page("/readyz"); err != nil || r.Status != http.StatusOK {
				t.Errorf("readyz: answer %d, %v: %s", r.Status, err, r.Body)
			}
			b.MustDeploy(t)
		})
	}
}

// TestFullDisk fills the disk to its last byte. Everything that would write is
// refused in a sentence, all else goes on, and when there is room again it is
// as if nothing had been.
func TestFullDisk(t *testing.T) {
	dir := ownDisk(t)
	b := program.StartPortal(t, filepath.Join(dir, "data"), "--reserve", "0")
	b.MustDeploy(t)
	before := b.Mounted(t)
	number, consent := staged(t, b, "# airflow DAG, staged before\n")
	heal := fill(t, dir, 0)
	r, _, err := b.BeginUpload(b.World.Sales.ID, slipway.AddFiles, 1000)
	wantSentence(t, "an upload", r, err)
	r, err = b.UploadByForm(b.World.Sales.ID, slipway.AddFiles, "dags.tar.gz", program.ArchiveOf(map[string]string{"dags/a.py": "x"}))
	wantSentence(t, "a form", r, err)
	r, err = b.Form(program.DeployURL(b.World.Sales.ID, number)+"/confirm", consent)
	wantSentence(t, "a confirmation", r, err)
	r, err = b.Form(program.DeploymentURL(b.World.Sales.ID)+"/switch", url.Values{"to": {"off"}, "at_hand": {"yes"}})
	wantSentence(t, "a switch", r, err)
	if r, err = b.Page("/readyz"); err != nil || r.Status != http.StatusServiceUnavailable || !strings.Contains(r.Body, "full") {
		t.Errorf("readyz: answer %d, %v: %s", r.Status, err, r.Body)
	}
	wantPages(t, b)
	if got := b.Mounted(t); got != before {
		t.Errorf("mounted is %q, want %q", got, before)
	}
	heal()
	if r, err = b.Page("/readyz"); err != nil || r.Status != http.StatusOK {
		t.Errorf("readyz with room again: answer %d, %v: %s", r.Status, err, r.Body)
	}
	if r, err = b.Form(program.DeployURL(b.World.Sales.ID, number)+"/confirm", consent); err != nil || r.Status != http.StatusSeeOther {
		t.Errorf("confirm with room again: answer %d, %v: %s", r.Status, err, r.Body)
	}
	if err := b.AwaitStatus(b.World.Sales.ID, number, slipway.Deployed, 20*time.Second); err != nil {
		t.Error(err)
	}
	b.MustDeploy(t)
	if wrong := program.Integrity(t, filepath.Join(b.Data, datadir.Database)); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// TestConfirmedDeployWaitsForTheDisk has the disk fail between the confirmation
// of a deploy and its turn: it was acknowledged, so it waits, and goes live by
// itself.
func TestConfirmedDeployWaitsForTheDisk(t *testing.T) {
	dir := ownDisk(t)
	b := program.StartPortal(t, filepath.Join(dir, "data"), "--reserve", "0")
	b.MustDeploy(t)
	number, consent := staged(t, b, "# airflow DAG, confirmed\n")
	bundles := filepath.Join(b.Data, "bundles", b.World.Sales.Namespace)
	heal := readOnly(t, bundles) // its manifest has no place
	if r, err := b.Form(program.DeployURL(b.World.Sales.ID, number)+"/confirm", consent); err != nil || r.Status != http.StatusSeeOther {
		t.Fatalf("confirm: answer %d, %v: %s", r.Status, err, r.Body)
	}
	if err := b.AwaitStatus(b.World.Sales.ID, number, slipway.Deployed, 2*time.Second); err == nil || !strings.Contains(err.Error(), string(slipway.Deploying)) {
		t.Errorf("it should wait: %v", err)
	}
	heal()
	if err := b.AwaitStatus(b.World.Sales.ID, number, slipway.Deployed, 30*time.Second); err != nil {
		t.Error(err)
	}
	b.MustDeploy(t)
}

// readOnly makes a folder read-only, also for root, until heal is called.
// TestReadOnlyFolders makes the folders read-only that uploads and packs go
// to, as an administrator could.
func TestReadOnlyFolders(t *testing.T) {
	dir := ownDisk(t)
	b := program.StartPortal(t, filepath.Join(dir, "data"), "--reserve", "0")
	b.MustDeploy(t)
	before := b.Mounted(t)
	heal := readOnly(t, filepath.Join(b.Data, "uploads"))
	r, _, err := b.BeginUpload(b.World.Sales.ID, slipway.AddFiles, 1000)
	wantSentence(t, "an upload", r, err)
	r, err = b.UploadByForm(b.World.Sales.ID, slipway.AddFiles, "dags.tar.gz", program.ArchiveOf(map[string]string{"dags/a.py": "x"}))
	wantSentence(t, "a form", r, err)
	if r, err = b.Page("/readyz"); err != nil || r.Status != http.StatusServiceUnavailable || !strings.Contains(r.Body, "cannot be written to") {
		t.Errorf("readyz: answer %d, %v: %s", r.Status, err, r.Body)
	}
	wantPages(t, b)
	heal()

	heal = readOnly(t, filepath.Join(b.Data, "packs", b.World.Sales.Namespace))
	number, r, err := b.Upload(b.World.Sales.ID, slipway.ReplaceAll, program.ArchiveOf(map[string]string{"dags/sales.py": "# airflow DAG, new\n"}))
	if err != nil || r.Status != http.StatusNoContent {
		t.Fatalf("upload: answer %d, %v: %s", r.Status, err, r.Body)
	}
	if page := b.AwaitRefusal(t, number, 20*time.Second); !strings.Contains(page, "cannot be written to") {
		t.Error("the deploy does not say why it failed")
	}
	heal()
	if r, err = b.Page("/readyz"); err != nil || r.Status != http.StatusOK {
		t.Errorf("readyz: answer %d, %v: %s", r.Status, err, r.Body)
	}
	if got := b.Mounted(t); got != before {
		t.Errorf("mounted is %q, want %q", got, before)
	}
	b.MustDeploy(t)
}

// TestReadOnlyDisk has a file system turn read-only below a running portal, as
// it does when its disk fails. Such a one is only good again after it was
// unmounted, so the portal is started anew on it.
func TestReadOnlyDisk(t *testing.T) {
	disk := newImage(t)
	disk.mount(t)
	b := program.StartPortal(t, filepath.Join(disk.dir, "data"), "--reserve", "0")
	b.MustDeploy(t)
	before := b.Mounted(t)
	number, consent := staged(t, b, "# airflow DAG, staged before\n")
	if out, err := exec.Command("mount", "-o", "remount,abort", disk.dir).CombinedOutput(); err != nil {
		t.Fatalf("abort: %v: %s", err, out)
	}
	r, _, err := b.BeginUpload(b.World.Sales.ID, slipway.AddFiles, 1000)
	wantSentence(t, "an upload", r, err)
	r, err = b.Form(program.DeployURL(b.World.Sales.ID, number)+"/confirm", consent)
	wantSentence(t, "a confirmation", r, err)
	if r, err = b.Page("/readyz"); err != nil || r.Status != http.StatusServiceUnavailable || !strings.Contains(r.Body, "cannot be written to") {
		t.Errorf("readyz: answer %d, %v: %s", r.Status, err, r.Body)
	}
	wantPages(t, b)
	if got := b.Mounted(t); got != before {
		t.Errorf("mounted is %q, want %q", got, before)
	}
	b.Process.Kill()
	disk.unmount(t)
	disk.mount(t)
	b.Process = program.Launch(t, t.TempDir(), program.ServeArgs(program.Build(t, "slipway"), b.Data, "--reserve", "0")...)
	b.Base = b.Process.MustBeReady(t)
	b.CloseIdleConnections()
	if got := b.Mounted(t); got != before {
		t.Errorf("mounted is %q, want %q", got, before)
	}
	if r, err = b.Form(program.DeployURL(b.World.Sales.ID, number)+"/confirm", consent); err != nil || r.Status != http.StatusSeeOther {
		t.Errorf("confirm: answer %d, %v: %s", r.Status, err, r.Body)
	}
	if err := b.AwaitStatus(b.World.Sales.ID, number, slipway.Deployed, 20*time.Second); err != nil {
		t.Error(err)
	}
	b.MustDeploy(t)
}

// diskImage is an ext4 file system in a file.
