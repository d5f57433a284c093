package main

import (
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/internal/datadir"
	"slipway/internal/slipway"
)

// ownDisk mounts a file system of its own, which only root can.
// fill takes all space of a disk but so many bytes, and returns what gives it
// back.
// wantSentence checks that a request was refused because of the disk, in words.
func wantSentence(t *testing.T, what string, r reply, err error) {
	t.Helper()
	if err != nil || r.status != http.StatusInsufficientStorage || !strings.Contains(r.body, "The disk of the portal ") {
		t.Errorf("%s: answer %d, %v: %s", what, r.status, err, r.body)
	}
}

// wantPages checks that everything can still be read.
func (b *besieged) wantPages(t *testing.T) {
	t.Helper()
	of := deploymentURL(b.world.Sales.ID)
	for _, path := range []string{"/workspaces/" + string(b.world.Workspace.ID), of, of + "/deploys", of + "/versions", of + "/deploys/1", of + "/settings", "/healthz"} {
		if r, err := b.page(path); err != nil || r.status != http.StatusOK {
			t.Errorf("%s: answer %d, %v", path, r.status, err)
		}
	}
}

// staged uploads a file and waits until its deploy can be confirmed.
func (b *besieged) staged(t *testing.T, text string) (number int, base string) {
	t.Helper()
	number, r, err := b.upload(b.world.Sales.ID, slipway.ReplaceAll, archiveOf(map[string]string{"dags/sales.py": text}))
	if err != nil || r.status != http.StatusNoContent {
		t.Fatalf("upload: answer %d, %v: %s", r.status, err, r.body)
	}
	base, ok, err := b.baseOf(deployURL(b.world.Sales.ID, number), 20*time.Second)
	if err != nil || !ok {
		t.Fatalf("deploy #%d is not staged: %v", number, err)
	}
	return number, base
}

// TestDiskReserve has a disk run nearly full: uploads are refused before it is,
// and taken again when there is room.
func TestDiskReserve(t *testing.T) {
	dir := ownDisk(t)
	b := besiege(t, filepath.Join(dir, "data"), "--reserve", "16MiB")
	b.works(t)
	before := b.mounted(t)
	number, base := b.staged(t, "# airflow DAG, staged before\n")
	heal := fill(t, dir, 17<<20)
	big := make([]byte, 4<<20)
	r, _, err := b.begin(b.world.Sales.ID, slipway.AddFiles, len(big))
	wantSentence(t, "an upload that says its size", r, err)
	r, err = b.sendForm(b.world.Sales.ID, slipway.AddFiles, append(big, big...))
	wantSentence(t, "a form", r, err)
	if got := b.mounted(t); got != before {
		t.Errorf("mounted is %q, want %q", got, before)
	}
	b.wantPages(t)
	// What is staged needs a few bytes only, for which the reserve is there.
	if r, err = b.form(deployURL(b.world.Sales.ID, number)+"/confirm", ticked(base)); err != nil || r.status != http.StatusSeeOther {
		t.Errorf("confirm: answer %d, %v", r.status, err)
	}
	if err := b.awaitStatus(b.world.Sales.ID, number, slipway.Deployed, 20*time.Second); err != nil {
		t.Error(err)
	}
	heal()
	b.works(t)
}

// TestFullDisk fills the disk to its last byte. Everything that would write is
// refused in a sentence, all else goes on, and when there is room again it is
// as if nothing had been.
func TestFullDisk(t *testing.T) {
	dir := ownDisk(t)
	b := besiege(t, filepath.Join(dir, "data"), "--reserve", "0")
	b.works(t)
	before := b.mounted(t)
	number, base := b.staged(t, "# airflow DAG, staged before\n")
	heal := fill(t, dir, 0)
	r, _, err := b.begin(b.world.Sales.ID, slipway.AddFiles, 1000)
	wantSentence(t, "an upload", r, err)
	r, err = b.sendForm(b.world.Sales.ID, slipway.AddFiles, archiveOf(map[string]string{"dags/a.py": "x"}))
	wantSentence(t, "a form", r, err)
	r, err = b.form(deployURL(b.world.Sales.ID, number)+"/confirm", ticked(base))
	wantSentence(t, "a confirmation", r, err)
	r, err = b.form(deploymentURL(b.world.Sales.ID)+"/switch", url.Values{"to": {"off"}, "at_hand": {"yes"}})
	wantSentence(t, "a switch", r, err)
	if r, err = b.page("/readyz"); err != nil || r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, "full") {
		t.Errorf("readyz: answer %d, %v: %s", r.status, err, r.body)
	}
	b.wantPages(t)
	if got := b.mounted(t); got != before {
		t.Errorf("mounted is %q, want %q", got, before)
	}
	heal()
	if r, err = b.page("/readyz"); err != nil || r.status != http.StatusOK {
		t.Errorf("readyz with room again: answer %d, %v: %s", r.status, err, r.body)
	}
	if r, err = b.form(deployURL(b.world.Sales.ID, number)+"/confirm", ticked(base)); err != nil || r.status != http.StatusSeeOther {
		t.Errorf("confirm with room again: answer %d, %v: %s", r.status, err, r.body)
	}
	if err := b.awaitStatus(b.world.Sales.ID, number, slipway.Deployed, 20*time.Second); err != nil {
		t.Error(err)
	}
	b.works(t)
	if wrong := integrity(t, filepath.Join(b.data, datadir.Database)); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// TestConfirmedDeployWaitsForTheDisk has the disk fail between the confirmation
