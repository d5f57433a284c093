package slipway

import (
	"cmp"
	"strconv"
	"strings"
)

// Platform is the operating system and the processor of an image, in the form
// of OCI's image indexes.
type Platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant,omitempty"` // generation of the processor, "v8"; "" for the usual one
}

// ParsePlatform parses "linux/arm64/v8".
func ParsePlatform(text string) Platform {
	parts := append(strings.SplitN(text, "/", 3), "", "")
	return Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
}

// String returns p in the usual form, as "linux/arm64/v8".
func (p Platform) String() string {
	return strings.TrimRight(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// usualVariants are the variants meant by images without one.
var usualVariants = map[string]string{"amd64": "v1", "arm64": "v8", "arm": "v7"}

// Distances of an image from a platform, the best first.
const (
	fitsSame  = 0    // the variant is equal
	fitsPlain = 1    // the image names no variant
	fitsOlder = 2    // an older generation, the newest first
	fitsNewer = 1000 // a newer generation, where no variant is wanted: the oldest first
	fitsOther = 9999 // a variant without a number, where none is wanted
)

// Fit reports whether an image for p runs on wanted, and the distance between
// both: of two images that run, the one with the smaller distance is better.
func (p Platform) Fit(wanted Platform) (distance int, runs bool) {
	if p.OS != wanted.OS || p.Architecture != wanted.Architecture {
		return 0, false
	}
	has, counts := p.generation()
	needs, known := wanted.generation()
	switch {
	case p.Variant == wanted.Variant || counts && known && has == needs:
		return fitsSame, true
	case p.Variant == "":
		return fitsPlain, true
	case counts && known && has < needs:
		return fitsOlder + needs - has, true
	case wanted.Variant == "" && counts && known:
		return fitsNewer + has - needs, true
	}
	return fitsOther, wanted.Variant == ""
}

// generation returns the number of p's variant, times ten: 80 for "v8", 81 for
// "v8.1". counts is false for variants of other forms.
func (p Platform) generation() (n int, counts bool) {
	text, versioned := strings.CutPrefix(cmp.Or(p.Variant, usualVariants[p.Architecture]), "v")
	major, minor, dotted := strings.Cut(text, ".")
	if !dotted {
		minor = "0"
	}
	n, err := strconv.Atoi(major + minor)
	return n, versioned && err == nil && len(minor) == 1 && len(major) <= 2
}
