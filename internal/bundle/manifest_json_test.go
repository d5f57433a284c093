package bundle

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"slipway/internal/archive"
	"slipway/internal/slipway"
)

func TestFilesAreWrittenAsTheirTagsSay(t *testing.T) {
	place := slipway.Place{Pack: sha("pack"), Offset: 7, Length: 9}
	for name, f := range map[string]slipway.File{
		"whole":      {Path: "a/b.py", SHA256: sha("b"), Size: 3, Exec: true, DAG: true, Place: place},
		"empty":      {Path: "a", SHA256: sha(""), Place: slipway.Place{Pack: sha("pack"), Length: 9}},
		"link":       {Path: "to", Link: "a/b.py"},
		"quote":      {Path: `a"b\c`, Link: "\t"},
		"other text": {Path: "Größe/日本.py", SHA256: sha("b"), Place: place},
	} {
		t.Run(name, func(t *testing.T) {
			var back slipway.File
			b := append(AppendFile([]byte("{"), f), '}')
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
