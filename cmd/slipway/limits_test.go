package main

import (
	"crypto/rand"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

// Uploads of every kind may be as large as --max-archive says, and no larger.
func TestMaxArchive(t *testing.T) {
	b := besiege(t, filepath.Join(t.TempDir(), "data"), "--max-archive", "1MiB")
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
			archive := archiveOf(map[string]string{"dags/noise.bin": string(tt.noise)})
			if r, _, err := b.begin(b.world.Sales.ID, slipway.AddFiles, len(archive)); err != nil || r.status != tt.begun {
				t.Errorf("announced: answer %d, %v: %s", r.status, err, r.body)
			}
			r, err := b.sendForm(b.world.Sales.ID, slipway.AddFiles, archive)
			if err != nil || r.status != tt.uploaded {
				t.Errorf("form: answer %d, %v", r.status, err)
			}
			if said := strings.Contains(r.body, "larger than 1.0 MB together"); said != (tt.uploaded != http.StatusSeeOther) {
				t.Errorf("the form says:\n%s", r.body)
			}
		})
	}
}
