package slipway

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestNextVersion(t *testing.T) {
	at := func(ms int) time.Time { return time.Date(2026, 11, 22, 14, 3, 51, ms*1e6, time.UTC) }
	for name, tt := range map[string]struct {
		now  time.Time
		last Version
		want Version
	}{
		"the first":           {at(204), "", "2026-11-22T14:03:51.2040000Z"},
		"later":               {at(204), "2026-11-22T14:03:51.2030000Z", "2026-11-22T14:03:51.2040000Z"},
		"same millisecond":    {at(204), "2026-11-22T14:03:51.2040000Z", "2026-11-22T14:03:51.2050000Z"},
		"within it":           {at(204).Add(999_999), "2026-11-22T14:03:51.2040000Z", "2026-11-22T14:03:51.2050000Z"},
		"clock goes back":     {at(204), "2026-11-22T15:00:00.0000000Z", "2026-11-22T15:00:00.0010000Z"},
		"less than 1 ms on":   {at(204), "2026-11-22T14:03:51.2039999Z", "2026-11-22T14:03:51.2049999Z"},
		"another zone":        {at(204).In(time.FixedZone("", 3600)), "", "2026-11-22T14:03:51.2040000Z"},
		"over a second's end": {at(0), "2026-11-22T14:03:59.9990000Z", "2026-11-22T14:04:00.0000000Z"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := NextVersion(tt.now, tt.last); got != tt.want {
				t.Errorf("NextVersion(%v, %q) = %q, want %q", tt.now, tt.last, got, tt.want)
			}
		})
	}
}

func TestNextVersionNeverRepeats(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	now, last := time.Date(2026, 3, 29, 0, 59, 0, 0, time.UTC), Version("")
	for range 5000 {
		now = now.Add(time.Duration(r.IntN(5_000_000) - 2_500_000)) // stands still and goes back, too
		v := NextVersion(now, last)
		if at, ok := v.Time(); !ok || v <= last || at.Before(now.Truncate(time.Millisecond)) {
			t.Fatalf("at %v after %q came %q", now, last, v)
		}
		if back, ok := VersionOfDir(v.Dir()); !ok || back != v {
			t.Fatalf("%q has the folder %q, which is of %q, %v", v, v.Dir(), back, ok)
		}
		last = v
	}
}

func TestVersionOfDir(t *testing.T) {
	for name, want := range map[string]Version{ // "" for none
		"2026-11-22T14-03-51.2040000Z":      "2026-11-22T14:03:51.2040000Z",
		"2026-11-22T14:03:51.2040000Z":      "", // not a folder's form
		"2026-11-22T14-03-51.204Z":          "",
		"2026-11-22T14-03-51,2040000Z":      "",
		"2026-11-22T14-03-51.20400000Z":     "",
		"2026-02-30T14-03-51.2040000Z":      "",
		"2026-11-22T24-03-51.2040000Z":      "",
		"2026-11-22T14-03-51.2040000Z.json": "",
		"2026-11-22T14-03-51.2040000+01-00": "",
		".tmp-1":                            "",
		"":                                  "",
		"T":                                 "",
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := VersionOfDir(name)
			if ok != (want != "") || ok && got != want {
				t.Errorf("VersionOfDir(%q) = %q, %v; want %q", name, got, ok, want)
			}
		})
	}
}

func FuzzVersionOfDir(f *testing.F) {
	f.Add("2026-11-22T14-03-51.2040000Z")
	f.Add("../2026T")
	f.Add("0000-01-01T00-00-00.0000000Z")
	f.Fuzz(func(t *testing.T, name string) {
		v, ok := VersionOfDir(name)
		if !ok {
			return
		}
		if v.Dir() != name || len(name) != len(versionLayout) {
			t.Errorf("%q is of %q, whose folder is %q", name, v, v.Dir())
		}
		if _, named := v.Time(); !named {
			t.Errorf("%q is not the name of a version", v)
		}
	})
}

func TestVersionShort(t *testing.T) {
	for v, want := range map[Version]string{
		"2026-11-22T14:03:51.2040000Z": "2026-11-22 14:03:51.204", "": "", "latest": "latest",
	} {
		if got := v.Short(); got != want {
			t.Errorf("%q shows as %q, want %q", v, got, want)
		}
	}
}
