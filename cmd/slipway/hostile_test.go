package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"slipway/internal/datadir"
	"slipway/internal/slipway"
	"slipway/store/storetest"
)

// besieged is a portal that hostile tests talk to.
type besieged struct {
	*visitor
	portal *process
	data   string
	world  storetest.World
}

// besiege starts the built program on a data folder.
func besiege(t *testing.T, data string, args ...string) *besieged {
	t.Helper()
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	b := &besieged{data: data, world: seedOnce(t, data)}
	b.portal = launch(t, t.TempDir(), serveArgs(built(t, "slipway"), data, args...)...)
	base := b.portal.mustBeReady(t)
	b.visitor = newVisitor(t.Context(), base, signInAda(t, base))
	t.Cleanup(func() {
		b.CloseIdleConnections()
		if t.Failed() {
			t.Logf("the portal said:\n%s", b.portal.tail())
		}
	})
	return b
}

// seedOnce fills an empty data folder, and closes it again.
func seedOnce(t *testing.T, data string) (w storetest.World) {
	t.Helper()
	t.Run("seed", func(t *testing.T) { w = storetest.Seed(t, storetest.OpenAt(t, filepath.Join(data, datadir.Database))) })
	return w
}

// works makes sure that a deploy goes through, and that what is mounted is it.
func (b *besieged) works(t *testing.T) {
	t.Helper()
	text := fmt.Sprintf("# airflow DAG at %s\n", time.Now())
	number, err := b.deployNow(b.world.Sales.ID, slipway.ReplaceAll, archiveOf(map[string]string{"dags/sales.py": text}))
	if err == nil {
		err = b.awaitStatus(b.world.Sales.ID, number, slipway.Deployed, 30*time.Second)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := b.mounted(t); got != text {
		t.Errorf("mounted is %q, want %q", got, text)
	}
}

func (b *besieged) mounted(t *testing.T) string {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(b.data, "mounts", b.world.Sales.Namespace, "current", "dags", "sales.py"))
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// refused waits until a deploy has failed, and returns its page.
func (b *besieged) refused(t *testing.T, number int, patience time.Duration) string {
	t.Helper()
	if err := b.awaitStatus(b.world.Sales.ID, number, slipway.Failed, patience); err != nil {
		t.Fatal(err)
	}
	r, err := b.page(deployURL(b.world.Sales.ID, number))
	if err != nil {
		t.Fatal(err)
	}
	return r.body
}

var peakLine = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peak returns the most resident memory since forget, in MiB.
func (b *besieged) peak(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.portal.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := peakLine.FindSubmatch(text)
	if m == nil {
		t.Fatalf("no peak in %s", text)
	}
	kib, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kib >> 10
}

// forget begins the measurement of peak anew.
func (b *besieged) forget(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", b.portal.cmd.Process.Pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

// TestHostileArchives sends archives that are made to do harm. Each is refused
// in a sentence, within bounds of memory and time, and changes nothing.
func TestHostileArchives(t *testing.T) {
	b := besiege(t, filepath.Join(t.TempDir(), "data"), "--reserve", "0")
	b.works(t)
	before := b.mounted(t)
	for _, tt := range []struct {
		name    string
		archive func(t *testing.T) []byte
		says    string
		memory  int // MiB that it may take
	}{
		{"10 GiB of zeros in one file", bombOfOneFile, "unpacks to more than 8 GiB", 64},
		{"10 GiB of zeros after the end", bombAfterTheEnd, "unpacks to more than 8 GiB", 64},
		{"10 GiB of zeros in a zip that says 10 bytes", lyingZip, "unpacks to more bytes than the archive&#39;s directory says", 64},
		{"a header that says more than there is", lyingTar, "is cut off", 64},
		{"a million tiny files", millionFiles, "more than 100000 files", 256},
		{"a million tiny files in a zip", millionZipped, "more than 100000 files", 256},
	} {
		t.Run(tt.name, func(t *testing.T) {
			archive := tt.archive(t)
			b.forget(t)
			rest := b.peak(t)
			began := time.Now()
			number, r, err := b.upload(b.world.Sales.ID, slipway.ReplaceAll, archive)
			if err != nil || r.status != http.StatusNoContent {
				t.Fatalf("answer %d, %v: %s", r.status, err, r.body)
			}
			if page := b.refused(t, number, 2*time.Minute); !strings.Contains(page, tt.says) {
				t.Errorf("the page does not say %q:\n%s", tt.says, page[strings.Index(page, "<main"):])
			}
			grown := b.peak(t) - rest
			t.Logf("%d KiB were refused in %s, with %d MiB more memory", len(archive)>>10, time.Since(began).Round(time.Millisecond), grown)
			if grown > tt.memory {
				t.Errorf("it took %d MiB, at most %d are allowed", grown, tt.memory)
			}
			if got := b.mounted(t); got != before {
				t.Errorf("mounted is %q, want %q as before", got, before)
			}
		})
	}
	b.works(t)
	for _, pattern := range []string{"packs/*/.tmp-*", "uploads/*"} {
		if left := newDisk(b.data).glob(b.data, pattern); len(left) > 0 {
			t.Errorf("left over: %q", left)
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
