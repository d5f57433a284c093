package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"slipway/internal/archive"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

func TestPutManifest(t *testing.T) {
	s := must[*Store](t)(Open(t.TempDir()))
	m := manifestOf(t, s, version(1), map[string]string{"a.py": "dag", "b/run.sh": "#!/bin/sh", "c.py": "-> a.py"})

	size := must[int64](t)(s.PutManifest(ns, m))
	again := must[int64](t)(s.PutManifest(ns, m))

	if size != again || size == 0 {
		t.Errorf("sizes %d and %d, want the same", size, again)
	}
	if got := must[slipway.Manifest](t)(s.Manifest(ns, m.Version)); !reflect.DeepEqual(got, m) {
		t.Errorf("got %v, want %v", got, m)
	}
	other := slipway.Manifest{Version: m.Version, Files: m.Files[:1]}
	if _, err := s.PutManifest(ns, other); err == nil {
		t.Error("another content for the same version was put")
	}
	if got := must[slipway.Manifest](t)(s.Manifest(ns, m.Version)); !reflect.DeepEqual(got, m) {
		t.Errorf("afterwards %v, want %v", got, m)
	}
}

func TestCheckManifest(t *testing.T) {
	place := slipway.Place{Pack: sha("pack"), Offset: 7, Length: 9}
	file := func(path string) slipway.File {
		return slipway.File{Path: path, SHA256: sha(path), Size: 3, Place: place}
	}
	link := func(path, to string) slipway.File { return slipway.File{Path: path, Link: to} }
	with := func(change func(*slipway.File)) []slipway.File {
		f := file("a.py")
		change(&f)
		return []slipway.File{f}
	}
	sized := func(a, b slipway.File, size int64) []slipway.File {
		a.Size, b.Size = size, size
		return []slipway.File{a, b}
	}
	for name, tt := range map[string]struct {
		files []slipway.File
		want  string // part of the error; "" for none
	}{
		"nothing":               {},
		"files and links":       {[]slipway.File{file("a.py"), link("b", "c/d"), file("c/d/e.py"), link("c/f", "../b/e.py")}, ""},
		"a name with dots":      {[]slipway.File{file("a..py"), file("...")}, "out of order"},
		"twice":                 {[]slipway.File{file("a.py"), file("a.py")}, "out of order"},
		"unsorted":              {[]slipway.File{file("b.py"), file("a.py")}, "out of order"},
		"absolute":              {[]slipway.File{file("/a.py")}, "local"},
		"up":                    {[]slipway.File{file("../a.py")}, "local"},
		"up within":             {[]slipway.File{file("a/../b.py")}, "local"},
		"the root":              {[]slipway.File{file(".")}, "local"},
		"empty":                 {[]slipway.File{file("")}, "local"},
		"a folder":              {[]slipway.File{file("a/")}, "local"},
		"not UTF-8":             {[]slipway.File{file("a\xff.py")}, "local"},
		"a zero byte":           {[]slipway.File{file("a\x00.py")}, "local"},
		"below a file":          {[]slipway.File{file("a"), file("a.py"), file("a/b")}, "a file and a folder"},
		"below a symlink":       {[]slipway.File{link("a", "c"), file("a.py"), file("a/b/d")}, "a file and a folder"},
		"symlink to /":          {[]slipway.File{link("a", "/etc")}, "leaves"},
		"symlink up":            {[]slipway.File{link("a/b", "../../c")}, "leaves"},
		"symlink up by a link":  {[]slipway.File{link("a", "."), link("b", "a/a/../..")}, "leaves"},
		"symlink by absolute":   {[]slipway.File{link("a", "b/x"), link("b", "/tmp")}, "leaves"},
		"symlink to the root":   {[]slipway.File{link("a/b", "..")}, ""},
		"symlinks in a circle":  {[]slipway.File{link("a", "b"), link("b", "a")}, "circle"},
		"symlink with content":  {with(func(f *slipway.File) { f.Link = "b" }), "has contents"},
		"short SHA-256":         {with(func(f *slipway.File) { f.SHA256 = "ab" }), "SHA-256"},
		"upper-case SHA-256":    {with(func(f *slipway.File) { f.SHA256 = strings.ToUpper(f.SHA256) }), "SHA-256"},
		"pack that is a path":   {with(func(f *slipway.File) { f.Pack = "../../" + f.Pack[6:] }), "SHA-256"},
		"negative size":         {with(func(f *slipway.File) { f.Size = -1 }), "range"},
		"size beyond it all":    {with(func(f *slipway.File) { f.Size = archive.MaxUnpacked + 1 }), "range"},
		"sizes beyond it all":   {sized(file("a"), file("b"), archive.MaxUnpacked/2+1), "together"},
		"sizes that overflow":   {sized(file("a"), file("b"), 1<<63-1), "range"},
		"all that there may be": {sized(file("a"), file("b"), archive.MaxUnpacked/2), ""},
		"long path":             {[]slipway.File{file(strings.Repeat("a/", archive.MaxPath/2) + "b")}, "longer"},
		"long target":           {[]slipway.File{link("a", strings.Repeat("b", archive.MaxPath+1))}, "longer"},
		"long way":              {[]slipway.File{link("a/b/c", strings.Repeat("d", archive.MaxPath))}, "too far"},
		"negative offset":       {with(func(f *slipway.File) { f.Offset = -1 }), "range"},
		"empty frame":           {with(func(f *slipway.File) { f.Length = 0 }), "range"},
		"frame beyond it all":   {with(func(f *slipway.File) { f.Length = 1<<63 - 1 }), "range"},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckManifest(slipway.Manifest{Version: version(1), Files: tt.files})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("CheckManifest: %v, want %q", err, tt.want)
			}
		})
	}
	if err := CheckManifest(slipway.Manifest{Version: "../../etc"}); err == nil {
		t.Error("a version that is none was taken")
	}
}

