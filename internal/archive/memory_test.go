package archive

import (
	"archive/tar"
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"slipway/internal/slipway"
)

// TestMemoryOfEntries holds what DESIGN promises: an archive costs at most 64 MiB of
// memory, or 1 KiB an entry.
func TestMemoryOfEntries(t *testing.T) {
	if raceDetector || testing.Short() {
		t.Skip("many entries, and the race detector takes memory of its own: make test runs this test without it")
	}
	const most = 100_000
	file := func(i int) string { return fmt.Sprintf("dags/team_%03d/some_sub_folder/load_orders_%06d.py", i%500, i) }
	long := func(i int) string {
		return fmt.Sprintf("dags/%s%06d", strings.Repeat(strings.Repeat("n", 200)+"/", 5), i)
	}
	for name, tt := range map[string]struct {
		entries int
		write   func(w io.Writer, n int) error
		refused bool
	}{
		"tar":                      {most - 1100, tarEntries(tar.TypeReg, file), false},
		"tar.gz":                   {most - 1100, gzipOf(tarEntries(tar.TypeReg, file)), false},
		"tar.zst":                  {most - 1100, zstdOf(tarEntries(tar.TypeReg, file)), false},
		"tar.xz":                   {most - 1100, xzOf(tarEntries(tar.TypeReg, file)), false},
		"zip":                      {most - 1100, zipEntriesOf(file), false},
		"symlinks":                 {most - 1100, gzipOf(tarEntries(tar.TypeSymlink, file)), false},
		"folders":                  {most - 1100, gzipOf(tarEntries(tar.TypeDir, func(i int) string { return file(i) + "/" })), false},
		"folders of long names":    {99_000, gzipOf(tarEntries(tar.TypeDir, func(i int) string { return long(i) + "/" })), true},
		"files of long names":      {99_000, gzipOf(tarEntries(tar.TypeReg, long)), true},
		"zipped, of long names":    {99_000, zipEntriesOf(long), true},
		"long names beside":        {99_000, gzipOf(tarEntries(tar.TypeReg, func(i int) string { return "x" + long(i) })), true},
		"hard links beside":        {300_000, gzipOf(tarEntries(tar.TypeLink, func(i int) string { return fmt.Sprintf("logs/%d/%06d.log", i%50, i) })), false},
		"fifos beside":             {395_000, gzipOf(tarEntries(tar.TypeFifo, func(i int) string { return fmt.Sprintf("run/%d/%06d.pipe", i%50, i) })), false},
		"many more beside":         {390_000, gzipOf(tarEntries(tar.TypeReg, func(i int) string { return fmt.Sprintf("logs/%d/%06d.log", i%50, i) })), false},
		"many more beside, zipped": {390_000, zipEntriesOf(func(i int) string { return fmt.Sprintf("logs/%d/%06d.log", i%50, i) }), false},
		"records of 900 KiB":       {300, gzipOf(tarRecords(900<<10, file)), false},
		"records of 1 KiB":         {50_000, gzipOf(tarRecords(1<<10, file)), false},
		"sparse files":             {90_000, gzipOf(sparseEntries(file)), false},
		"extra fields, zipped":     {400, zipHeaders(func(i int) *zip.FileHeader { return &zip.FileHeader{Name: file(i), Extra: unknownField(60_000)} }), false},
		"extra fields beyond":      {2000, zipHeaders(func(i int) *zip.FileHeader { return &zip.FileHeader{Name: file(i), Extra: unknownField(60_000)} }), true},
		"comments, zipped": {400, zipHeaders(func(i int) *zip.FileHeader {
			return &zip.FileHeader{Name: file(i), Comment: strings.Repeat("c", 60_000)}
		}), false},
		"deep names of one letter": {99_000, gzipOf(tarEntries(tar.TypeReg, func(i int) string { return fmt.Sprintf("dags/%06d/%s", i, strings.Repeat("d/", 120)+"x") })), true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "archive")
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := tt.write(f, tt.entries); err != nil {
				t.Fatal(err)
			}
			info, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			began, allowed := time.Now(), max(64<<20, 1<<10*int64(tt.entries))
			var grown int64
			for range 3 { // the peak holds garbage, as much as the collector lets lie just then
				grown = peak(func() {
					_, err = Read(t.Context(), f, info.Size(), DefaultLimits(), Search{}, func(Entry, io.Reader) (bool, error) { return false, nil })
				})
				if grown <= allowed {
					break
				}
			}
			if (err != nil) != tt.refused || err != nil && !slipway.Explained(err) {
				t.Errorf("error %v, want a refusal: %t", err, tt.refused)
			}
			t.Logf("%d MiB for %d entries, %d KiB, in %s", grown>>20, tt.entries, info.Size()>>10, time.Since(began).Round(time.Millisecond))
			if grown > allowed {
				t.Errorf("reading took %d MiB, at most %d are allowed", grown>>20, allowed>>20)
			}
		})
	}
}

