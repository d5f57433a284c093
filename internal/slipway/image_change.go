package slipway

import (
	"strings"
	"time"
)

// ImageChange is one image in place of another.
type ImageChange struct {
	Old, New Image   // Old is zero where none is known
	Fresh    []Layer // layers of New missing in Old
	Shared   int     // number of layers in both
	Bytes    int64   // of Fresh: to pull for machines with Old
}

// NewImageChange compares two images by their layers.
func NewImageChange(old, next Image) ImageChange {
	c := ImageChange{Old: old, New: next}
	has := map[string]bool{}
	for _, l := range old.Layers {
		has[l.Digest] = true
	}
	for _, l := range next.Layers {
		if has[l.Digest] {
			c.Shared++
			continue
		}
		has[l.Digest] = true // a repeated layer is pulled once
		c.Fresh = append(c.Fresh, l)
		c.Bytes += l.Size
	}
	return c
}

// offers reports whether an image for platform has runs on wants. An image for
// "linux/arm64/v8" runs on "linux/arm64".
func offers(has, wants string) bool {
	return wants == "" || has == wants || strings.HasPrefix(has, wants+"/") || strings.HasPrefix(wants, has+"/")
}

// ImageLife is the age from which pages call an image old.
const ImageLife = 90 * 24 * time.Hour
