package mount

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"slipway/internal/bundle"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

const recordSuffix = ".json"

// record is the manifest of a version on disk, with the times of the files.
type record struct {
	Version slipway.Version
	Files   []recorded
}

// recorded is a file as written to disk.
type recorded struct {
	slipway.File
	MTime int64 `json:"mtime,omitempty"` // Unix seconds; 0 for a symlink
}

func appendRecorded(b []byte, f recorded) []byte {
	return bundle.AppendNumber(bundle.AppendFile(b, f.File), `,"mtime":`, f.MTime)
}

// mode returns the permissions of f on disk.
func mode(f slipway.File) fs.FileMode {
	if f.Exec {
		return 0o555
	}
	return 0o444
}

// manifest returns the manifest without the times.
func (r record) manifest() slipway.Manifest {
	m := slipway.Manifest{Version: r.Version, Files: make([]slipway.File, len(r.Files))}
	for i, f := range r.Files {
		m.Files[i] = f.File
	}
	return m
}

// records reads the records of the versions on disk.
type records struct {
	layout
	last recordCache
}

// record returns the record of version v. Without a readable record ok is false:
// the version is damaged, and not to be used.
func (m *records) record(v slipway.Version) (r record, ok bool, err error) {
	f, err := os.Open(m.recordPath(v))
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, false, nil
	}
	if err != nil {
		return record{}, false, err
	}
	defer f.Close()
	r.Version, r.Files, err = bundle.ReadList[recorded](f)
	if err != nil || r.Version != v || bundle.CheckManifest(r.manifest()) != nil {
		return record{}, false, nil // version and record are written anew
	}
	return r, true, nil
}

// recent is record, from memory if written lately.
func (m *records) recent(v slipway.Version) (record, bool, error) {
	if r, ok := m.last.get(v); ok {
		_, err := os.Lstat(m.recordPath(v))
		if err == nil {
			return r, true, nil
		}
	}
	return m.record(v)
}

// recordCache keeps the last written record for a while, for the next deploy.
type recordCache struct {
	mu   sync.Mutex
	r    record
	idle *time.Timer
}

const lastRecordIdle = time.Minute

func (l *recordCache) put(r record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.r = r; l.idle == nil {
		l.idle = time.AfterFunc(lastRecordIdle, func() { l.put(record{}) })
	}
	if r.Version != "" {
		l.idle.Reset(lastRecordIdle)
	}
}

func (l *recordCache) get(v slipway.Version) (record, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r, v != "" && l.r.Version == v
}

// write writes r to a new file in dir, without syncing, and returns the path.
func (r record) write(dir string) (string, error) {
	f, err := os.CreateTemp(dir, durable.TempPattern)
	if err != nil {
		return "", err
	}
	return f.Name(), errors.Join(bundle.WriteList(f, r.Version, r.Files, appendRecorded), f.Close())
}

// complete reports whether man's version is on disk with every file unchanged.
func (m *records) complete(man slipway.Manifest) (bool, error) {
	r, ok, err := m.record(man.Version)
	if err != nil || !ok {
		return false, err
	}
	same := func(a recorded, b slipway.File) bool {
		return a.Path == b.Path && a.Same(b) && a.Size == b.Size
	}
	if !slices.EqualFunc(r.Files, man.Files, same) {
		return false, errors.New("the version is on disk with other files")
	}
	at, err := openDagsDir(m.versionPath(man.Version))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer at.close()
	for _, i := range byFolder(man.Files) {
		if at.check(r.Files[i]) != nil {
			return false, nil
		}
	}
	return true, nil
}

// Manifest returns the manifest of version v, and whether v is on disk. A
// version on disk can be mounted without the portal.
func (m *records) Manifest(v slipway.Version) (slipway.Manifest, bool, error) {
	r, ok, err := m.recent(v)
	return r.manifest(), ok, err
}
