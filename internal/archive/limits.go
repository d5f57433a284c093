package archive

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"strings"

	"slipway/internal/slipway"
)

// Limits bound the contents of an archive and a version.
type Limits struct {
	Archive  int64 // bytes of the uploaded archive
	Unpacked int64 // bytes after unpacking
	Files    int   // files, symlinks and folders
	Path     int   // bytes of a path; systems open at most 4,096, the folders above it included
	Name     int   // bytes of one name in a path
	Reserve  int64 // bytes to leave free on the disk while unpacking

	Disk Disk // with other writers; nil for none

	// Upload is the size of the upload that the archive lies in; 0 for the archive itself.
	Upload int64
}

// Disk shares its space among writers.
type Disk interface {
	// Claiming returns a writer to f that claims the space of each byte first, until Close.
	Claiming(f io.Writer) io.WriteCloser
}

// Writer returns a writer to f, a file on the disk with the reserve.
func (l Limits) Writer(f io.Writer) io.WriteCloser {
	if l.Disk == nil {
		return unclaimed{f}
	}
	return l.Disk.Claiming(f)
}

type unclaimed struct{ io.Writer }

func (unclaimed) Close() error { return nil }

// Upper bounds for the settings of any portal: readers of a manifest do not know
// the limits of the writing portal.
const (
	MaxFiles          = 1_000_000 // files, symlinks and folders of a version
	MaxUnpacked int64 = 16 << 40  // bytes of all files of a version
	MaxPath           = 4096      // bytes of a path or target, as systems open no more
)

// DefaultLimits returns the limits without settings.
func DefaultLimits() Limits {
	return Limits{Archive: 2 << 30, Unpacked: 8 << 30, Files: 100_000, Path: 3072, Name: 255}
}

// names returns the allowed bytes of all names and link targets together. Files
// then bounds memory even with the longest paths.
func (l Limits) names() int64 { return 1<<20 + 512*int64(l.Files) }

// scanned is names for all entries of an archive, which are in memory twice for a while.
func (l Limits) scanned() int64 { return 1<<20 + 256*int64(l.Files) }

// matching returns the allowed steps of matching names with patterns: a few hundred
// patterns for each file, and at most some seconds.
func (l Limits) matching() int { return 1<<20 + 5_000*l.Files }

// beside is how many times as much as is deployed an archive may hold.
const beside = 4

// stream returns the allowed bytes of an unpacked archive, with all that is not
// deployed.
func (l Limits) stream() int64 { return beside * l.Unpacked }

// Unpacking takes time. What one byte of an upload may unpack to is what deflate can pack
// at most (1,032), and less where unpacking is slow; the slack is free for any archive.
const (
	ratio       = 1100
	slowRatio   = 200
	ratioSlack  = 1 << 30
	innerRatio  = 200 // of an archive inside, as it lies in the upload
	packedRatio = 4   // of one that is packed itself
	innerSlack  = 64 << 20
	packedSlack = 16 << 20
)

// checkInner refuses an archive inside another, of size bytes, that was packed like no
// honest one: each byte of an upload could cost any time.
func (l Limits) checkInner(size int64, packed bool) error {
	most := innerSlack + innerRatio*l.Upload
	if packed {
		most = packedSlack + packedRatio*l.Upload
	}
	if size <= most {
		return nil
	}
	return slipway.Errorf(slipway.TooLarge, "The archive inside the upload has %s, and the upload has %s. Upload the archive inside by itself.", SizeText(size), SizeText(l.Upload))
}

// entries returns the allowed entries of an archive, with those that are not
// deployed.
func (l Limits) entries() int { return beside * l.Files }

func (l Limits) tooLongNames(most int64, quoted string) error {
	return slipway.Errorf(slipway.TooLarge, "The names of the files have more than %s together: %s is beyond the limit. Leave files out, or use shorter names of folders.", SizeText(most), quoted)
}

// tooMany refuses an archive of too many entries, of which deployed lie in dags.
func (l Limits) tooMany(deployed int) error {
	if deployed > l.Files {
		return l.tooManyFiles()
	}
	return slipway.Errorf(slipway.TooLarge, "The archive has more than %d files and folders, with all that is not deployed. Pack only the files to deploy, or ask an administrator for a higher --max-files.", l.entries())
}

func (l Limits) tooManyFiles() error {
	return slipway.Errorf(slipway.TooLarge, "There are more than %d files and folders. Leave out what Airflow does not need, or ask an administrator for a higher --max-files.", l.Files)
}

// SizeText returns n bytes in words: "8 GiB", "1.5 KiB".
func SizeText(n int64) string {
	unit, value := "bytes", float64(n)
	for _, next := range []string{"KiB", "MiB", "GiB"} {
		if value < 1024 {
			break
		}
		unit, value = next, value/1024
	}
	return fmt.Sprintf("%g %s", math.Round(value*10)/10, unit)
}

// maxDepth is how many folders may lie in each other: a walk of Python gives up at
// 1,000, and the folders of the mount lie above.
const maxDepth = 128

// clean returns name without "." and empty elements, or refuses name. The root
// is "".
func (l Limits) clean(name string) (string, error) {
	cleaned, reason, err := l.place(name)
	return cleaned, cmp.Or(err, reason)
}

// place is clean, where the reason against a file of the name is apart. Names that
// lead out of the root are refused.
func (l Limits) place(name string) (cleaned string, reason, err error) {
	if strings.HasPrefix(name, "/") || hasDrive(name) {
		return "", nil, slipway.Errorf(slipway.Invalid, "The name %s is absolute. Pack the archive again with names relative to its root.", Quote(name))
	}
	reason = CheckText("name", name)
	var kept []string
	for el := range strings.SplitSeq(name, "/") {
		switch {
		case el == "" || el == ".":
			continue
		case el == "..":
			return "", nil, slipway.Errorf(slipway.Invalid, `The name %s holds "..", which could leave the archive's root. Pack the archive again, from the folder that holds the files.`, Quote(name))
		case len(el) > l.Name && reason == nil:
			reason = slipway.Errorf(slipway.TooLarge, "The name %s has %d bytes. Shorten it to at most %d.", Quote(el), len(el), l.Name)
		}
		kept = append(kept, el)
	}
	if cleaned = strings.Join(kept, "/"); cleaned == name {
		cleaned = name // in memory once
	}
	switch {
	case reason != nil:
	case len(cleaned) > l.Path:
		reason = slipway.Errorf(slipway.TooLarge, "The path %s has %d bytes. Shorten it to at most %d.", Quote(cleaned), len(cleaned), l.Path)
	case len(kept) > maxDepth:
		reason = slipway.Errorf(slipway.TooLarge, "The path %s has %d names. Use at most %d, as Python walks no deeper.", Quote(cleaned), len(kept), maxDepth)
	}
	return cleaned, reason, nil
}
