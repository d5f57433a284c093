package mount

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// ClosedFolder is a folder on the way to the DAGs that no user but the agent's
// can enter.
type ClosedFolder struct {
	Path  string // absolute
	Mode  fs.FileMode
	Above bool // above the mount: no matter to a container that has the mount alone
}

// Closed returns the first folder, from the root down to the DAGs, that users
// other than this process's cannot enter, and whether there is one. Airflow
// often runs as another user. A folder above the mount does not count once
// another user has left a mark in in-use. Folders that cannot be looked at are
// passed over: the mount itself fails on those.
func (m *Mount) Closed() (ClosedFolder, bool) {
	me := user{os.Geteuid(), os.Getegid()}
	for _, path := range m.above() {
		if info, err := os.Stat(path); err == nil && me.alone(accessOf(info)) && !m.markedByOthers(me) {
			return ClosedFolder{path, info.Mode().Perm(), true}, true
		}
	}
	for _, path := range m.within() {
		if info, err := os.Stat(path); err == nil && me.alone(accessOf(info)) {
			return ClosedFolder{path, info.Mode().Perm(), false}, true
		}
	}
	return ClosedFolder{}, false
}

// above returns the folders above the mount, along the path as given and along
// the path without symlinks, outermost first.
func (m *Mount) above() (all []string) {
	dir, err := filepath.Abs(m.dir)
	if err != nil {
		return nil
	}
	for _, way := range []string{dir, realPath(dir)} {
		for at := filepath.Dir(way); ; at = filepath.Dir(at) {
			if !slices.Contains(all, at) {
				all = append(all, at)
			}
			if at == filepath.Dir(at) {
				break
			}
		}
	}
	slices.SortStableFunc(all, func(a, b string) int { return len(a) - len(b) })
	return all
}

// within returns the folders from the mount to the DAGs.
func (m *Mount) within() []string {
	dir, err := filepath.Abs(m.dir)
	if err != nil {
		dir = m.dir
	}
	all := []string{dir}
	if to, err := m.target(); err == nil && to != "" {
		current := filepath.Join(dir, to)
		all = append(all, filepath.Dir(current), current)
		if filepath.Dir(to) == versionsName { // the dags folder of an image is another file system's
			all = append(all, filepath.Join(current, dagsName))
		}
	}
	return all
}

func realPath(dir string) string {
	if way, err := filepath.EvalSymlinks(dir); err == nil {
		return way
	}
	return dir
}

// markedByOthers reports whether a user other than me has reached the mount.
func (m *Mount) markedByOthers(me user) bool {
	dir, err := os.Open(filepath.Join(m.dir, inUseName))
	if err != nil {
		return false
	}
	defer dir.Close()
	marks, _ := dir.ReadDir(maxMarks) // any mark found is evidence
	return slices.ContainsFunc(marks, func(mark fs.DirEntry) bool {
		info, err := mark.Info()
		return err == nil && accessOf(info).owner.uid != me.uid
	})
}

// user is a user and the user's group, by number.
type user struct{ uid, gid int }

// access is who may enter a folder.
type access struct {
	owner user
	mode  fs.FileMode
}

func accessOf(info fs.FileInfo) access {
	a := access{user{-1, -1}, info.Mode().Perm()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		a.owner = user{int(st.Uid), int(st.Gid)}
	}
	return a
}

// alone reports whether nobody but u, and members of u's group, may enter. A
// folder of another owner or group is open to somebody else on purpose.
func (u user) alone(a access) bool {
	switch {
	case a.mode&0o001 != 0:
		return false
	case a.mode&0o010 != 0 && a.owner.gid != u.gid:
		return false
	case a.mode&0o100 != 0 && a.owner.uid != u.uid:
		return false
	}
	return true
}
