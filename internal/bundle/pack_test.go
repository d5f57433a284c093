package bundle

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"slipway/internal/slipway"
)

// ns is the namespace of all tests.
const ns = "deployment-1"

var day = time.Date(2026, 11, 22, 14, 3, 51, 204e6, time.UTC)

// version returns the nth version name.
func version(n int) slipway.Version {
	return slipway.NextVersion(day.Add(time.Duration(n)*time.Hour), "")
}

// ok ends the test on an error.
func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// must returns v, and ends the test on an error.
func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		ok(t, err)
		return v
	}
}

func sha(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// noise returns n bytes that do not compress.
func noise(seed uint64, n int) string {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b) // never fails
	return string(b)
}

// packOf stores contents in one pack and returns where each lies.
func packOf(t testing.TB, s *Store, contents ...string) map[string]slipway.Place {
	t.Helper()
	p := must[*packWriter](t)(s.newPack(ns))
	defer p.discard()
	for _, c := range contents {
		ok(t, p.add(sha(c), int64(len(c)), bytes.NewReader([]byte(c))))
	}
	ok(t, p.finish())
	must[Pack](t)(p.keep(t.Context(), s, ns))
	places := map[string]slipway.Place{}
	for _, c := range p.list {
		places[c.sha] = p.place(c)
	}
	return places
}

// fileOf returns the file at path with content, which lies in places.
func fileOf(path, content string, places map[string]slipway.Place) slipway.File {
	return slipway.File{Path: path, SHA256: sha(content), Size: int64(len(content)), Place: places[sha(content)]}
}

// manifestOf stores a pack with the contents of the files and returns a
// manifest of them: path → content. A content "-> x" makes a symlink to x, a
// path that ends in ".sh" an executable.
func manifestOf(t testing.TB, s *Store, v slipway.Version, files map[string]string) slipway.Manifest {
	t.Helper()
	var list []string
	for _, c := range files {
		if !slices.Contains(list, c) && !strings.HasPrefix(c, "-> ") {
			list = append(list, c)
		}
	}
	places := packOf(t, s, list...)
	m := slipway.Manifest{Version: v}
	for path, c := range files {
		f := fileOf(path, c, places)
		if target, isLink := strings.CutPrefix(c, "-> "); isLink {
			f = slipway.File{Path: path, Link: target}
		}
		f.Exec = filepath.Ext(path) == ".sh"
		m.Files = append(m.Files, f)
	}
	slipway.SortFiles(m.Files)
	return m
}

func TestPackIsATar(t *testing.T) {
	s := must[*Store](t)(Open(t.TempDir()))
	contents := []string{"", "small", noise(1, 700_000), noise(2, 700_000), noise(3, 3<<20), "last"}

	places := packOf(t, s, contents...)

	var pack Pack
	for p, err := range s.Packs(ns) {
		ok(t, err)
		pack = p
	}
	raw := must[[]byte](t)(os.ReadFile(filepath.Join(s.dir, "packs", ns, pack.SHA256+".tar.zst")))
	if got := sha(string(raw)); got != pack.SHA256 || int64(len(raw)) != pack.Size {
		t.Errorf("pack %v has SHA-256 %s and %d bytes", pack, got, len(raw))
	}
	dec := must[*zstd.Decoder](t)(zstd.NewReader(bytes.NewReader(raw)))
	defer dec.Close()
	unpacked := must[[]byte](t)(io.ReadAll(dec))
	if !bytes.HasSuffix(unpacked, make([]byte, 1024)) {
		t.Error("the tar has no trailer")
	}
	entries := tar.NewReader(bytes.NewReader(unpacked))
	for i, want := range contents {
		h := must[*tar.Header](t)(entries.Next())
		got := must[[]byte](t)(io.ReadAll(entries))
		if h.Name != sha(want) || h.ModTime.Unix() != 0 || string(got) != want {
			t.Errorf("entry %d is %s of %v with %d bytes, want %s of 1970 with %d", i, h.Name, h.ModTime, len(got), sha(want), len(want))
		}
	}
	if _, err := entries.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last entry: %v, want EOF", err)
	}
	frames := map[int64]bool{}
	for _, p := range places {
		frames[p.Offset] = true
	}
	if len(frames) != 3 {
		t.Errorf("%d frames, want 3: each ends after a MiB", len(frames))
	}
}

func TestSpans(t *testing.T) {
	at := func(pack string, offset, length int64) slipway.Place {
		return slipway.Place{Pack: pack, Offset: offset, Length: length}
	}
	for name, tt := range map[string]struct {
		places []slipway.Place
		want   string
	}{
		"none":                   {want: "[]"},
		"one twice":              {[]slipway.Place{at("a", 0, 5), at("a", 0, 5)}, "[[{a 0 5}]]"},
		"neighbours, unsorted":   {[]slipway.Place{at("a", 5, 7), at("a", 0, 5)}, "[[{a 0 5} {a 5 7}]]"},
		"a gap":                  {[]slipway.Place{at("a", 0, 5), at("a", 6, 1)}, "[[{a 0 5}] [{a 6 1}]]"},
		"two packs that seem to": {[]slipway.Place{at("b", 5, 7), at("a", 0, 5)}, "[[{a 0 5}] [{b 5 7}]]"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fmt.Sprint(spans(tt.places)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
