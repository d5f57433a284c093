package archive

import (
	"context"
	"fmt"
	"slices"

	"slipway/internal/slipway"
)

// CheckVersion refuses files that cannot form a version: too many or too large, unclean
// names, names that differ only in case or Unicode form, a file in the place of
// a folder, and symlinks out of the root or in circles. A symlink to nothing is
// valid, as for Airflow.
func CheckVersion(files []slipway.File, lim Limits) error {
	return checkVersion(context.Background(), files, nil, lim, "")
}

// checkVersion is CheckVersion of files and folders, where refusals put at before
// names.
func checkVersion(ctx context.Context, files []slipway.File, folders []string, lim Limits, at string) error {
	t := newTree(lim)
	t.at = at
	var size int64
	for _, f := range files {
		if err := checkFile(t, f); err != nil {
			return err
		}
		if size += f.Size; size > lim.Unpacked {
			return slipway.Errorf(slipway.TooLarge, "The files have more than %s together: %s is beyond the limit. Leave out what Airflow does not need, or ask an administrator for a higher --max-unpacked.", SizeText(lim.Unpacked), t.quote(f.Path))
		}
	}
	for _, name := range folders {
		if err := t.add(name, folder, ""); err != nil {
			return err
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
		return slipway.Errorf(slipway.Invalid, "The name %s is not the name of a file. Rename the file.", t.quote(f.Path))
	}
	if f.Link == "" {
		return t.add(f.Path, file, "")
	}
	return t.add(f.Path, link, f.Link)
}

// kind is the type of an entry.
type kind byte

const (
	folder kind = iota + 1
	file
	link
)

type node struct {
	name   string // in the first spelling
	kind   kind
	target string // of a link
}

// tree holds each name of an archive or a version once, in any spelling, and the
// folders implied by names.
type tree struct {
	lim   Limits
	at    string // stands before names in refusals, "repo-main/dags"
	nodes map[string]node
	tops  []string // the names at the root
	bytes int64    // of all names and targets
	noted int      // entries of an archive
	below int      // of these, how many lie in dags
}

func newTree(lim Limits) *tree {
	return &tree{lim: lim, nodes: map[string]node{}}
}

func (t *tree) quote(name string) string { return Quote(join(t.at, name)) }

// add puts the clean name into t, or refuses a collision. A folder may be added
// more than once.
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
		return slipway.Errorf(slipway.Invalid, "There are both a file and a folder of the name %s. Rename or remove one of them.", t.quote(name))
	case old.name == name:
		return slipway.Errorf(slipway.Invalid, "There are two files of the name %s. Pack the archive again with one of them.", t.quote(name))
	}
	return slipway.Errorf(slipway.Invalid, "The names %s and %s differ only in case or Unicode form. Rename or remove one of them.", t.quote(old.name), t.quote(name))
}

// note puts the entry name of an archive into t. Entries may collide, as not all are
// deployed; the first counts.
func (t *tree) note(name string, k kind, target string) error {
	if err := t.noteParents(name); err != nil {
		return err
	}
	return t.noteOne(node{name: name, kind: k, target: target}, len(name)+len(target))
}

// noteParents puts the folders above name into t.
func (t *tree) noteParents(name string) error {
	for name = parent(name); name != ""; name = parent(name) {
		if _, ok := t.nodes[fold(name)]; ok {
			return nil
		}
		if err := t.noteOne(node{name: name, kind: folder}, 0); err != nil {
			return err
		}
	}
	return nil
}

// noteOne puts n into t. The name costs bytes of memory, also where n is known.
func (t *tree) noteOne(n node, bytes int) error {
	t.noted++
	t.bytes += int64(bytes)
	switch {
	case t.noted > t.lim.entries():
		return t.lim.tooMany(t.below)
	case t.bytes > t.lim.scanned():
		return t.lim.tooLongNames(t.lim.scanned(), Quote(n.name))
	}
	if _, ok := below(dagsFolder, n.name); ok {
		t.below++
	}
	key := fold(n.name)
	if _, ok := t.nodes[key]; ok {
		return nil
	}
	if parent(key) == "" {
		t.tops = append(t.tops, n.name)
	}
	t.nodes[key] = n
	return nil
}