// of a deploy and its turn: it was acknowledged, so it waits, and goes live by
// itself.
func TestConfirmedDeployWaitsForTheDisk(t *testing.T) {
	dir := ownDisk(t)
	b := besiege(t, filepath.Join(dir, "data"), "--reserve", "0")
	b.works(t)
	number, base := b.staged(t, "# airflow DAG, confirmed\n")
	bundles := filepath.Join(b.data, "bundles", b.world.Sales.Namespace)
	heal := readOnly(t, bundles) // its manifest has no place
	if r, err := b.form(deployURL(b.world.Sales.ID, number)+"/confirm", ticked(base)); err != nil || r.status != http.StatusSeeOther {
		t.Fatalf("confirm: answer %d, %v: %s", r.status, err, r.body)
	}
	if err := b.awaitStatus(b.world.Sales.ID, number, slipway.Deployed, 2*time.Second); err == nil || !strings.Contains(err.Error(), string(slipway.Deploying)) {
		t.Errorf("it should wait: %v", err)
	}
	heal()
	if err := b.awaitStatus(b.world.Sales.ID, number, slipway.Deployed, 30*time.Second); err != nil {
		t.Error(err)
	}
	b.works(t)
}

// readOnly makes a folder read-only, also for root, until heal is called.
// TestReadOnlyFolders makes the folders read-only that uploads and packs go
// to, as an administrator could.
func TestReadOnlyFolders(t *testing.T) {
	dir := ownDisk(t)
	b := besiege(t, filepath.Join(dir, "data"), "--reserve", "0")
	b.works(t)
	before := b.mounted(t)
	heal := readOnly(t, filepath.Join(b.data, "uploads"))
	r, _, err := b.begin(b.world.Sales.ID, slipway.AddFiles, 1000)
	wantSentence(t, "an upload", r, err)
	r, err = b.sendForm(b.world.Sales.ID, slipway.AddFiles, archiveOf(map[string]string{"dags/a.py": "x"}))
	wantSentence(t, "a form", r, err)
	if r, err = b.page("/readyz"); err != nil || r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, "cannot be written to") {
		t.Errorf("readyz: answer %d, %v: %s", r.status, err, r.body)
	}
	b.wantPages(t)
	heal()

	heal = readOnly(t, filepath.Join(b.data, "packs", b.world.Sales.Namespace))
	number, r, err := b.upload(b.world.Sales.ID, slipway.ReplaceAll, archiveOf(map[string]string{"dags/sales.py": "# airflow DAG, new\n"}))
	if err != nil || r.status != http.StatusNoContent {
		t.Fatalf("upload: answer %d, %v: %s", r.status, err, r.body)
	}
	if page := b.refused(t, number, 20*time.Second); !strings.Contains(page, "cannot be written to") {
		t.Error("the deploy does not say why it failed")
	}
	heal()
	if r, err = b.page("/readyz"); err != nil || r.status != http.StatusOK {
		t.Errorf("readyz: answer %d, %v: %s", r.status, err, r.body)
	}
	if got := b.mounted(t); got != before {
		t.Errorf("mounted is %q, want %q", got, before)
	}
	b.works(t)
}

// TestReadOnlyDisk has a file system turn read-only below a running portal, as
// it does when its disk fails. Such a one is only good again after it was
// unmounted, so the portal is started anew on it.
func TestReadOnlyDisk(t *testing.T) {
	disk := newImage(t)
	disk.mount(t)
	b := besiege(t, filepath.Join(disk.dir, "data"), "--reserve", "0")
	b.works(t)
	before := b.mounted(t)
	number, base := b.staged(t, "# airflow DAG, staged before\n")
	if out, err := exec.Command("mount", "-o", "remount,abort", disk.dir).CombinedOutput(); err != nil {
		t.Fatalf("abort: %v: %s", err, out)
	}
	r, _, err := b.begin(b.world.Sales.ID, slipway.AddFiles, 1000)
	wantSentence(t, "an upload", r, err)
	r, err = b.form(deployURL(b.world.Sales.ID, number)+"/confirm", ticked(base))
	wantSentence(t, "a confirmation", r, err)
	if r, err = b.page("/readyz"); err != nil || r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, "cannot be written to") {
		t.Errorf("readyz: answer %d, %v: %s", r.status, err, r.body)
	}
	b.wantPages(t)
	if got := b.mounted(t); got != before {
		t.Errorf("mounted is %q, want %q", got, before)
	}
	b.portal.kill()
	disk.unmount(t)
	disk.mount(t)
	b.portal = launch(t, t.TempDir(), serveArgs(built(t, "slipway"), b.data, "--reserve", "0")...)
	b.base = b.portal.mustBeReady(t)
	b.CloseIdleConnections()
	if got := b.mounted(t); got != before {
		t.Errorf("mounted is %q, want %q", got, before)
	}
	if r, err = b.form(deployURL(b.world.Sales.ID, number)+"/confirm", ticked(base)); err != nil || r.status != http.StatusSeeOther {
		t.Errorf("confirm: answer %d, %v: %s", r.status, err, r.body)
	}
	if err := b.awaitStatus(b.world.Sales.ID, number, slipway.Deployed, 20*time.Second); err != nil {
		t.Error(err)
	}
	b.works(t)
}

// diskImage is an ext4 file system in a file.
