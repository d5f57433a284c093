package mount

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"slipway/internal/bundle"
	"slipway/internal/slipway"
)

const recordSuffix = ".json"

// recorded is a file as written to disk, with the time there. A record is the
// list of them: the manifest of a version on disk, with the times of the files.
type recorded = bundle.Listed

// mode returns the permissions of f on disk.
func mode(f slipway.File) fs.FileMode {
	if f.Exec {
		return 0o555
	}
	return 0o444
}

// records reads the records of the versions on disk.
type records struct{ layout }

// record opens the record of version v. Without a record ok is false: the version
// is damaged, and not to be used.
func (m *records) record(v slipway.Version) (list *fileList, ok bool, err error) {
	f, err := os.Open(m.recordPath(v))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return &fileList{version: v, f: f, list: bundle.NewListReader(f)}, true, nil
}

// condition is what the disk holds of a version.
type condition struct {
	recorded bool // there is a sound record
	complete bool // every file is as recorded
}

// condition looks at each file of version v. A version without a sound record is
// written anew.
func (m *records) condition(v slipway.Version) (c condition, err error) {
	list, ok, err := m.record(v)
	if err != nil || !ok {
		return c, err
	}
	defer list.close()
	at, err := openDagsDir(m.versionPath(v))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	if c.complete = err == nil; c.complete {
		defer at.close()
	}
	sound := list.each(func(f recorded) error {
		c.complete = c.complete && at.check(f) == nil
		return nil
	}) == nil
	return condition{sound, sound && c.complete}, nil
}

// errOtherFiles is the error of a manifest whose version is on disk with other
// files.
var errOtherFiles = errors.New("the version is on disk with other files")

// compare returns an error unless the files of list are those of the record of
// its version, wherever the contents lie.
func (m *records) compare(list *fileList) error {
	record, ok, err := m.record(list.version)
	if err != nil || !ok {
		return err
	}
	defer record.close()
	err = list.each(func(f recorded) error {
		was, err := record.next()
		if err != nil || was.Path != f.Path || !was.Same(f.File) || was.Size != f.Size {
			return errOtherFiles
		}
		return nil
	})
	if err != nil {
		return err
	}
	if _, err := record.next(); !errors.Is(err, io.EOF) {
		return errOtherFiles
	}
	return nil
}

// previous is an earlier version on disk, whose files a new one may take over.
type previous struct {
	dir  string
	list *fileList
	at   recorded // the file that comes next
	more bool
}

// previous returns the first version of on, other than v, that has a record; nil
// for none.
func (m *records) previous(on []MountedVersion, v slipway.Version) (*previous, error) {
	for _, other := range on {
		if other.Version == v {
			continue
		}
		list, ok, err := m.record(other.Version)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		p := &previous{dir: m.versionPath(other.Version), list: list}
		if p.step(); p.more {
			return p, nil
		}
		list.close() // empty or unreadable
	}
	return nil, nil
}

// step goes on to the next file. Nothing is taken from behind a damage of the
// record.
func (p *previous) step() {
	var err error
	p.at, err = p.list.next()
	p.more = err == nil
}

// find returns the file at path. Paths are to be asked for in their order.
func (p *previous) find(path string) (recorded, bool) {
	if p == nil {
		return recorded{}, false
	}
	for p.more && p.at.Path < path {
		p.step()
	}
	return p.at, p.more && p.at.Path == path
}

func (p *previous) close() {
	if p != nil {
		p.list.close()
	}
}

// inVersion adds to an error the version whose list of files it is about.
func inVersion(v slipway.Version, err error) error {
	return fmt.Errorf("the list of the files of %s: %w", v, err)
}
