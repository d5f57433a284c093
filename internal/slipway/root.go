package slipway

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path"
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

// choosable refuses a choice about the files of w by someone with role: only the sender
// of a staged deploy has one.
func (w Deploy) choosable(role Role, by Actor) error {
	if err := role.May(DeployDAGs); err != nil {
		return err
	}
	if err := by.Reaches(w); err != nil {
		return err
	}
	if by.User != w.By.User && w.By.Token == "" {
		return Errorf(Forbidden, "Deploy #%d is %s's: nobody else chooses its files.", w.Number, w.By.Title())
	}
	if w.Status != Staged {
		return errSettled(w)
	}
	return nil
}

func errSettled(w Deploy) error {
	return Errorf(Conflict, "The files of deploy #%d are settled: it is %s.", w.Number, w.Status)
}

// ChooseRoot returns w with another folder of the archive as the root, to be staged
// again. Only a staged deploy has a choice, and only of the folders found.
func (w Deploy) ChooseRoot(role Role, by Actor, path string) (Deploy, error) {
	if err := w.choosable(role, by); err != nil {
		return w, err
	}
	if w.Root == nil {
		return w, errSettled(w)
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

// Landing says where files and folders at the top of an upload go whose names stand
// elsewhere in the version: orders_daily.py beside sales/orders_daily.py.
type Landing struct {
	Names   []string // as uploaded, below the folder of the deploy
	Folders []string // below dags, with these names; "" for dags itself
	More    int      `json:",omitempty"` // further such folders
	Folder  string   // the one that the names go to, below dags
	Asks    bool     `json:",omitempty"` // several folders would do: somebody must choose
	Chosen  bool     `json:",omitempty"` // by somebody
}

// maxLandings is how many folders are offered to a name.
const maxLandings = 20

// Landings are the landings of one deploy, no name in two.
type Landings []Landing

func (w Deploy) landings() Landings {
	if w.Landing == nil {
		return nil
	}
	return *w.Landing
}

// FindLandings finds names of an upload that stand elsewhere in base, in the folder of w. A
// name that stands at its own place is only changed, and has no Landing. Uploads that
// replace others say where all files go.
func (w Deploy) FindLandings(base, files []File) (all Landings) {
	if w.Merge != AddFiles || w.Fix != "" || w.Purpose() != ForCode {
		return nil
	}
	s := newStands(w.Folder, base, files)
	tops := map[string][]string{}
	for _, f := range files {
		rel := f.Path
		if w.Folder != "" {
			rel = strings.TrimPrefix(f.Path, w.Folder+"/")
		}
		top, _, _ := strings.Cut(rel, "/")
		tops[top] = append(tops[top], rel)
	}
	for _, top := range slices.Sorted(maps.Keys(tops)) {
		folders := s.elsewhere(top, tops[top])
		if len(folders) == 0 {
			continue
		}
		l := Landing{Names: []string{top}, Folders: folders[:min(len(folders), maxLandings)], Folder: folders[0]}
		if l.More = len(folders) - len(l.Folders); len(folders) > 1 {
			l.Folder, l.Asks = w.Folder, true
		}
		same := func(m Landing) bool { return m.More == l.More && slices.Equal(m.Folders, l.Folders) }
		if i := slices.IndexFunc(all, same); i >= 0 {
			all[i].Names = append(all[i].Names, top)
		} else {
			all = append(all, l)
		}
	}
	return s.apart(all, tops)
}

// apart has a Landing ask whose files would come upon others of the upload. tops are the
// files below each name.
func (s stands) apart(all Landings, tops map[string][]string) Landings {
	taken := maps.Clone(s.sent)
	for i, l := range all {
		for _, name := range l.Names {
			for _, rel := range tops[name] {
				at := path.Join(l.Folder, rel)
				if !l.Asks && taken[at] {
					all[i].Folder, all[i].Asks = s.folder, true
				}
				taken[at] = true
			}
		}
	}
	return all
}

// Relanded returns w with the places found anew: base may have changed since. What
// somebody chose stays where it is still possible.
func (w Deploy) Relanded(base, files []File) Deploy {
	if w.Status != Staged || w.By.Via != Portal {
		return w
	}
	chosen := map[string]string{}
	for _, l := range w.landings() {
		for _, name := range l.Names {
			if l.Chosen {
				chosen[name] = l.Folder
			}
		}
	}
	var all Landings
	for _, l := range w.FindLandings(base, files) {
		open := l
		open.Names = nil
		for _, name := range l.Names {
			folder, ok := chosen[name]
			if !ok || folder != w.Folder && !slices.Contains(l.Folders, folder) {
				open.Names = append(open.Names, name)
				continue
			}
			i := slices.IndexFunc(all, func(m Landing) bool {
				return m.Chosen && m.Folder == folder && m.More == l.More && slices.Equal(m.Folders, l.Folders)
			})
			if i < 0 {
				i = len(all)
				all = append(all, Landing{Folders: l.Folders, More: l.More, Folder: folder, Chosen: true})
			}
			all[i].Names = append(all[i].Names, name)
		}
		if len(open.Names) > 0 {
			all = append(all, open)
		}
	}
	if w.Landing = nil; len(all) > 0 {
		w.Landing = &all
	}
	return w
}

// ReviewTag changes with all that a reader of the review of w agrees to, but the version
// that it is against: the files, the folder that they come from, and their places.
func (w Deploy) ReviewTag() string {
	b, err := json.Marshal([]any{w.StagedAt.UnixMilli(), w.Root, w.landings()})
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// ErrReviewChanged is the error of a confirmation of something else than was read.
var ErrReviewChanged = &Error{Kind: Conflict, Text: "Another folder, or another place for the files, was chosen in between. Read the changes again, then confirm."}

// stands finds names in the files of a version.
type stands struct {
	folder string
	taken  map[string]bool     // paths of the version, and the folders above
	sent   map[string]bool     // paths of the upload
	byName map[string][]string // paths of the version in folder, by the last element
}

func newStands(folder string, base, files []File) stands {
	s := stands{folder, map[string]bool{}, map[string]bool{}, map[string][]string{}}
	for _, f := range files {
		s.sent[f.Path] = true
	}
	for _, f := range base {
		if !InFolder(folder, f.Path) {
			continue
		}
		name := path.Base(f.Path)
		s.byName[name] = append(s.byName[name], f.Path)
		for above := f.Path; above != "." && !s.taken[above]; above = path.Dir(above) {
			s.taken[above] = true
		}
	}
	return s
}

// elsewhere returns the folders with top, sorted, none if top stands at its own place.
// rels are the files of the upload in top, or top itself.
func (s stands) elsewhere(top string, rels []string) (folders []string) {
	if s.taken[path.Join(s.folder, top)] {
		return nil
	}
	found := map[string]bool{}
	for _, rel := range rels {
		if name := path.Base(rel); rel != top && (name == "__init__.py" || name[0] == '.') {
			continue // stands in many folders, and tells nothing
		}
		for _, stand := range s.byName[path.Base(rel)] {
			if folder, ok := strings.CutSuffix("/"+stand, "/"+rel); ok && !s.sent[stand] {
				found[strings.TrimPrefix(folder, "/")] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// Landed returns the uploaded files of w at the chosen places. Both are sorted.
func (w Deploy) Landed(files []File) []File {
	all := w.landings()
	if len(all) == 0 {
		return files
	}
	files = slices.Clone(files)
	for i, f := range files {
		rel := f.Path
		if w.Folder != "" {
			rel = strings.TrimPrefix(f.Path, w.Folder+"/")
		}
		top, _, _ := strings.Cut(rel, "/")
		for _, l := range all {
			if slices.Contains(l.Names, top) {
				files[i].Path = path.Join(l.Folder, rel)
			}
		}
	}
	SortFiles(files)
	return files
}

// Settled refuses w while nobody has said where a file of the upload goes.
func (w Deploy) Settled() error {
	for _, l := range w.landings() {
		if l.Asks {
			if len(l.Folders) == 1 {
				return Errorf(Invalid, "%s stands in %s: say that it replaces that one, or that it is new.", Visible(l.Names[0]), Visible(path.Join("dags", l.Folders[0])))
			}
			return Errorf(Invalid, "%s stands at %d places: say which one it replaces, or that it is new.", Visible(l.Names[0]), len(l.Folders)+l.More)
		}
	}
	return nil
}

// Land returns w with the names of the Landing of name in another folder, one of those
// found or the folder of w.
func (w Deploy) Land(role Role, by Actor, name, folder string) (Deploy, error) {
	if err := w.choosable(role, by); err != nil {
		return w, err
	}
	all := slices.Clone(w.landings())
	i := slices.IndexFunc(all, func(l Landing) bool { return slices.Contains(l.Names, name) })
	if i < 0 || folder != w.Folder && !slices.Contains(all[i].Folders, folder) {
		return w, Errorf(Invalid, "%q does not stand in the folder %q. Choose one of the places that the page names.", name, folder)
	}
	all[i].Folder, all[i].Asks, all[i].Chosen = folder, false, true
	w.Landing = &all
	return w, nil
}

// LandingNote warns an API client that names of its upload stand elsewhere as well; ""
// for none.
func LandingNote(w Deploy, all Landings) string {
	var texts []string
	for _, l := range all[:min(len(all), maxRootsNamed)] {
		name := l.Names[0]
		if more := len(l.Names) - 1; more > 0 {
			name += fmt.Sprintf(" (and %d more)", more)
		}
		texts = append(texts, fmt.Sprintf("%s is new, and %s stands there already: to change that one, send the field folder.",
			Visible("dags/"+path.Join(w.Folder, name)), Visible("dags/"+path.Join(l.Folders[0], l.Names[0]))))
	}
	if more := len(all) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("So do %d more.", more))
	}
	return strings.Join(texts, " ")
}
