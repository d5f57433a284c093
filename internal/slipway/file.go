package slipway

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// File is one file or symlink of a DAG bundle version.
type File struct {
	Path   string `json:"path"`             // below the dags folder, with slashes, "sales/load_orders.py"
	SHA256 string `json:"sha256,omitempty"` // of the content, lower-case hex; "" for a symlink
	Size   int64  `json:"size,omitempty"`   // bytes
	Exec   bool   `json:"exec,omitempty"`   // executable
	NoMode bool   `json:"noMode,omitempty"` // of an upload: the source does not say whether the file is executable
	Link   string `json:"link,omitempty"`   // a symlink's target as written; "" for a file
	DAG    bool   `json:"dag,omitempty"`    // by content and name, Airflow 2 and 3 would load the file
	Asset  bool   `json:"asset,omitempty"`  // by content and name, Airflow 3 would load the file, and Airflow 2 not
	LFS    bool   `json:"lfs,omitempty"`    // a pointer of Git LFS in place of the file
	Bidi   bool   `json:"bidi,omitempty"`   // text with bidirectional controls
	Marks  uint8  `json:"marks,omitempty"`  // number of the rule that set DAG, Asset, LFS and Bidi; 0 for releases without numbers
	Place
}

// Place is the location of a content: a pack and one of its zstd frames. The
// tar entry in the frame is named by the content's sha256.
type Place struct {
	Pack   string `json:"pack,omitempty"`   // sha256 of the pack's compressed file, lower-case hex
	Offset int64  `json:"offset,omitempty"` // of the frame in the pack's file, bytes
	Length int64  `json:"length,omitempty"` // of the frame, compressed, bytes
}

// PacksOf returns the packs with the contents of files, each once, in the order
// of files.
func PacksOf(files []File) []string {
	seen := map[string]bool{"": true}
	var packs []string
	for _, f := range files {
		if !seen[f.Pack] {
			seen[f.Pack] = true
			packs = append(packs, f.Pack)
		}
	}
	return packs
}

// FindFiles returns the files with text in their path, whatever the case: first those with the
// name text, then those with text in the name, then all others, each in the order
// of files.
func FindFiles(files []File, text string) (found []File) {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "" {
		return nil
	}
	var ranks [3][]File
	for _, f := range files {
		path := strings.ToLower(f.Path)
		name := path[strings.LastIndex(path, "/")+1:]
		switch {
		case name == text || path == text || strings.TrimSuffix(name, ".py") == text:
			ranks[0] = append(ranks[0], f)
		case strings.Contains(name, text):
			ranks[1] = append(ranks[1], f)
		case strings.Contains(path, text):
			ranks[2] = append(ranks[2], f)
		}
	}
	return slices.Concat(ranks[0], ranks[1], ranks[2])
}

// Same reports whether f and g would be the same file once mounted, wherever
// their contents are stored.
func (f File) Same(g File) bool {
	return f.SHA256 == g.SHA256 && f.Exec == g.Exec && f.Link == g.Link
}

// Mode returns the mode of f as git writes modes: "100755" for an executable file,
// "120000" for a symlink; "" for the zero File.
func (f File) Mode() string {
	switch {
	case f.Path == "":
		return ""
	case f.Link != "":
		return "120000"
	case f.Exec:
		return "100755"
	}
	return "100644"
}

// LookMax is the largest file searched for a pointer of Git LFS or bidirectional
// controls, in bytes.
const LookMax = 1 << 20

// SameMarks returns copies of two sorted lists in which files with older marks have those
// of the same file in the other list. wanted are the files whose contents have to
// be looked at: with older marks, and a path that tells about DAGs, or changed.
func SameMarks(base, next []File, older func(File) bool, tells func(path string) bool) (was, is, wanted []File) {
	was, is = slices.Clone(base), slices.Clone(next)
	look := func(f File, changed bool) {
		if older(f) && (tells(f.Path) || changed && f.Size <= LookMax) {
			wanted = append(wanted, f)
		}
	}
	i, j := 0, 0
	for i < len(was) || j < len(is) {
		switch {
		case j == len(is) || i < len(was) && was[i].Path < is[j].Path:
			look(was[i], true)
			i++
		case i == len(was) || is[j].Path < was[i].Path:
			look(is[j], true)
			j++
		default:
			a, b := &was[i], &is[j]
			same := a.SHA256 == b.SHA256
			if same && older(*a) {
				a.DAG, a.Asset, a.LFS, a.Bidi, a.Marks = b.DAG, b.Asset, b.LFS, b.Bidi, b.Marks
			} else if same && older(*b) {
				b.DAG, b.Asset, b.LFS, b.Bidi, b.Marks = a.DAG, a.Asset, a.LFS, a.Bidi, a.Marks
			}
			look(*a, !same)
			look(*b, !same)
			i, j = i+1, j+1
		}
	}
	return was, is, wanted
}

