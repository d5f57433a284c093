package slipway

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Image is an OCI image, as inspected: the manifest for one platform, if the
// reference named an index.
type Image struct {
	Name      string // repository without tag: "quay.io/team/airflow"; without a host, "barren-ionization-0185/airflow", in the portal's own registry
	Tag       string // requested tag; "" for a reference by digest
	Digest    string // of the platform's manifest, "sha256:…"
	Platform  string // "linux/amd64", "linux/arm64/v8"
	Size      int64  // of config and layers as transferred, bytes
	Runtime   string // Astro Runtime version, label io.astronomer.docker.runtime.version; "" without
	Airflow   string // version of Airflow where label or variable tells; "" if neither does
	DagsPath  string // "$AIRFLOW_HOME/dags", else a known dags folder of the image; "" if none
	User      string // user of the processes, "50000" or "astro"; "" for root
	CreatedAt time.Time
	Layers    []Layer // the lowest first
}

// Layer is one layer of an image.
type Layer struct {
	Digest string // of the compressed blob, "sha256:…"
	Size   int64  // of the compressed blob, bytes
}

// RegistryHost returns the host in the name of a repository, as Docker tells a
// host from a path: the first part with a dot or a port, or localhost. "" is the
// portal's own registry.
func RegistryHost(repository string) string {
	first, _, found := strings.Cut(repository, "/")
	if !found || !strings.ContainsAny(first, ".:") && first != "localhost" {
		return ""
	}
	return first
}

// IsAirflow reports whether i has any sign of an Airflow image.
func (i Image) IsAirflow() bool { return i.Runtime != "" || i.Airflow != "" }

// Runs reports whether i runs on a Deployment's platform, "linux/amd64"; "" is
// any platform.
func (i Image) Runs(wanted string) bool {
	_, runs := ParsePlatform(i.Platform).Fit(ParsePlatform(wanted))
	return wanted == "" || runs
}

// AirflowMajor returns the major version of Airflow in i, 3 for "3.1.2"; 0 if
// unknown.
func (i Image) AirflowMajor() int {
	major, _, _ := strings.Cut(cmp.Or(Release(i.Runtime).Airflow(), i.Airflow), ".")
	n, _ := strconv.Atoi(major) // 0 for what is no number
	return n
}

// Title returns how people name i: "quay.io/team/airflow:1.2".
func (i Image) Title() string {
	if i.Tag == "" {
		return i.Ref()
	}
	return i.Name + ":" + i.Tag
}

// Ref returns the pull reference of i by digest: "name@sha256:…".
func (i Image) Ref() string { return i.Name + "@" + i.Digest }

// Brought returns the image fields of a state for i.
func (i Image) Brought() State {
	return State{Image: i.Digest, ImageName: i.Name, ImageTag: i.Tag, Runtime: i.Runtime}
}

// MaxLayers is how many layers an image may have at most to run on a Docker
// Engine (maxLayerDepth of moby's layer store).
const MaxLayers = 125

// manyLayers is the number of layers from which pages warn of MaxLayers.
const manyLayers = 115

// Reminders returns advice in sentences about i, a running or new image: a
// newer patch of the Runtime, the image's age, or the number of layers.
func (i Image) Reminders(known []Release, now time.Time) []string {
	var all []string
	if next, found := Release(i.Runtime).NewerPatch(known); found {
		all = append(all, fmt.Sprintf("Runtime %s has a newer patch, %s. An image deploy brings it; DAG deploys never change the Runtime.", i.Runtime, next))
	}
	// Reproducibly built images are dated 1970 or 1980.
	if i.CreatedAt.Year() >= 2000 && now.Sub(i.CreatedAt) > ImageLife {
		all = append(all, fmt.Sprintf("The image is older than %d days: it was built on %s.", int(ImageLife.Hours()/24), i.CreatedAt.UTC().Format("2006-01-02")))
	}
	switch n := len(i.Layers); {
	case n > MaxLayers:
		all = append(all, fmt.Sprintf("The image has %d layers. A Docker Engine runs none of more than %d. Build it with fewer layers.", n, MaxLayers))
	case n >= manyLayers:
		all = append(all, fmt.Sprintf("The image has %d layers. A Docker Engine runs none of more than %d, so build it with fewer layers soon.", n, MaxLayers))
	}
	return all
}

// ImageLife is the age from which pages call an image old.
const ImageLife = 90 * 24 * time.Hour

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