// peak returns the most bytes of heap that do needs beside the present ones, garbage
// included.
func peak(do func()) int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most := m.HeapInuse, m.HeapInuse
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	do()
	close(done)
	<-ended
	return int64(most - before)
}

func tarEntries(kind byte, name func(int) string) func(io.Writer, int) error {
	return func(out io.Writer, n int) error {
		w := tar.NewWriter(out)
		for i := range n {
			h := &tar.Header{Name: name(i), Typeflag: kind, Mode: 0o644}
			switch kind {
			case tar.TypeSymlink:
				h.Linkname = "../some_sub_folder/target.py"
			case tar.TypeLink:
				h.Linkname = "logs/0"
			}
			if err := w.WriteHeader(h); err != nil {
				return err
			}
		}
		err := w.WriteHeader(&tar.Header{Name: "dags/last.py", Typeflag: tar.TypeReg, Mode: 0o644})
		return errors.Join(err, w.Close())
	}
}

func zipEntriesOf(name func(int) string) func(io.Writer, int) error {
	return func(out io.Writer, n int) error {
		w := zip.NewWriter(out)
		for i := range n {
			if _, err := w.CreateRaw(&zip.FileHeader{Name: name(i)}); err != nil {
				return err
			}
		}
		_, err := w.CreateRaw(&zip.FileHeader{Name: "dags/last.py"})
		return errors.Join(err, w.Close())
	}
}

// tarRecords writes files that each have an extended header of so many bytes.
func tarRecords(size int, name func(int) string) func(io.Writer, int) error {
	return func(out io.Writer, n int) error {
		w := tar.NewWriter(out)
		for i := range n {
			h := &tar.Header{Name: name(i), Typeflag: tar.TypeReg, Mode: 0o644, Format: tar.FormatPAX, PAXRecords: map[string]string{"SLIPWAY.note": strings.Repeat("n", size)}}
			if err := w.WriteHeader(h); err != nil {
				return err
			}
		}
		return w.Close()
	}
}

// sparseEntries writes files of one hole, as GNU tar and bsdtar do.
func sparseEntries(name func(int) string) func(io.Writer, int) error {
	return func(out io.Writer, n int) error {
		for i := range n {
			if _, err := out.Write(tarBody(hole(name(i), 1<<10)...)); err != nil {
				return err
			}
		}
		_, err := out.Write(make([]byte, 2*tarBlock)) // the end
		return err
	}
}

// zipHeaders writes empty files with the headers.
func zipHeaders(header func(int) *zip.FileHeader) func(io.Writer, int) error {
	return func(out io.Writer, n int) error {
		w := zip.NewWriter(out)
		for i := range n {
			if _, err := w.CreateRaw(header(i)); err != nil {
				return err
			}
		}
		return w.Close()
	}
}

// unknownField returns an extra field of a zip archive, of no known kind.
func unknownField(size uint16) []byte {
	b := make([]byte, size)
	binary.LittleEndian.PutUint16(b, 0xcafe)
	binary.LittleEndian.PutUint16(b[2:], size-4)
	return b
}

func gzipOf(write func(io.Writer, int) error) func(io.Writer, int) error {
	return func(out io.Writer, n int) error {
		w, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
		if err != nil {
			return err
		}
		return errors.Join(write(w, n), w.Close())
	}
}

func zstdOf(write func(io.Writer, int) error) func(io.Writer, int) error {
	return func(out io.Writer, n int) error {
		w, err := zstd.NewWriter(out)
		if err != nil {
			return err
		}
		return errors.Join(write(w, n), w.Close())
	}
}

func xzOf(write func(io.Writer, int) error) func(io.Writer, int) error {
	return func(out io.Writer, n int) error {
		w, err := xz.NewWriter(out)
		if err != nil {
			return err
		}
		return errors.Join(write(w, n), w.Close())
	}
}
