package bundle

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/archive"
	"slipway/internal/slipway"
)

// FuzzManifest reads what anyone may have written: JSON, or that compressed.
func FuzzManifest(f *testing.F) {
	place := slipway.Place{Pack: sha("pack"), Length: 9}
	var b bytes.Buffer
	ok(f, WriteManifest(&b, slipway.Manifest{Version: version(1), Files: []slipway.File{
		{Path: "a.py", SHA256: sha("a"), Size: 1, DAG: true, Place: place}, {Path: "b/c", Link: "../a.py"},
	}}))
	f.Add(bytes.Clone(b.Bytes()))
	for _, path := range []string{"a.py", "../a", "/a", "a/../b", ".", "a//b", "a\\u0000"} {
		f.Add([]byte(`{"version":"` + string(version(1)) + `","files":[{"path":"` + path + `","sha256":"` + sha("a") +
			`","size":1,"pack":"` + sha("b") + `","length":1},{"path":"z","link":"` + path + `"}]}`))
	}
	for _, links := range []int{archive.MaxHops - 1, archive.MaxHops} {
		var files []slipway.File // each a symlink to the next
		for i := range links {
			files = append(files, slipway.File{Path: fmt.Sprintf("c%02d", i), Link: fmt.Sprintf("././c%02d", i+1)})
		}
		b.Reset()
		ok(f, WriteManifest(&b, slipway.Manifest{Version: version(1), Files: append(files, slipway.File{Path: "l", Link: "c00"})}))
		f.Add(bytes.Clone(b.Bytes()))
	}
	for _, size := range []string{"-1", "9223372036854775807", "9223372036854775808", "17592186044416"} {
		content := `,"sha256":"` + sha("a") + `","size":` + size + `,"pack":"` + sha("b") + `","length":1}`
		f.Add([]byte(`{"version":"` + string(version(1)) + `","files":[{"path":"a"` + content + `,{"path":"b"` + content + `]}`))
	}
	b.Reset()
	ok(f, WriteManifest(&b, slipway.Manifest{Version: version(1), Files: []slipway.File{
		{Path: ".airflowignore", SHA256: sha("*"), Size: 1, Place: place}, {Path: "a.py", SHA256: sha("a"), Size: 1, Asset: true, Bidi: true, Place: place},
		{Path: "b.bin", SHA256: sha("b"), Size: 130, LFS: true, Exec: true, Place: place}, {Path: "größe\u202e.py", SHA256: sha("c"), NoMode: true},
		{Path: "pack.zip", SHA256: sha("d"), Size: 9, DAG: true, Place: place},
	}}))
	f.Add(bytes.Clone(b.Bytes()))
	for _, field := range []string{`"noMode":true,"exec":true`, `"dag":1`, `"asset":true,"dag":true,"lfs":true`, `"link":"a","size":1`, `"offset":-1`, `"path":"b"`} {
		f.Add([]byte(`{"version":"` + string(version(1)) + `","files":[{"path":"a",` + field + `,"sha256":"` + sha("a") + `","size":1,"pack":"` + sha("b") + `","length":1}]}`))
	}
	for _, path := range []string{"e\u0301", "\xff", "a\u2066b", "Icon\r", `a\\b`, strings.Repeat("d/", 140) + "x"} {
		f.Add([]byte(`{"version":"` + string(version(1)) + `","files":[{"path":"` + path + `","sha256":"` + sha("a") + `","size":1,"pack":"` + sha("b") + `","length":1}]}`))
	}
	f.Add([]byte(`{"files":[{},{},{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := ReadManifest(bytes.NewReader(data)); err == nil {
			checkTrusted(t, m)
		}
		if m, err := readJSON(bytes.NewReader(data)); err == nil {
			checkTrusted(t, m)
		}
	})
}

// checkTrusted checks, in other words than CheckManifest, what a mount relies on.
func checkTrusted(t *testing.T, m slipway.Manifest) {
	t.Helper()
	if dir := m.Version.Dir(); dir != filepath.Base(dir) || !filepath.IsLocal(dir) {
		t.Fatalf("version %q", m.Version)
	}
	seen := map[string]bool{}
	last := ""
	var size int64
	for _, f := range m.Files {
		if !filepath.IsLocal(f.Path) || filepath.Clean(f.Path) != f.Path || f.Path <= last {
			t.Fatalf("path %q after %q", f.Path, last)
		}
		for dir := filepath.Dir(f.Path); dir != "."; dir = filepath.Dir(dir) {
			if seen[dir] {
				t.Fatalf("path %q lies below a file", f.Path)
			}
		}
		if f.Link != "" && strings.HasPrefix(f.Link, "/") {
			t.Fatalf("symlink %q to %q", f.Path, f.Link)
		}
		if f.Size < 0 || f.Offset < 0 || f.Length < 0 {
			t.Fatalf("file %v", f)
		}
		if size += f.Size; size < 0 || size > archive.MaxUnpacked {
			t.Fatalf("%d bytes up to %q", size, f.Path)
		}
		seen[f.Path], last = true, f.Path
	}
}
