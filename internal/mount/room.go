package mount

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"slipway/internal/archive"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// room refuses a version whose new files would leave less than is to stay free.
func (u *unpacking) room() error {
	if u.keep <= 0 {
		return nil
	}
	free, err := durable.FreeSpace(u.dir)
	if err != nil {
		return err
	}
	if free-u.total >= u.keep {
		return nil
	}
	return slipway.Errorf(slipway.NoSpace, "The disk of the folder %s has %s left; the new files of version %s need %s, and %s are to stay free. Make room there.",
		filepath.Dir(filepath.Dir(u.dir)), archive.SizeText(free), u.man.Version.Short(), archive.SizeText(u.total), archive.SizeText(u.keep))
}

// Manifest returns the manifest of a version that is on disk, and whether it
// is: that one is switched to without asking anybody.
func (m *Mount) Manifest(v slipway.Version) (slipway.Manifest, bool, error) {
	r, ok, err := m.recent(v)
	return r.manifest(), ok, err
}

// Intact reports, at a glance, whether v is what current points to, and on
// disk; with v "" whether the image is.
func (m *Mount) Intact(v slipway.Version) bool {
	to := imageName
	if v != "" {
		to = versionsName + "/" + v.Dir()
		if _, err := os.Lstat(m.recordPath(v)); err != nil {
			return false
		}
	}
	if got, err := os.Readlink(filepath.Join(m.dir, currentName)); err != nil || got != to {
		return false
	}
	_, err := os.Lstat(filepath.Join(m.dir, to, dagsName))
	return !errors.Is(err, fs.ErrNotExist)
}

// TurnedAt returns when current was turned to what it points to; the zero time
// where that is not known.
func (m *Mount) TurnedAt() time.Time {
	info, err := os.Lstat(filepath.Join(m.dir, currentName))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
