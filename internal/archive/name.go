package archive

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"slipway/internal/slipway"
)

// CheckText refuses text that cannot be shown or written unchanged. The errors
// call the text by noun, "name" or "target".
func CheckText(noun, s string) error {
	if !utf8.ValidString(s) {
		return slipway.Errorf(slipway.Invalid, "The %s %s is not UTF-8. Pack the archive again with UTF-8 names.", noun, Quote(s))
	}
	if strings.ContainsFunc(s, isControl) {
		return slipway.Errorf(slipway.Invalid, "The %s %s holds a control character. Leave the character out of the name.", noun, Quote(s))
	}
	return nil
}

// isControl reports whether r would move or turn the text around r.
func isControl(r rune) bool {
	if ' ' <= r && r <= '~' { // as nearly all are
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// hasDrive reports whether name begins with a drive of Windows, "C:/".
func hasDrive(name string) bool {
	return len(name) > 2 && name[1] == ':' && (name[2] == '/' || name[2] == '\\') && name[0]|0x20 >= 'a' && name[0]|0x20 <= 'z'
}

// Quote returns name in quotes for a sentence, with hidden characters made visible, and
// without the middle if very long.
func Quote(name string) string {
	const most = 240
	if len(name) > most {
		head, tail := name[:most/2], name[len(name)-most/2:]
		name = strings.ToValidUTF8(head, "") + "…" + strings.ToValidUTF8(tail, "")
	}
	return slipway.Visible(strconv.Quote(name))
}

// Compose returns name with letters and accents as one character each, Unicode's form
// NFC. Python looks for modules in this form, and macOS packs in another.
func Compose(name string) string {
	if !utf8.ValidString(name) {
		return name
	}
	return norm.NFC.String(name)
}

// CheckFolder returns the folder below dags that a person or a request named, "" for
// dags itself. A name that leads out of dags, or cannot be a folder's, is refused.
func CheckFolder(text string, lim Limits) (string, error) {
	folder, err := lim.clean(Compose(slipway.FolderBelowDAGs(text)))
	if err != nil || folder == "" {
		return "", err
	}
	_, err = lim.clean(folder + "/x.py") // a file fits in
	return folder, err
}

// CheckSpelling refuses a folder that dags does not have, where dags has the folder, or
// one above, in another case or Unicode form. files are those in dags: a folder beside
// would take the new files, and the old ones would stay.
func CheckSpelling(folder string, files []slipway.File) error {
	if folder == "" {
		return nil
	}
	for depth := 1; ; depth++ {
		name := top(folder, depth)
		key, twin, exact := fold(name), "", false
		for _, f := range files {
			is := top(f.Path, depth)
			if exact = is == name; exact {
				break
			}
			if is != f.Path && twin == "" && parent(is) == parent(name) && fold(is) == key {
				twin = is
			}
		}
		if !exact && twin != "" {
			return slipway.Errorf(slipway.Invalid, "There is no folder %s in dags, but %s, which differs only in case or Unicode form. Name that one, or another.", Quote(name), Quote(twin))
		}
		if !exact || name == folder {
			return nil
		}
	}
}

// top returns the first elements of a path: "a/b" of "a/b/c.py" for two.
func top(name string, elements int) string {
	for i := range len(name) {
		if name[i] != '/' {
			continue
		}
		if elements--; elements == 0 {
			return name[:i]
		}
	}
	return name
}

// Composed returns files with composed paths and targets. Earlier versions may have
// others. The files must be sorted, and the result is.
func Composed(files []slipway.File) []slipway.File {
	if !slices.ContainsFunc(files, func(f slipway.File) bool { return !norm.NFC.IsNormalString(f.Path) }) {
		return files
	}
	list := slices.Clone(files)
	for i, f := range list {
		list[i].Path, list[i].Link = Compose(f.Path), Compose(f.Link)
	}
	slices.SortStableFunc(list, func(a, b slipway.File) int { return strings.Compare(a.Path, b.Path) })
	return slices.CompactFunc(list, func(a, b slipway.File) bool { return a.Path == b.Path })
}

// ComposedChanges returns the changes of one deploy with composed paths and targets, by
// path: a removed file before an added one of the same path. Releases that did not
// compose names recorded others.
func ComposedChanges(changes []slipway.Change) []slipway.Change {
	if !slices.ContainsFunc(changes, func(c slipway.Change) bool { return !norm.NFC.IsNormalString(c.Path) }) {
		return changes
	}
	list := slices.Clone(changes)
	for i := range list {
		c := &list[i]
		c.Path, c.Old.Path, c.New.Path = Compose(c.Path), Compose(c.Old.Path), Compose(c.New.Path)
		c.Old.Link, c.New.Link = Compose(c.Old.Link), Compose(c.New.Link)
	}
	slices.SortStableFunc(list, func(a, b slipway.Change) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), -cmp.Compare(len(a.Old.Path), len(b.Old.Path)))
	})
	return list
}

// fold returns one text for all names that are equal on a file system without
// case and Unicode forms. Letters are compared one by one: ß is not ss.
func fold(name string) string {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return strings.Map(foldRune, norm.NFC.String(name))
		}
	}
	return strings.ToLower(name)
}

// foldRune returns one letter for all that differ from r only in case.
func foldRune(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return unicode.ToLower(least)
}

// parent returns the folder of name, "" for the root.
func parent(name string) string {
	return name[:max(0, strings.LastIndexByte(name, '/'))]
}

// below returns name relative to folder, and whether name lies in folder.
// Everything lies in the root, "".
func below(folder, name string) (string, bool) {
	if folder == "" {
		return name, true
	}
	rest, ok := strings.CutPrefix(name, folder)
	if !ok || !strings.HasPrefix(rest, "/") {
		return "", false
	}
	return rest[1:], true
}

// join returns the path of name in folder.
func join(folder, name string) string {
	if folder == "" {
		return name
	}
	return folder + "/" + name
}