// ContentSum returns a SHA-256 over paths, contents, modes and links of files, in
// lower-case hex: the same for the same files, however and in whichever order
// an archive packs them.
func ContentSum(files []File) string {
	files = slices.Clone(files)
	SortFiles(files)
	sum := sha256.New()
	for _, f := range files {
		fmt.Fprintf(sum, "%q %s %t %q\n", f.Path, f.SHA256, f.Exec, f.Link)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Op is the kind of a change to a file.
type Op string

// The ops, as stored and as shown in the API.
const (
	Added   Op = "added"
	Changed Op = "changed"
	Removed Op = "removed"
)

// Change is the change of a deploy to the file at Path. Old is zero for an
// added file, New for a removed one.
type Change struct {
	Op   Op
	Path string
	Old  File
	New  File
}

// ModeChange returns the modes before and after c; "" for both where the mode stays,
// and where only one side has a file.
func (c Change) ModeChange() (was, is string) {
	was, is = c.Old.Mode(), c.New.Mode()
	if was == is || was == "" || is == "" {
		return "", ""
	}
	return was, is
}

// ModeOnly reports whether the files before and after c differ by their mode alone.
func (c Change) ModeOnly() bool {
	return c.Op == Changed && c.Old.SHA256 == c.New.SHA256 && c.Old.Link == c.New.Link && c.Old.Exec != c.New.Exec
}

// Changes returns the changes from old to new, by path. Both must be sorted by
// path, as by SortFiles.
func Changes(old, new []File) []Change {
	var list []Change
	for len(old) > 0 || len(new) > 0 {
		switch {
		case len(new) == 0 || len(old) > 0 && old[0].Path < new[0].Path:
			list = append(list, Change{Op: Removed, Path: old[0].Path, Old: old[0]})
			old = old[1:]
		case len(old) == 0 || new[0].Path < old[0].Path:
			list = append(list, Change{Op: Added, Path: new[0].Path, New: new[0]})
			new = new[1:]
		default:
			if !old[0].Same(new[0]) {
				list = append(list, Change{Op: Changed, Path: new[0].Path, Old: old[0], New: new[0]})
			}
			old, new = old[1:], new[1:]
		}
	}
	return list
}

// SortFiles puts files in the order of their paths.
func SortFiles(files []File) {
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
}

// Merge is the effect of an upload on the other files of a bundle.
type Merge string

// The effects of an upload, as stored.
const (
	AddFiles      Merge = "add"     // add or change only these files
	ReplaceFolder Merge = "folder"  // replace everything in the folder of the files
	ReplaceAll    Merge = "replace" // replace everything
)

// KeepsOthers reports whether files outside the upload may stay.
func (m Merge) KeepsOthers() bool { return m == AddFiles || m == ReplaceFolder }

// Apply returns the files of the version after uploading files to folder onto base:
// only files when everything is replaced, else base, without the folder when the
// folder is replaced, with files added or replaced by path. Files whose source has
// no modes keep the mode of base. Both must be sorted, and the result is sorted.
func (m Merge) Apply(folder string, base, files []File) []File {
	files = withModes(base, files)
	if !m.KeepsOthers() {
		return files
	}
	if m == ReplaceFolder {
		base = slices.DeleteFunc(slices.Clone(base), func(f File) bool { return f.Path != folder && InFolder(folder, f.Path) })
	}
	list := make([]File, 0, len(base)+len(files))
	for len(base) > 0 || len(files) > 0 {
		switch {
		case len(files) == 0 || len(base) > 0 && base[0].Path < files[0].Path:
			list = append(list, base[0])
			base = base[1:]
		case len(base) > 0 && base[0].Path == files[0].Path:
			base = base[1:]
		default:
			list = append(list, files[0])
			files = files[1:]
		}
	}
	return list
}

// withModes returns files with the modes of base where the source has none.
func withModes(base, files []File) []File {
	if !slices.ContainsFunc(files, func(f File) bool { return f.NoMode }) {
		return files
	}
	list := slices.Clone(files)
	for i, f := range list {
		for len(base) > 0 && base[0].Path < f.Path {
			base = base[1:]
		}
		if f.NoMode {
			list[i].NoMode = false
			list[i].Exec = len(base) > 0 && base[0].Path == f.Path && base[0].Exec
		}
	}
	return list
}

// InFolder reports whether name is folder, or lies in it. Both are clean, below
// dags; "" is dags itself.
func InFolder(folder, name string) bool {
	rest, ok := strings.CutPrefix(name, folder)
	return ok && (folder == "" || rest == "" || rest[0] == '/')
}

// FolderBelowDAGs returns the folder for files below the dags folder, as a person
// named the folder: "team_a" for "dags/team_a/" and for `dags\team_a`.
func FolderBelowDAGs(text string) string {
	folder := strings.Trim(strings.ReplaceAll(strings.TrimSpace(text), `\`, "/"), "/")
	for {
		rest, dotted := strings.CutPrefix(folder, "./")
		if !dotted {
			break
		}
		folder = strings.TrimLeft(rest, "/")
	}
	if folder == "dags" || folder == "." {
		return ""
	}
	return strings.TrimLeft(strings.TrimPrefix(folder, "dags/"), "/")
}

// Manifest is a DAG bundle version: every file with the place of its content.
// The manifest is stored as <version>.json.zst and never changes.
type Manifest struct {
	Version Version `json:"version"`
	Files   []File  `json:"files"` // sorted by path
}