func TestManifestOfTooManyFolders(t *testing.T) {
	var files []slipway.File
	for i := range archive.MaxFiles/1000 + 1 {
		path := fmt.Sprintf("%04d/", i) + strings.Repeat("a/", 999) + "x"
		files = append(files, slipway.File{Path: path, SHA256: sha(""), Place: slipway.Place{Pack: sha("pack"), Length: 9}})
	}
	err := CheckManifest(slipway.Manifest{Version: version(1), Files: files})
	if !errors.Is(err, archive.ErrTooManyFiles) {
		t.Errorf("CheckManifest: %v, want %v", err, archive.ErrTooManyFiles)
	}
}

func TestManifestOfAnotherVersion(t *testing.T) {
	s := must[*Store](t)(Open(t.TempDir()))
	m := manifestOf(t, s, version(1), map[string]string{"a.py": "dag"})
	must[int64](t)(s.PutManifest(ns, m))
	var b bytes.Buffer
	ok(t, WriteManifest(&b, slipway.Manifest{Version: version(2)}))
	ok(t, durable.WriteFile(disk(s.dir).path(must[string](t)(manifestName(ns, version(1)))), 0o600, func(w io.Writer) error {
		_, err := b.WriteTo(w)
		return err
	}))
	if got, err := s.Manifest(ns, version(1)); err == nil {
		t.Errorf("got %v, want an error", got)
	}
}

func TestListings(t *testing.T) {
	s := must[*Store](t)(Open(t.TempDir()))
	for n := range 3 {
		must[int64](t)(s.PutManifest(ns, manifestOf(t, s, version(n), map[string]string{"a.py": fmt.Sprint(n)})))
	}
	ok(t, s.DropManifest(ns, version(1)))
	ok(t, s.DropManifest(ns, version(1)))
	var versions []slipway.Version
	for v, err := range s.Manifests(ns) {
		ok(t, err)
		versions = append(versions, v)
	}
	if want := []slipway.Version{version(0), version(2)}; !slices.Equal(versions, want) {
		t.Errorf("versions %v, want %v", versions, want)
	}
	packs := func() (n int) {
		for p, err := range s.Packs(ns) {
			ok(t, err)
			if n++; n == 1 {
				ok(t, s.DropPack(ns, p.SHA256))
			}
		}
		return n
	}
	if before, after := packs(), packs(); before != 3 || after != 2 {
		t.Errorf("%d packs and then %d, want 3 and 2", before, after)
	}
	for name, err := range s.Namespaces() {
		ok(t, err)
		ok(t, s.DropNamespace(name))
	}
	for name, err := range s.Namespaces() {
		ok(t, err)
		t.Errorf("namespace %s is still there", name)
	}
	for v, err := range s.Manifests(ns) {
		t.Errorf("%v, %v after all is gone", v, err)
	}
	for _, bad := range []string{"", ".", "..", "../x", "a/b", ".tmp-1", "/"} {
		if err := s.DropNamespace(bad); err == nil {
			t.Errorf("DropNamespace took %q", bad)
		}
	}
}
