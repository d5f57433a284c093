package slipway

import (
	"strings"
	"time"
)

// versionLayout is RFC 3339 in UTC with exactly seven decimals, the form in
// which Azure Blob Storage names the versions of a blob. The astro CLI prints
// and sends such names back unchanged.
const versionLayout = "2006-01-02T15:04:05.0000000Z"

// Version names a DAG bundle version by the UTC time at which its deploy was
// created, for example "2026-11-22T14:03:51.2040000Z". "" is no version: the
// DAGs come from the image. The order in which versions went live is the
// deploys', not the names'.
type Version string

// NextVersion returns the version for a deploy created at now: the later of
// now and the last version plus one millisecond, so that names never repeat in
// a Deployment, whatever the clock does.
func NextVersion(now time.Time, last Version) Version {
	t := now.UTC().Truncate(time.Millisecond)
	if prev, ok := last.Time(); ok && t.Before(prev.Add(time.Millisecond)) {
		t = prev.Add(time.Millisecond)
	}
	return Version(t.Format(versionLayout))
}

// Time returns the time that v is named by, and whether v is the name of a
// version at all.
func (v Version) Time() (time.Time, bool) {
	t, err := time.Parse(versionLayout, string(v))
	return t, err == nil && string(v) == t.Format(versionLayout)
}

// Dir returns v as the name of a file or folder: with "-" for ":", which some
// file systems and archive tools do not take.
func (v Version) Dir() string { return strings.ReplaceAll(string(v), ":", "-") }

// VersionOfDir returns the version whose Dir is name, and whether there is one.
func VersionOfDir(name string) (Version, bool) {
	day, clock, ok := strings.Cut(name, "T")
	v := Version(day + "T" + strings.ReplaceAll(clock, "-", ":"))
	_, isVersion := v.Time()
	return v, ok && isVersion && v.Dir() == name
}

// Short returns v as the pages show it: "2026-11-22 14:03:51.204".
func (v Version) Short() string {
	t, ok := v.Time()
	if !ok {
		return string(v)
	}
	return t.Format("2006-01-02 15:04:05.000")
}
