package slipway

import (
	"fmt"
	"slices"
	"strings"
)

// Root is the folder of an archive whose files become the files below dags.
type Root struct {
	Path   string       // in the archive, "repo/airflow/dags"; "" for the whole archive
	Why    string       // reason of the choice, a sentence
	Inside string       `json:",omitempty"` // the archive in the upload that was read, "dags.tar.gz"; "" for the upload itself
	Others []RootChoice `json:",omitempty"` // the folders to choose from, Path included; nil without a choice
	Asks   bool         `json:",omitempty"` // several folders would do: somebody must choose
}

// RootChoice is a folder of an archive that may be the root.
type RootChoice struct {
	Path string
	DAGs int // DAG files inside
}

// WholeArchive names the archive itself where the name of a folder is expected.
const WholeArchive = "."

// maxRootsNamed is how many folders the question for the root names.
const maxRootsNamed = 5

// Name returns how people and requests name the root: WholeArchive for "".
func (c RootChoice) Name() string {
	if c.Path == "" {
		return WholeArchive
	}
	return c.Path
}

// Question asks clients of the API for the root.
func (r Root) Question() error {
	var names []string
	for _, c := range r.Others[:min(len(r.Others), maxRootsNamed)] {
		names = append(names, fmt.Sprintf("%q", c.Name()))
	}
	if more := len(r.Others) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return Errorf(Invalid, "It is not clear which folder of the archive is the dags folder: %s. Name one by the field dagsPath, or by --dags-path of astro deploy.", strings.Join(names, " or "))
}

// Rooted refuses w while nobody has said which folder of the archive holds the DAGs.
func (w Deploy) Rooted() error {
	if w.Root == nil || !w.Root.Asks {
		return nil
	}
	return w.Root.Question()
}

// ChooseRoot returns w with another folder of the archive as the root, to be staged
// again. Only a staged deploy has a choice, and only of the folders found.
func (w Deploy) ChooseRoot(role Role, by Actor, path string) (Deploy, error) {
	if err := role.May(DeployDAGs); err != nil {
		return w, err
	}
	if err := by.Reaches(w); err != nil {
		return w, err
	}
	if by.User != w.By.User && w.By.Token == "" {
		return w, Errorf(Forbidden, "Deploy #%d is %s's: nobody else chooses its files.", w.Number, w.By.Title())
	}
	if w.Status != Staged || w.Root == nil {
		return w, Errorf(Conflict, "The files of deploy #%d are settled: it is %s.", w.Number, w.Status)
	}
	if path == WholeArchive {
		path = ""
	}
	if !slices.ContainsFunc(w.Root.Others, func(c RootChoice) bool { return c.Path == path }) {
		return w, Errorf(Invalid, "The folder %q is not one of those that may hold the DAGs.", path)
	}
	root := *w.Root
	root.Path, root.Why, root.Asks = path, "It was chosen by "+by.Title()+".", false
	w.Root, w.Status, w.WantsDAG = &root, Initialized, true
	return w, nil
}
