package mount

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"slipway/internal/bundle"
	"slipway/internal/slipway"
)

func TestRecordedFilesAreWrittenAsTheirTagsSay(t *testing.T) {
	for name, f := range map[string]recorded{
		"file": {File: slipway.File{Path: "a/b.py", SHA256: sha("b"), Size: 3, Exec: true, DAG: true, Place: slipway.Place{Pack: sha("pack"), Offset: 7, Length: 9}}, MTime: 1_800_000_000},
		"link": {File: slipway.File{Path: "to", Link: "a/b.py"}},
	} {
		t.Run(name, func(t *testing.T) {
			want, err := json.Marshal(f)
			ok(t, err)
			var b bytes.Buffer
			list := bundle.NewListWriter(&b, version(1))
			must[int64](t)(list.Add(f))
			ok(t, list.End())
			if !bytes.Contains(b.Bytes(), append(want, '\n')) {
				t.Errorf("wrote %s, want %s", b.Bytes(), want)
			}
		})
	}
}

// Many files of one content, contents whose SHA-256 begin alike, and several frames:
// each missing file is found by its frame and content, once.
func TestMissingFilesByFrameAndContent(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 100 {
		var m missingFiles
		want := map[string]map[uint32]bool{}
		key := func(p slipway.Place, sha string) string { return fmt.Sprint(p, " ", sha[:16]) }
		shas := map[string]bool{}
		for i := range r.IntN(200) {
			f := recorded{File: slipway.File{SHA256: sha(fmt.Sprint(r.IntN(9))), Place: slipway.Place{Pack: sha(fmt.Sprint(r.IntN(3))), Offset: r.Int64N(3), Length: 1 + r.Int64N(2)}}}
			if r.IntN(5) == 0 {
				f.SHA256 = f.SHA256[:63] + "0" // begins like another
			}
			shas[f.SHA256] = true
			ok(t, m.add(f, int64(i)))
			if want[key(f.Place, f.SHA256)] == nil {
				want[key(f.Place, f.SHA256)] = map[uint32]bool{}
			}
			want[key(f.Place, f.SHA256)][uint32(i)] = true
		}
		m.sort()
		places, total := m.places(), len(m.list)
		for _, p := range places {
			frame := m.frame(p)
			total -= len(frame)
			for one := range shas {
				got := frame.of(one)
				if len(got) != len(want[key(p, one)]) {
					t.Fatalf("%v has %d files of %s, want %d", p, len(got), one, len(want[key(p, one)]))
				}
				for _, f := range got {
					if !want[key(p, one)][f.at] {
						t.Fatalf("%v has a file of another place or content", p)
					}
				}
			}
			if _, is := frame.left(); is != (len(frame) > 0) {
				t.Error("what is left is not told")
			}
			for i := range frame {
				frame[i].at = written
			}
			if _, is := frame.left(); is || frame.of("no sha") != nil {
				t.Error("written files are left")
			}
		}
		if total != 0 {
			t.Errorf("%d files are in no frame", total)
		}
	}
}
