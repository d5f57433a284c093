package slipway

import (
	"fmt"
	"slices"
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

// Brought returns what a deploy's state says of i.
func (i Image) Brought() State {
	return State{Image: i.Digest, ImageName: i.Name, ImageTag: i.Tag, Runtime: i.Runtime}
}

// takesImage judges the image that w brings.
func (d Deployment) takesImage(w Deploy) error {
	if w.Image != nil && !offers(w.Image.Platform, d.Platform) {
		return Errorf(Invalid, "The image is for %s, and this Deployment needs %s. Build it for that platform, or change the Deployment's settings.", w.Image.Platform, d.Platform)
	}
	next := w.After.Runtime
	if d.Runtime == "" || next == "" || Release(next).Compare(Release(d.Runtime)) >= 0 {
		return nil
	}
	return Errorf(Conflict, "Cannot deploy a downgraded Astro Runtime version. The image has Runtime %s, and this Deployment is on %s. Deploy an image with Runtime %s or later, or return to an earlier deploy.",
		next, d.Runtime, d.Runtime)
}

// offers reports whether an image for platform has runs where wants does.
// "linux/arm64/v8" runs on what is called "linux/arm64".
func offers(has, wants string) bool {
	return wants == "" || has == wants || strings.HasPrefix(has, wants+"/") || strings.HasPrefix(wants, has+"/")
}

// ImageLife is the age from which the pages remind that an image is old.
const ImageLife = 90 * 24 * time.Hour

// Reminders says in sentences what is to be done about i, which a Deployment
// runs or is to run: a newer patch of its Runtime, or its age.
func (i Image) Reminders(known []Release, now time.Time) []string {
	var all []string
	if next, found := Release(i.Runtime).NewerPatch(known); found {
		all = append(all, fmt.Sprintf("Runtime %s has a newer patch, %s. An image deploy brings it; DAG deploys never change the Runtime.", i.Runtime, next))
	}
	// Images that are built reproducibly say that they are from 1970 or 1980.
	if i.CreatedAt.Year() >= 2000 && now.Sub(i.CreatedAt) > ImageLife {
		all = append(all, fmt.Sprintf("The image is older than %d days: it was built on %s.", int(ImageLife.Hours()/24), i.CreatedAt.UTC().Format("2006-01-02")))
	}
	return all
}

// NewerPatch returns the newest of known that is a later patch of r's line:
// "3.1-12" for "3.1-4", "12.7.1" for "12.7.0".
func (r Release) NewerPatch(known []Release) (Release, bool) {
	newest := r
	for _, k := range known {
		if r.Valid() && k.patchless() == r.patchless() && k.stable() && k.Compare(newest) > 0 {
			newest = k
		}
	}
	return newest, newest != r
}

// patchless returns r without its last number.
func (r Release) patchless() string {
	i := strings.LastIndexAny(string(r), ".-")
	if i < 0 {
		return ""
	}
	return string(r[:i+1])
}

// stable reports whether r is no release candidate or the like.
func (r Release) stable() bool {
	return !slices.ContainsFunc([]rune(r), func(c rune) bool { return c >= 'a' && c <= 'z' })
}
