package bundle

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/internal/archive"
	"slipway/internal/slipway"
)

// A pack that is checked tells the same places as the one who wrote it.
func TestCheckPackFindsWhatWasWritten(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	pack, want := writtenPack(t, s, 40, 100_000)
	var got []slipway.File

	err = Attach(dir).CheckPack(t.Context(), "ns", pack.SHA256, func(f slipway.File) { got = append(got, f) })

	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b slipway.File) int { return strings.Compare(a.SHA256, b.SHA256) })
	if !slices.Equal(got, want) {
		t.Errorf("contents:\n%v\nwant:\n%v", got, want)
	}
	if frames := distinctOffsets(got); frames < 3 {
		t.Errorf("%d frames, want several", frames)
	}
}

// Whatever byte of a pack is turned, or however much of it is missing, it is
// noticed, and nothing wrong is told before.
func TestCheckPackNoticesDamage(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	pack, _ := writtenPack(t, s, 3, 2000)
	path := filepath.Join(dir, "packs", "ns", pack.SHA256+packSuffix)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.CheckPack(t.Context(), "ns", pack.SHA256, func(slipway.File) {}); err == nil {
			t.Errorf("%s: no error", what)
		}
		// Also without the help of the name, it ends and does not panic.
		_ = checkFrames(t.Context(), bytes.NewReader(b), int64(len(b)), func(slipway.File) {})
	}
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 0x55
		check(fmt.Sprintf("byte %d", i), b)
	}
	for _, n := range []int{0, 1, 5, len(whole) / 2, len(whole) - 1} {
		check(fmt.Sprintf("%d bytes", n), whole[:n])
	}
}

// writtenPack stores n contents of about size bytes and returns them by
// sha256, as they were placed.
func writtenPack(t *testing.T, s *Store, n, size int) (Pack, []slipway.File) {
	t.Helper()
	var packed bytes.Buffer
	tw := tar.NewWriter(&packed)
	for i := range n {
		content := strings.Repeat(fmt.Sprintf("%d %x\n", i, i*i*7919), size/8)
		err := tw.WriteHeader(&tar.Header{Name: fmt.Sprintf("f%02d.py", i), Mode: 0o644, Size: int64(len(content))})
		if _, err2 := io.WriteString(tw, content); err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	staged, err := s.Stage(t.Context(), "ns", bytes.NewReader(packed.Bytes()), int64(packed.Len()), archive.DefaultLimits(), archive.Search{},
		func(string) (p slipway.Place, known bool) { return p, false })
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(staged.New, func(a, b slipway.File) int { return strings.Compare(a.SHA256, b.SHA256) })
	return staged.Pack, staged.New
}

func distinctOffsets(files []slipway.File) int {
	seen := map[int64]bool{}
	for _, f := range files {
		seen[f.Offset] = true
	}
	return len(seen)
}
