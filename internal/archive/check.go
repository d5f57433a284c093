package archive

import (
	"context"
	"slices"

	"slipway/internal/slipway"
)

// Check refuses files that cannot be a version: too many or too large, names
// that are not clean or differ only in case or Unicode form, a file where a
// folder is, and symlinks that lead out of the root or in circles. A symlink to
// nothing is fine, as it is for Airflow.
func Check(files []slipway.File, lim Limits) error {
	return check(context.Background(), files, lim, "")
}

// check is Check, where refusals put at before names.
func check(ctx context.Context, files []slipway.File, lim Limits, at string) error {
	t := newTree(lim)
	t.at = at
	var size int64
	for _, f := range files {
		if err := checkFile(t, f); err != nil {
			return err
		}
		if size += f.Size; size > lim.Unpacked {
			return slipway.Errorf(slipway.TooLarge, "The files have more than %s together: %s is beyond the limit.", SizeText(lim.Unpacked), t.quote(f.Path))
		}
	}
	if !slices.ContainsFunc(files, func(f slipway.File) bool { return f.Link != "" }) {
		return nil
	}
	return t.checkLinks(ctx, files)
}

func checkFile(t *tree, f slipway.File) error {
	cleaned, err := t.lim.clean(f.Path)
	if err != nil {
		return err
	}
	if cleaned != f.Path || cleaned == "" || f.Size < 0 {
		return slipway.Errorf(slipway.Invalid, "The name %s is not the name of a file.", t.quote(f.Path))
	}
	if f.Link == "" {
		return t.add(f.Path, file, "")
	}
	return t.add(f.Path, link, f.Link)
}

// kind is what a name stands for.
type kind byte

const (
	folder kind = iota + 1
	file
	link
)

type node struct {
	name   string // as it was written first
	kind   kind
	target string // of a link
}

// tree holds each name of an archive or a version once, however it is written,
// and the folders that the names imply.
type tree struct {
	lim   Limits
	at    string // stands before names in refusals, "repo-main/dags"
	nodes map[string]node
	tops  []string // the names at the root
	bytes int64    // of all names and targets
}

func newTree(lim Limits) *tree {
	return &tree{lim: lim, nodes: map[string]node{}}
}

func (t *tree) quote(name string) string { return Quote(join(t.at, name)) }

// add puts the clean name into t, or says what it collides with. A folder may
// come more than once.
func (t *tree) add(name string, k kind, target string) error {
	key := fold(name)
	if err := t.addParents(key, name); err != nil {
		return err
	}
	old, ok := t.nodes[key]
	switch {
	case !ok:
		return t.put(key, node{name: name, kind: k, target: target})
	case old.kind == folder && k == folder:
		return nil
	case old.kind == link && k == folder:
		return t.throughLink(name, old)
	case old.kind == folder || k == folder:
		return slipway.Errorf(slipway.Invalid, "There are both a file and a folder of the name %s.", t.quote(name))
	case old.name == name:
		return slipway.Errorf(slipway.Invalid, "There are two files of the name %s.", t.quote(name))
	}
	return slipway.Errorf(slipway.Invalid, "The names %s and %s differ only in case or Unicode form.", t.quote(old.name), t.quote(name))
}

// addParents puts the folders above name into t, from the nearest upwards until
// one is known: its own parents are then too.
func (t *tree) addParents(key, name string) error {
	for {
		child := name
		key, name = parent(key), parent(name)
		if key == "" {
			return nil
		}
		old, ok := t.nodes[key]
		switch {
		case ok && old.kind == folder:
			return nil
		case ok && old.kind == link:
			return t.throughLink(child, old)
		case ok:
			return slipway.Errorf(slipway.Invalid, "The name %s needs a folder where the file %s is.", t.quote(child), t.quote(old.name))
		}
		if err := t.put(key, node{name: name, kind: folder}); err != nil {
			return err
		}
	}
}

func (t *tree) throughLink(name string, l node) error {
	return slipway.Errorf(slipway.Invalid, "The name %s leads through the symlink %s.", t.quote(name), t.quote(l.name))
}

func (t *tree) put(key string, n node) error {
	if len(t.nodes) >= t.lim.Files {
		return t.lim.tooManyFiles()
	}
	if n.kind != folder { // a folder's name is part of a file's, and shares its bytes
		t.bytes += int64(len(n.name) + len(n.target))
	}
	if t.bytes > t.lim.names() {
		return slipway.Errorf(slipway.TooLarge, "The names of the files have more than %s together: %s is beyond the limit.", SizeText(t.lim.names()), t.quote(n.name))
	}
	if parent(key) == "" {
		t.tops = append(t.tops, n.name)
	}
	t.nodes[key] = n
	return nil
}
