package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway"
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
	t.Run("seed", func(t *testing.T) { w = storetest.Seed(t, storetest.OpenAt(t, filepath.Join(data, databaseName))) })
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
var zeros = sync.OnceValue(func() []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	mustCopy(zip, io.LimitReader(nothing{}, 64<<20))
	mustClose(zip)
	return out.Bytes()
})

// nothing reads as zeros without an end.
type nothing struct{}

func (nothing) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func mustCopy(w io.Writer, r io.Reader) {
	if _, err := io.Copy(w, r); err != nil {
		panic(err)
	}
}

func mustClose(c io.Closer) {
	if err := c.Close(); err != nil {
		panic(err)
	}
}

func gzipped(raw []byte) []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	mustCopy(zip, bytes.NewReader(raw))
	mustClose(zip)
	return out.Bytes()
}

// tarHead is the header of a file, without the file.
func tarHead(name string, size int64) []byte {
	var out bytes.Buffer
	if err := tar.NewWriter(&out).WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size}); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func bombOfOneFile(*testing.T) []byte {
	return append(gzipped(tarHead("dags/zeros.bin", 10<<30)), bytes.Repeat(zeros(), 160)...)
}

func bombAfterTheEnd(*testing.T) []byte {
	file := append(tarHead("dags/a.py", 1), make([]byte, 512)...)
	return append(gzipped(file), bytes.Repeat(zeros(), 160)...)
}

func lyingTar(*testing.T) []byte {
	return gzipped(append(tarHead("dags/a.py", 4<<30), "airflow DAG"...))
}

// lyingZip holds a file that unpacks to 10 GiB, where both headers say that it
// has 10 bytes.
func lyingZip(*testing.T) []byte {
	var packed bytes.Buffer
	deflate, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		panic(err)
	}
	mustCopy(deflate, io.LimitReader(nothing{}, 64<<20))
	if err := deflate.Flush(); err != nil {
		panic(err)
	}
	block := packed.Bytes()
	body := append(bytes.Repeat(block, 160), 1, 0, 0, 0xff, 0xff)
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	f, err := w.CreateRaw(&zip.FileHeader{
		Name: "dags/zeros.bin", Method: zip.Deflate, CRC32: crc32.ChecksumIEEE(make([]byte, 10)),
		CompressedSize64: uint64(len(body)), UncompressedSize64: 10,
	})
	if err != nil {
		panic(err)
	}
	mustCopy(f, bytes.NewReader(body))
	mustClose(w)
	return out.Bytes()
}

// millionFiles is made of blocks that differ in a number only, as its making
// should not take longer than its refusal.
func millionFiles(*testing.T) []byte {
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		panic(err)
	}
	for n := range 1_000_000 {
		mustCopy(zip, bytes.NewReader(tarHead(fmt.Sprintf("dags/%07d.py", n), 0)))
	}
	mustCopy(zip, bytes.NewReader(make([]byte, 1024)))
	mustClose(zip)
	return out.Bytes()
}

// millionZipped is written by hand: a zip.Writer would keep a million headers.
func millionZipped(*testing.T) []byte {
	const n = 1_000_000
	var out, central bytes.Buffer
	for i := range n {
		name := fmt.Sprintf("dags/%07d.py", i)
		at := uint32(out.Len())
		out.WriteString("PK\x03\x04")
		fields := make([]byte, 26) // empty, stored
		fields[0] = 20
		binary.LittleEndian.PutUint16(fields[22:], uint16(len(name)))
		out.Write(fields)
		out.WriteString(name)
		central.WriteString("PK\x01\x02\x14\x00")
		central.Write(fields)
		tail := make([]byte, 14)
		binary.LittleEndian.PutUint32(tail[10:], at)
		central.Write(tail)
		central.WriteString(name)
	}
	start, size := uint64(out.Len()), uint64(central.Len())
	mustCopy(&out, &central)
	end := out.Len()
	le := binary.LittleEndian
	record := append([]byte("PK\x06\x06"), le.AppendUint64(nil, 44)...)
	record = append(record, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	for _, v := range []uint64{n, n, size, start} {
		record = le.AppendUint64(record, v)
	}
	record = append(record, "PK\x06\x07\x00\x00\x00\x00"...)
	record = le.AppendUint64(record, uint64(end))
	record = append(record, 1, 0, 0, 0)
	record = append(record, "PK\x05\x06\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00"...)
	out.Write(record)
	return out.Bytes()
}
