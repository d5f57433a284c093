package image

import (
	"archive/tar"
	"context"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maxTargets is how many targets outside of the dags folder are followed
// through the image. Links to more stay as they are.
const maxTargets = 64

// maxLinkReads is how many times the layers are unpacked to follow these targets: one
// symlink of each way a time. Links through more stay as they are.
const maxLinkReads = 5

// relativeLinks makes those symlinks relative that lead into the dags folder by
// a way outside of the folder: the files are mounted elsewhere, and a link like
// /usr/local/airflow/dags/a.py would lead nowhere. asked is the folder as set,
// perhaps with symlinks on the way. Links to other places stay as they are.
func relativeLinks(ctx context.Context, f *inspected, dir, asked string, final map[string]dagEntry) error {
	leading := map[string][]string{} // links by target outside
	for _, name := range slices.Sorted(maps.Keys(final)) {
		e := final[name]
		if e.kind != tar.TypeSymlink || staysWithin(name, e.link, dir) {
			continue
		}
		target := e.link
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(name), target)
		}
		target = path.Clean(target)
		if within(target, path.Clean(asked)) {
			target = path.Join(dir, target[len(path.Clean(asked)):])
		}
		if within(target, dir) {
			final[name] = relinked(name, e, target)
		} else if leading[target] != nil || len(leading) < maxTargets {
			leading[target] = append(leading[target], name)
		}
	}
	ends, err := followed(ctx, f, dir, slices.Sorted(maps.Keys(leading)))
	if err != nil {
		return err
	}
	for target, end := range ends {
		for _, name := range leading[target] {
			final[name] = relinked(name, final[name], end)
		}
	}
	return nil
}

// staysWithin reports whether a relative target of the link at name stays in
// dir on each step.
func staysWithin(name, target, dir string) bool {
	if path.IsAbs(target) {
		return false
	}
	at := path.Dir(name)
	for part := range strings.SplitSeq(target, "/") {
		if at = path.Join(at, part); !within(at, dir) {
			return false
		}
	}
	return true
}

// relinked is the link e at name with a relative target.
func relinked(name string, e dagEntry, target string) dagEntry {
	if rel, err := filepath.Rel(path.Dir(name), target); err == nil { // both are absolute
		e.link = filepath.ToSlash(rel)
	}
	return e
}

// followed returns the targets that lead into dir through symlinks of the
// image, and their places in dir.
func followed(ctx context.Context, f *inspected, dir string, targets []string) (map[string]string, error) {
	ends, open := map[string]string{}, map[string]string{} // by target: the place so far
	for _, t := range targets {
		if strings.Count(t, "/") <= maxNesting {
			open[t] = t
		}
	}
	for range maxLinkReads {
		if len(open) == 0 {
			break
		}
		v := newView(slices.Collect(maps.Values(open))...)
		if err := f.readLayers(ctx, v); err != nil {
			return nil, err
		}
		for t, at := range open {
			next, _ := v.follow(at)
			switch open[t] = next; {
			case within(next, dir):
				ends[t] = next
				delete(open, t)
			case next == at || strings.Count(next, "/") > maxNesting:
				delete(open, t)
			}
		}
	}
	return ends, nil
}
