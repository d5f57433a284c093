package slipway

import (
	"strings"
	"time"
)

// versionLayout is RFC 3339 in UTC with exactly seven decimals, the form of
// blob versions in Azure Blob Storage. The astro CLI prints and sends version
// names unchanged.
const versionLayout = "2006-01-02T15:04:05.0000000Z"

// Version names a DAG bundle version by the UTC time at which its deploy was
// created, for example "2026-11-22T14:03:51.2040000Z". "" is no version: the
// DAGs come from the image. Versions go live in the order of deploys, not of
// names.
type Version string

// NextVersion returns the version for a deploy created at now: the later of now
// and the last version plus one millisecond. Names never repeat in a
// Deployment, even if the clock goes back.
func NextVersion(now time.Time, last Version) Version {
	t := now.UTC().Truncate(time.Millisecond)
	if prev, ok := last.Time(); ok && t.Before(prev.Add(time.Millisecond)) {
		t = prev.Add(time.Millisecond)
	}
	return Version(t.Format(versionLayout))
}

// Time returns the time in the name v, and whether v is a valid version name.
func (v Version) Time() (time.Time, bool) {
	t, err := time.Parse(versionLayout, string(v))
	return t, err == nil && string(v) == t.Format(versionLayout)
}

// Dir returns v as the name of a file or folder: with "-" for ":", for file
// systems and archive tools without ":".
func (v Version) Dir() string { return strings.ReplaceAll(string(v), ":", "-") }

// VersionOfDir returns the version with the Dir name, and whether name is
// valid.
func VersionOfDir(name string) (Version, bool) {
	day, clock, ok := strings.Cut(name, "T")
	v := Version(day + "T" + strings.ReplaceAll(clock, "-", ":"))
	_, isVersion := v.Time()
	return v, ok && isVersion && v.Dir() == name
}

// Short returns v for pages: "2026-11-22 14:03:51.204".
func (v Version) Short() string {
	t, ok := v.Time()
	if !ok {
		return string(v)
	}
	return t.Format("2006-01-02 15:04:05.000")
}
