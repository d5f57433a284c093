package archive

import (
	"context"
	"slices"
	"strings"

	"slipway/internal/slipway"
)

const (
	dagsFolder = "dags"
	builtIn    = "built in"
)

// Selection says what of an archive is deployed. It is known only at its end.
type Selection struct {
	Root    string     // the folder in the archive that is the dags folder: "", "dags", "repo-main/dags"
	Entries []Selected // what is deployed, by path

	// LeftOut is what nobody wants deployed, by name: the first 1,000 names.
	// LeftOutFiles counts all.
	LeftOut      []Omission
	LeftOutFiles int

	// Outside is the rest of the project, for which an image deploy is needed:
	// the files beside the dags folder, and the folders with a slash at their end.
	Outside []string
}

// Selected is an entry that is deployed as Path, below the dags folder.
type Selected struct {
	Path string
	Entry
}

// patternsOf returns the patterns of the project's .slipwayignore, and then of that
// of the dags folder.
func patternsOf(ignores map[string][]byte, base, root string) *ignore {
	g := newIgnore()
	dirs := []string{"", base, root}
	for _, dir := range slices.Compact(dirs) {
		if text, ok := ignores[dir]; ok {
			g.add(dir, text)
		}
	}
	return g
}

// top returns the part of name just below base, with a slash at its end if it
// is a folder.
func top(base, name string) string {
	rest, _ := below(base, name)
	el, _, more := strings.Cut(rest, "/")
	if more {
		el += "/"
	}
	return join(base, el)
}

// check refuses an empty selection and one that cannot be a version.
func (s Selection) check(ctx context.Context, lim Limits) error {
	if len(s.Entries) == 0 && s.Root != "" {
		return slipway.Errorf(slipway.Invalid, "The folder %s in the archive holds no file to deploy.", Quote(s.Root))
	}
	if len(s.Entries) == 0 {
		return slipway.Errorf(slipway.Invalid, "The archive holds no file to deploy.")
	}
	files := make([]slipway.File, len(s.Entries))
	for i, e := range s.Entries {
		files[i] = slipway.File{Path: e.Path, Size: e.Size, Exec: e.Exec, Link: e.Link}
	}
	return check(ctx, files, lim, s.Root)
}
