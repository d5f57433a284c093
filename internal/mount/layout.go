package mount

import (
	"os"
	"path/filepath"
	"strings"

	"slipway/internal/slipway"
)

// The names in a mount that Airflow and people rely on.
const (
	currentName  = "current"
	imageName    = "image"
	versionsName = "versions"
	inUseName    = "in-use"
	dagsName     = "dags"
)

// layout names the paths in a mount's folder.
type layout struct{ dir string }

func (l layout) versions() string                     { return filepath.Join(l.dir, versionsName) }
func (l layout) versionPath(v slipway.Version) string { return filepath.Join(l.versions(), v.Dir()) }
func (l layout) recordPath(v slipway.Version) string  { return l.versionPath(v) + recordSuffix }

func (l layout) markPath(v slipway.Version) string {
	return filepath.Join(l.dir, inUseName, v.Dir())
}

const removedPrefix = ".tmp-gone-"

func (l layout) removedPath(v slipway.Version) string {
	return filepath.Join(l.versions(), removedPrefix+v.Dir())
}

func (l layout) removed() (list []slipway.Version, err error) {
	entries, err := os.ReadDir(l.versions())
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name, _ := strings.CutPrefix(e.Name(), removedPrefix)
		if v, ok := slipway.VersionOfDir(name); ok && name != e.Name() {
			list = append(list, v)
		}
	}
	return list, nil
}
