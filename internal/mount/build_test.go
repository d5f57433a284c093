package mount

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"slipway/internal/archive"
	"slipway/internal/bundle"
	"slipway/internal/slipway"
)

const ns = "deployment-1"

// version returns the nth version name.
func version(n int) slipway.Version {
	day := time.Date(2026, 11, 22, 14, 3, 51, 204e6, time.UTC)
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

// tarOf returns a tar file of files: path below the folder at → content. A content "-> x" makes a
// symlink to x, a path that ends in ".sh" an executable.
func tarOf(t testing.TB, at string, files map[string]string) *bytes.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for path, c := range files {
		h := &tar.Header{Name: at + path, Mode: 0o644, Size: int64(len(c))}
		if filepath.Ext(path) == ".sh" {
			h.Mode = 0o755
		}
		if target, isLink := strings.CutPrefix(c, "-> "); isLink {
			h.Typeflag, h.Linkname, h.Size, c = tar.TypeSymlink, target, 0, ""
		}
		ok(t, w.WriteHeader(h))
		must[int](t)(io.WriteString(w, c))
	}
	ok(t, w.Close())
	return bytes.NewReader(b.Bytes())
}

// manifestOf stores all contents of files, as tarOf takes them, in a pack of its
// own, and returns a manifest of them.
func manifestOf(t testing.TB, s *bundle.Store, v slipway.Version, files map[string]string) slipway.Manifest {
	t.Helper()
	packed := tarOf(t, "dags/", files)
	unknown := func(string) (slipway.Place, bool) { return slipway.Place{}, false }
	staged := must[bundle.Staged](t)(s.Stage(t.Context(), ns, packed, packed.Size(), archive.DefaultLimits(), archive.Search{}, unknown))
	return slipway.Manifest{Version: v, Files: staged.Files}
}

// packPath returns where the store in the data folder dir keeps a pack.
func packPath(dir, pack string) string { return filepath.Join(dir, "packs", ns, pack+".tar.zst") }

// forgedPack writes a pack to the store in the data folder dir in which actual
// lies under the SHA-256 of claimed.
func forgedPack(t testing.TB, dir, claimed, actual string) slipway.File {
	t.Helper()
	inside := must[[]byte](t)(io.ReadAll(tarOf(t, "", map[string]string{sha(claimed): actual})))
	packed := must[*zstd.Encoder](t)(zstd.NewWriter(nil)).EncodeAll(inside, nil)
	place := slipway.Place{Pack: sha(string(packed)), Length: int64(len(packed))}
	ok(t, os.MkdirAll(filepath.Dir(packPath(dir, place.Pack)), 0o700))
	ok(t, os.WriteFile(packPath(dir, place.Pack), packed, 0o600))
	return slipway.File{Path: "a.py", SHA256: sha(claimed), Size: int64(len(actual)), Place: place}
}

// checkSame checks the contents of files, by path.
func checkSame(t *testing.T, got, want map[string]string) {
	t.Helper()
	for path, content := range want {
		if c, there := got[path]; !there || c != content {
			t.Errorf("%s: %v, %d bytes, want %d", path, there, len(c), len(content))
		}
	}
	for path := range got {
		if _, known := want[path]; !known {
			t.Errorf("%s should not be there", path)
		}
	}
}
