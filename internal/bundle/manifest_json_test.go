package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"slipway/internal/archive"
	"slipway/internal/slipway"
)

func TestFilesAreWrittenAsTheirTagsSay(t *testing.T) {
	place := slipway.Place{Pack: sha("pack"), Offset: 7, Length: 9}
	for name, f := range map[string]slipway.File{
		"whole":      {Path: "a/b.py", SHA256: sha("b"), Size: 3, Exec: true, DAG: true, LFS: true, Bidi: true, Marks: 1, Place: place},
		"an asset":   {Path: "a.py", SHA256: sha("b"), Size: 3, Asset: true, Place: place},
		"empty":      {Path: "a", SHA256: sha(""), Place: slipway.Place{Pack: sha("pack"), Length: 9}},
		"link":       {Path: "to", Link: "a/b.py"},
		"quote":      {Path: `a"b\c`, Link: "\t"},
		"other text": {Path: "Größe/日本.py", SHA256: sha("b"), Place: place},
	} {
		t.Run(name, func(t *testing.T) {
			var back slipway.File
			b := append(appendFile([]byte("{"), f), '}')
			ok(t, json.Unmarshal(b, &back))
			if back != f {
				t.Errorf("%s reads as %+v, want %+v", b, back, f)
			}
			want, err := json.Marshal(f)
			ok(t, err)
			if string(b) != string(want) {
				t.Errorf("wrote %s, want %s", b, want)
			}
		})
	}
}

// endless reads as start, and then as more again and again.
func endless(start, more string) io.Reader {
	return io.MultiReader(strings.NewReader(start), &looped{text: more})
}

type looped struct {
	text string
	at   int
}

func (l *looped) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = l.text[l.at]
		l.at = (l.at + 1) % len(l.text)
	}
	return len(p), nil
}

func TestReadingAManifestEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		start, more string
		want        error
	}{
		"files":            {`{"files":[{}`, `,{}`, archive.ErrTooManyFiles},
		"a path":           {`{"files":[{"path":"`, `a`, errLongValue},
		"a version":        {`{"version":"`, `a`, errLongValue},
		"a later member":   {`{"later":[0`, `,0`, errLongValue},
		"a key":            {`{"`, `a`, errLongValue},
		"spaces":           {`{`, ` `, errLongValue},
		"spaces in a list": {`{"files":[`, ` `, errLongValue},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readJSON(endless(tt.start, tt.more)); !errors.Is(err, tt.want) {
				t.Errorf("readJSON: %v, want %v", err, tt.want)
			}
		})
	}
}

// BenchmarkLists compares appendFile with encoding/json for the list of a
// large version.
func BenchmarkLists(b *testing.B) {
	files := make([]slipway.File, 100_000)
	for i := range files {
		files[i] = slipway.File{
			Path: fmt.Sprintf("team/project/dag_%06d.py", i), SHA256: sha("b"), Size: 3000, DAG: true,
			Place: slipway.Place{Pack: sha("pack"), Offset: int64(i) << 10, Length: 1 << 20},
		}
	}
	b.Run("appendFile", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := writeList(io.Discard, slipway.Version("v"), files); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			enc := json.NewEncoder(io.Discard)
			for _, f := range files {
				if err := enc.Encode(f); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	var text bytes.Buffer
	ok(b, writeList(&text, version(1), files))
	var spaced bytes.Buffer
	ok(b, json.Indent(&spaced, text.Bytes(), "", ""))
	for name, list := range map[string][]byte{"ListReader": text.Bytes(), "ListReader, by encoding/json": spaced.Bytes()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for l := NewListReader(bytes.NewReader(list)); ; {
					if _, err := l.Next(); err != nil {
						break
					}
				}
			}
		})
	}
	b.Run("with zstd", func(b *testing.B) {
		for b.Loop() {
			if err := WriteManifest(io.Discard, slipway.Manifest{Version: "v", Files: files}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
