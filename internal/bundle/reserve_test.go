package bundle

import (
	"os"
	"path/filepath"
	"testing"

	"slipway/internal/archive"
	"slipway/internal/slipway"
)

// A small archive that unpacks to much is refused before the disk is full.
func TestStageKeepsTheReserve(t *testing.T) {
	packed := upload(t, map[string]string{"dags/a.py": "x", "dags/large.bin": noise(1, 2*inMemory)})
	for name, tt := range map[string]struct {
		reserve int64
		kind    slipway.Kind
	}{
		"room":    {},
		"no room": {reserve: 1 << 60, kind: slipway.NoSpace},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			lim := archive.DefaultLimits()
			lim.Reserve = tt.reserve
			_, err := must[*Store](t)(Open(dir)).Stage(t.Context(), "ns", packed, packed.Size(), lim, archive.Search{}, places{}.known)
			if kind, text := slipway.Explain(err); err != nil && kind == slipway.Internal || kind != tt.kind {
				t.Fatalf("error %v (%s), want of kind %v", err, text, tt.kind)
			}
			left := must[[]os.DirEntry](t)(os.ReadDir(filepath.Join(dir, "packs", "ns")))
			if tt.kind != slipway.Internal && len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
		})
	}
}
