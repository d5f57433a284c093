package agent

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"slipway"
)

// A worker that began after a run did gets the version that the run names.
func TestVersionsThatRunsNeedAreAdded(t *testing.T) {
	const old, now, gone = slipway.Version("2026-11-22T14:03:51.2040000Z"), slipway.Version("2026-11-23T10:00:00.0000000Z"), slipway.Version("2026-11-01T10:00:00.0000000Z")
	p, dir := newPortal(t), t.TempDir()
	p.put(t, old, "old")
	p.wants(p.put(t, now, "now"), nil)
	start(t, dir, p)
	eventually(t, "the version is mounted", func() bool { return p.last().Version == now })

	for _, v := range []slipway.Version{old, gone} {
		if err := os.WriteFile(filepath.Join(dir, "in-use", v.Dir()), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the version that is needed is there", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "versions", old.Dir(), "dags", "a.py"))
		return err == nil && string(b) == "old"
	})
	eventually(t, "what is no longer kept is not asked for again", func() bool {
		_, err := os.Stat(filepath.Join(dir, "in-use", gone.Dir()))
		return errors.Is(err, os.ErrNotExist)
	})
	if got := content(t, dir); got != "now" {
		t.Errorf("current has %q, want it to stay as it is", got)
	}
}
