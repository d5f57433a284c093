package slipway

import "testing"

func TestHeldBytes(t *testing.T) {
	counts := Counts{NewBytes: 30}
	for name, tt := range map[string]struct {
		w              Deploy
		folder, bucket int64
	}{
		"arriving":          {w: Deploy{Bytes: 100}},
		"DAGs":              {w: Deploy{Bytes: 100, Counts: counts}, folder: 30},
		"known contents":    {w: Deploy{Bytes: 100, Counts: Counts{Unchanged: 3}}},
		"image of archive":  {w: Deploy{Bytes: 100, Image: &Image{}}, folder: 100, bucket: 100},
		"with DAGs":         {w: Deploy{Bytes: 100, Image: &Image{}, Counts: counts}, folder: 130, bucket: 100},
		"named image":       {w: Deploy{Image: &Image{}, Source: "x:1"}},
		"named, with DAGs":  {w: Deploy{Bytes: 100, Image: &Image{}, Source: "x:1", Counts: counts}, folder: 30},
		"image of a switch": {w: Deploy{Image: &Image{}, Switch: &SafeSwitch{}}},
	} {
		if folder, bucket := tt.w.HeldBytes(false), tt.w.HeldBytes(true); folder != tt.folder || bucket != tt.bucket {
			t.Errorf("%s: %d bytes, in a bucket %d; want %d and %d", name, folder, bucket, tt.folder, tt.bucket)
		}
	}
}
