package mount

import (
	"encoding/json"
	"testing"

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
			if got := append(appendRecorded([]byte("{"), f), '}'); string(got) != string(want) {
				t.Errorf("wrote %s, want %s", got, want)
			}
		})
	}
}
