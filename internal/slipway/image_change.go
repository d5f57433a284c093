package slipway

import (
	"strings"
	"time"
)

// ImageChange is one image in place of another.
type ImageChange struct {
	Old, New Image   // Old is zero where none is known
	Fresh    []Layer // of New, that Old does not have
	Shared   int     // layers of New that Old has
	Bytes    int64   // of Fresh: what whoever has Old has to pull
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
		has[l.Digest] = true // a layer that comes twice is pulled once
		c.Fresh = append(c.Fresh, l)
		c.Bytes += l.Size
	}
	return c
}

// offers reports whether an image for platform has runs where wants does.
// "linux/arm64/v8" runs on what is called "linux/arm64".
func offers(has, wants string) bool {
	return wants == "" || has == wants || strings.HasPrefix(has, wants+"/") || strings.HasPrefix(wants, has+"/")
}

// ImageLife is the age from which the pages remind that an image is old.
const ImageLife = 90 * 24 * time.Hour
