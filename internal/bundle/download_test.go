package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"slipway/internal/durable"
	"slipway/internal/slipway"
)

func TestContent(t *testing.T) {
	s := must[*Store](t)(Open(t.TempDir()))
	big := noise(1, 2<<20)
	places := packOf(t, s, "first", "second", big, "last")
	for _, want := range []string{"first", "second", big, "last"} {
		r := must[io.ReadCloser](t)(s.Content(t.Context(), ns, fileOf("a.py", want, places)))
		if got := must[[]byte](t)(io.ReadAll(r)); string(got) != want {
			t.Errorf("got %d bytes, want %d", len(got), len(want))
		}
		ok(t, r.Close())
	}
	f := fileOf("a.py", "first", places)
	f.SHA256 = sha("not in the pack")
	if _, err := s.Content(t.Context(), ns, f); err == nil {
		t.Error("a content that is not there was found")
	}
}

func TestContentIsVerified(t *testing.T) {
	s := must[*Store](t)(Open(t.TempDir()))
	f := forgedPack(t, s, "what it should be", "what it really is")
	r := must[io.ReadCloser](t)(s.Content(t.Context(), ns, f))
	defer r.Close()
	if got, err := io.ReadAll(r); err == nil {
		t.Errorf("read %q without an error", got)
	}
}

// forgedPack stores a pack in which actual lies under the name of claimed, and
// returns the file a.py that should have that content.
func forgedPack(t *testing.T, s *Store, claimed, actual string) slipway.File {
	t.Helper()
	p := must[*packWriter](t)(s.newPack(ns))
	defer p.discard()
	ok(t, p.add(sha(claimed), int64(len(actual)), bytes.NewReader([]byte(actual))))
	ok(t, p.finish())
	must[Pack](t)(p.keep(t.Context(), s, ns))
	return slipway.File{Path: "a.py", SHA256: sha(claimed), Size: int64(len(actual)), Place: p.place(p.list[0])}
}

func TestWriteArchive(t *testing.T) {
	s := must[*Store](t)(Open(t.TempDir()))
	big := noise(7, inMemoryTwice+1)
	files := map[string]string{
		"a.py": "import airflow", "b/__init__.py": "", "c/__init__.py": "", "c/run.sh": "#!/bin/sh",
		"d/link.py": "-> ../a.py", "e.bin": big, "f.bin": big,
	}
	m := manifestOf(t, s, version(1), files)

	var first, second bytes.Buffer
	ok(t, s.WriteArchive(t.Context(), ns, m, &first))
	ok(t, s.WriteArchive(t.Context(), ns, m, &second))

	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two archives of one version differ")
	}
	got := map[string]string{}
	entries := tar.NewReader(must[*gzip.Reader](t)(gzip.NewReader(&first)))
	for h, err := entries.Next(); err == nil; h, err = entries.Next() {
		name := must[string](t)(filepath.Rel("dags", h.Name))
		got[name] = string(must[[]byte](t)(io.ReadAll(entries)))
		if h.Typeflag == tar.TypeSymlink {
			got[name] = "-> " + h.Linkname
		}
		if exec := h.Mode&0o111 != 0; h.Typeflag == tar.TypeReg && exec != (filepath.Ext(name) == ".sh") {
			t.Errorf("%s has mode %o", h.Name, h.Mode)
		}
	}
	checkSame(t, got, files)
}

// checkSame compares path → content.
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

func TestWriteArchiveOfADamagedPack(t *testing.T) {
	s := must[*Store](t)(Open(t.TempDir()))
	f := forgedPack(t, s, "what it should be", "what it really is")
	m := slipway.Manifest{Version: version(1), Files: []slipway.File{f}}
	if err := s.WriteArchive(t.Context(), ns, m, io.Discard); err == nil {
		t.Error("a damaged content was archived")
	}
	ok(t, s.DropPack(ns, f.Pack))
	if err := s.WriteArchive(t.Context(), ns, m, io.Discard); err == nil {
		t.Error("a missing pack was archived")
	}
}

func TestOpenRemovesLeftovers(t *testing.T) {
	dir := t.TempDir()
	s := must[*Store](t)(Open(dir))
	must[int64](t)(s.PutManifest(ns, manifestOf(t, s, version(1), map[string]string{"a.py": "dag"})))
	for _, kind := range []string{"packs", "bundles"} {
		ok(t, os.WriteFile(filepath.Join(dir, kind, ns, ".tmp-1"), []byte("half"), 0o600))
	}
	s = must[*Store](t)(Open(dir))
	left := must[[]string](t)(filepath.Glob(filepath.Join(dir, "*", "*", ".tmp-*")))
	if len(left) != 0 {
		t.Errorf("leftovers: %v", left)
	}
	must[slipway.Manifest](t)(s.Manifest(ns, version(1)))
}

func TestFree(t *testing.T) {
	if n := must[int64](t)(durable.FreeSpace(t.TempDir())); n <= 0 {
		t.Errorf("%d bytes free", n)
	}
	if _, err := durable.FreeSpace(filepath.Join(t.TempDir(), "nowhere")); err == nil {
		t.Error("a folder that does not exist has free space")
	}
}
