package bundle

import (
	"encoding/json"
	"testing"

	"slipway"
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
			r := recorded{File: f, MTime: 1_800_000_000}
			var back recorded
			b := append(appendRecorded([]byte("{"), r), '}')
			ok(t, json.Unmarshal(b, &back))
			if back != r {
				t.Errorf("%s reads as %+v, want %+v", b, back, r)
			}
			want, err := json.Marshal(r)
			ok(t, err)
			if string(b) != string(want) {
				t.Errorf("wrote %s, want %s", b, want)
			}
		})
	}
}
