// Package hostile sends malicious archives, slow senders and crowds to the built
// binary, and takes the disk away: docs/crashes.md.
package hostile

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/e2e/program"

	"slipway/internal/slipway"
)

// TestHostileArchives sends archives that are made to do harm. Each is refused
// in a sentence, within bounds of memory and time, and changes nothing.
func TestHostileArchives(t *testing.T) {
	b := program.StartPortal(t, filepath.Join(t.TempDir(), "data"), "--reserve", "0")
	b.MustDeploy(t)
	before := b.Mounted(t)
	for _, tt := range []struct {
		name    string
		archive func(t *testing.T) []byte
		says    string
		memory  int // MiB that it may take
	}{
		{"10 GiB of zeros in one file", bombOfOneFile, "unpacks to more than 8 GiB", 64},
		{"10 GiB of zeros after the end", bombAfterTheEnd, "unpacks to more than 8 GiB", 64},
		{"10 GiB of zeros in a zip that says 10 bytes", lyingZip, "unpacks to more bytes than the archive&#39;s directory says", 64},
		{"a header that says more than there is", lyingTar, "unpacks to more than 1 GiB", 64},
		{"a million tiny files", millionFiles, "more than 100000 files", 256},
		{"a million tiny files in a zip", millionZipped, "more than 100000 files", 256},
	} {
		t.Run(tt.name, func(t *testing.T) {
			archive := tt.archive(t)
			b.ResetPeak(t)
			rest := b.PeakMemory(t)
			began := time.Now()
			number, r, err := b.Upload(b.World.Sales.ID, slipway.ReplaceAll, archive)
			if err != nil || r.Status != http.StatusNoContent {
				t.Fatalf("answer %d, %v: %s", r.Status, err, r.Body)
			}
			if page := b.AwaitRefusal(t, number, 2*time.Minute); !strings.Contains(page, tt.says) {
				t.Errorf("the page does not say %q:\n%s", tt.says, page[strings.Index(page, "<main"):])
			}
			grown := b.PeakMemory(t) - rest
			t.Logf("%d KiB were refused in %s, with %d MiB more memory", len(archive)>>10, time.Since(began).Round(time.Millisecond), grown)
			if grown > tt.memory {
				t.Errorf("it took %d MiB, at most %d are allowed", grown, tt.memory)
			}
			if got := b.Mounted(t); got != before {
				t.Errorf("mounted is %q, want %q as before", got, before)
			}
		})
	}
	b.MustDeploy(t)
	for _, pattern := range []string{"packs/*/.tmp-*", "uploads/*"} {
		if left, err := filepath.Glob(filepath.Join(b.Data, pattern)); err != nil || len(left) > 0 {
			t.Errorf("left over: %q, %v", left, err)
		}
	}
}

// zeros is 64 MiB of them as a member of a gzip file, which may follow others.
// nothing reads as zeros without an end.
// tarHead is the header of a file, without the file.
// lyingZip holds a file that unpacks to 10 GiB, where both headers say that it
// has 10 bytes.
// millionFiles is made of blocks that differ in a number only, as its making
// should not take longer than its refusal.
// millionZipped is written by hand: a zip.Writer would keep a million headers.
