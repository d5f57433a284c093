package hostile

import (
	"crypto/rand"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"slipway/e2e/program"

	"slipway/internal/slipway"
)

// Uploads of every kind may be as large as --max-archive says, and no larger.
func TestMaxArchive(t *testing.T) {
	b := program.StartPortal(t, filepath.Join(t.TempDir(), "data"), "--max-archive", "1MiB")
	fits, large := make([]byte, 1<<19), make([]byte, 1<<20)
	rand.Read(fits) // it never fails
	rand.Read(large)
	for name, tt := range map[string]struct {
		noise           []byte
		begun, uploaded int // answers to an announced upload and to a form
	}{
		"fits":      {fits, http.StatusCreated, http.StatusSeeOther},
		"too large": {large, http.StatusRequestEntityTooLarge, http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			archive := program.ArchiveOf(map[string]string{"dags/noise.bin": string(tt.noise)})
			if r, _, err := b.BeginUpload(b.World.Sales.ID, slipway.AddFiles, len(archive)); err != nil || r.Status != tt.begun {
				t.Errorf("announced: answer %d, %v: %s", r.Status, err, r.Body)
			}
			r, err := b.UploadByForm(b.World.Sales.ID, slipway.AddFiles, "dags.tar.gz", archive)
			if err != nil || r.Status != tt.uploaded {
				t.Errorf("form: answer %d, %v", r.Status, err)
			}
			if said := strings.Contains(r.Body, "larger than 1.0 MB together"); said != (tt.uploaded != http.StatusSeeOther) {
				t.Errorf("the form says:\n%s", r.Body)
			}
		})
	}
}
