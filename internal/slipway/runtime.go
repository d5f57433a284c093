package slipway

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Release is a version of Astro Runtime: "3.1-4" for Airflow 3, "12.7.1" for
// Airflow 2.
type Release string

// embeddedReleases are the first and last release of each known line. Newer
// releases come from --runtime-releases and from inspected images.
var embeddedReleases = []struct {
	line string // without the last number
	n    int    // of the last one; the first is 0, or 1 on Airflow 3
}{
	{"3.1-", 12}, {"3.0-", 16},
	{"13.4.", 0}, {"13.3.", 0}, {"13.2.", 0}, {"13.1.", 0}, {"13.0.", 0},
	{"12.11.", 0}, {"12.10.", 0}, {"12.9.", 0}, {"12.8.", 0}, {"12.7.", 1}, {"12.6.", 0}, {"12.5.", 0}, {"12.4.", 0},
	{"12.3.", 0}, {"12.2.", 0}, {"12.1.", 1}, {"12.0.", 0},
	{"11.20.", 0}, {"11.19.", 0}, {"11.18.", 0}, {"11.17.", 0}, {"11.16.", 0}, {"11.15.", 1}, {"11.14.", 0}, {"11.13.", 0},
	{"11.12.", 0}, {"11.11.", 0}, {"11.10.", 0}, {"11.9.", 0}, {"11.8.", 0}, {"11.7.", 0}, {"11.6.", 0}, {"11.5.", 0},
	{"11.4.", 0}, {"11.3.", 0}, {"11.2.", 0}, {"11.1.", 0}, {"11.0.", 0},
	{"10.9.", 0}, {"10.8.", 0}, {"10.7.", 0}, {"10.6.", 0}, {"10.5.", 0}, {"10.4.", 0}, {"10.3.", 0}, {"10.2.", 0}, {"10.1.", 0}, {"10.0.", 0},
	{"9.21.", 0}, {"9.20.", 0}, {"9.19.", 0}, {"9.18.", 0}, {"9.17.", 0}, {"9.16.", 0}, {"9.15.", 0}, {"9.14.", 0}, {"9.13.", 0},
	{"9.12.", 0}, {"9.11.", 0}, {"9.10.", 0}, {"9.9.", 0}, {"9.8.", 0}, {"9.7.", 0}, {"9.6.", 0}, {"9.5.", 0}, {"9.4.", 0},
	{"9.3.", 0}, {"9.2.", 0}, {"9.1.", 0}, {"9.0.", 0},
}

// Releases returns the embedded releases and more, each once, the newest first.
func Releases(more ...Release) []Release {
	all := slices.Clone(more)
	for _, l := range embeddedReleases {
		for n := range l.n + 1 {
			if n > 0 || !strings.HasSuffix(l.line, "-") {
				all = append(all, Release(l.line+strconv.Itoa(n)))
			}
		}
	}
	slices.SortFunc(all, func(a, b Release) int {
		return cmp.Or(b.Compare(a), cmp.Compare(b, a))
	})
	return slices.Compact(all)
}

// ParseReleases reads a list of releases, one a line; "#" begins a comment.
func ParseReleases(text string) ([]Release, error) {
	var all []Release
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if !Release(line).Valid() {
			return nil, fmt.Errorf("line %d: %q is no version of the Runtime; one looks like 3.1-4 or 12.7.1", i+1, line)
		}
		all = append(all, Release(line))
	}
	return all, nil
}

var releaseForm = regexp.MustCompile(`^\d{1,6}\.\d{1,6}([.-]\d{1,6}){0,2}([.-]?[a-z][a-z0-9.-]*)?$`)

// Valid reports whether r has the form of a version of the Runtime.
func (r Release) Valid() bool { return len(r) <= 64 && releaseForm.MatchString(string(r)) }

// onAirflow3 reports whether r has the form of releases for Airflow 3.
func (r Release) onAirflow3() bool { return airflow3Form.MatchString(string(r)) }

var airflow3Form = regexp.MustCompile(`^\d+\.\d+-\d`)

// Airflow returns the Airflow line of r, "3.1"; "" if unknown.
func (r Release) Airflow() string {
	if !r.Valid() {
		return ""
	}
	if line, _, found := strings.Cut(string(r), "-"); found && r.onAirflow3() {
		return line
	}
	major, _, _ := strings.Cut(string(r), ".")
	return map[string]string{
		"13": "2.11", "12": "2.10", "11": "2.9", "10": "2.8", "9": "2.7", "8": "2.6", "7": "2.5", "6": "2.4", "5": "2.3", "4": "2.2",
	}[major]
}

// Compare compares the age of r and other: negative if r is older. Releases for
// Airflow 3 are newer than all others; otherwise numbers are compared one by
// one.
func (r Release) Compare(other Release) int {
	if r.onAirflow3() != other.onAirflow3() {
		if r.onAirflow3() {
			return 1
		}
		return -1
	}
	return slices.Compare(r.numbers(), other.numbers())
}

func (r Release) numbers() []int {
	var all []int
	for _, part := range strings.FieldsFunc(string(r), func(c rune) bool { return c == '.' || c == '-' }) {
		n, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		all = append(all, n)
	}
	return all
}

// NewerPatch returns the newest patch in known later than r on r's line:
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

// patchless returns r without the last number.
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