// addParents puts the folders above name into t, from the nearest upwards to the
// first known one, whose parents are known too.
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
			return slipway.Errorf(slipway.Invalid, "The name %s needs a folder where the file %s is. Rename or remove one of them.", t.quote(child), t.quote(old.name))
		}
		if err := t.put(key, node{name: name, kind: folder}); err != nil {
			return err
		}
	}
}

func (t *tree) throughLink(name string, l node) error {
	return slipway.Errorf(slipway.Invalid, "The name %s leads through the symlink %s. Make the symlink a folder, or leave it out.", t.quote(name), t.quote(l.name))
}

func (t *tree) put(key string, n node) error {
	if len(t.nodes) >= t.lim.Files {
		return t.lim.tooManyFiles()
	}
	if n.kind != folder { // the name of a folder shares the bytes of file names
		t.bytes += int64(len(n.name) + len(n.target))
	}
	if t.bytes > t.lim.names() {
		return t.lim.tooLongNames(t.lim.names(), t.quote(n.name))
	}
	t.nodes[key] = n
	return nil
}

// checkLinks refuses symlinks out of the root, at any step of the way, and
// symlinks that make a walk over all folders endless.
func (t *tree) checkLinks(ctx context.Context, files []slipway.File) error {
	for _, f := range files {
		if f.Link == "" {
			continue
		}
		if err := t.checkTarget(f); err != nil {
			return err
		}
	}
	s := newResolver(t.lim.Files, t.lim.Path)
	links, ok := s.addAll(files)
	if !ok {
		return t.lim.tooManyFiles()
	}
	for _, l := range links {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("check symlinks: %w", err)
		}
		if bad, why := s.follow(l, 1); why != linkSound {
			return t.faulty(bad, why)
		}
	}
	return t.checkCircles(s)
}

func (t *tree) checkTarget(f slipway.File) error {
	if err := CheckText("target", f.Link); err != nil {
		return slipway.Errorf(slipway.Invalid, "The symlink %s has a target that is not UTF-8 or holds a control character. Rename what it leads to, and make the symlink again.", t.quote(f.Path))
	}
	if len(f.Link) > t.lim.Path {
		return slipway.Errorf(slipway.TooLarge, "The target of the symlink %s has more than %d bytes. Make the target shorter.", t.quote(f.Path), t.lim.Path)
	}
	return nil
}

// faulty says why the symlink l cannot be.
func (t *tree) faulty(l *place, why fault) error {
	name := t.quote(l.path)
	switch why {
	case linkAbsolute:
		return slipway.Errorf(slipway.Invalid, "The symlink %s has the absolute target %s. Make it relative, to a file that is deployed with it.", name, Quote(l.link))
	case linkEscapes:
		return slipway.Errorf(slipway.Invalid, "The symlink %s to %s leaves the root of what is deployed. Put a copy of the file in its place.", name, Quote(l.link))
	case linkTooLong:
		return slipway.Errorf(slipway.TooLarge, "The symlink %s leads to a path of more than %d bytes. Use shorter names of folders, or put a copy of the file in its place.", name, t.lim.Path)
	case linkTooCostly:
		return slipway.Errorf(slipway.TooLarge, "The targets of all symlinks have more than %d names together: %s is beyond the limit. Use fewer symlinks, or shorter targets.", stepsPerFile*t.lim.Files, name)
	}
	return slipway.Errorf(slipway.Invalid, "The symlink %s leads in a circle, or over more than %d symlinks. Make it lead to the file itself.", name, MaxHops)
}

// checkCircles refuses links by which a folder contains itself: Airflow follows
// links to folders when looking for DAG files, and would give up.
func (t *tree) checkCircles(s *resolver) error {
	c := circles{tree: t, walked: map[*place]bool{}}
	return c.walk(s.root, nil)
}
