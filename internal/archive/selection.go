package archive

import (
	"context"

	"slipway/internal/slipway"
)

const (
	dagsFolder = "dags"
	builtIn    = "built in"
)

// Selection is the deployed part of an archive, known after the last entry.
type Selection struct {
	Root    string       // the dags folder in the archive: "", "dags", "repo-main/dags"
	Found   slipway.Root // how Root was found
	Inner   string       // the archive inside that holds the DAGs: read Inner instead; "" for none
	Entries []Selected   // deployed entries, by path

	// LeftOut holds the first 1,000 omitted names, sorted. LeftOutFiles counts all
	// omitted files.
	LeftOut      []Omission
	LeftOutFiles int

	// Outside is the rest of the project, for an image deploy: files beside the dags
	// folder, and folders with a slash behind the name.
	Outside []string
}

// Selected is an entry deployed as Path, below the dags folder.
type Selected struct {
	Path string
	Entry
}

// check refuses an invalid version. A selection may be empty: the rules about DAG
// files judge what that means. folders are those with an entry of their own.
func (s Selection) check(ctx context.Context, lim Limits, folders []string) error {
	files := make([]slipway.File, len(s.Entries))
	for i, e := range s.Entries {
		files[i] = slipway.File{Path: e.Path, Size: e.Size, Exec: e.Exec, Link: e.Link}
	}
	return checkVersion(ctx, files, folders, lim, s.Root)
}
