package web

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// Limits of a comparison page.
const (
	comparedFiles = 20 // on one page
	comparedLines = 400
	wholeContext  = 1 << 20 // unchanged lines around each change: every line
	listedFiles   = 300     // files named in the tree; folders count the rest
)

// comparison is the comparison of one request.
type comparison struct {
	of       slipway.Deployment
	from, to compareSide
	split    bool
	under    string // the shown folder, with a slash; "" for the root
	file     string // the one shown file; "" for all
	at       int    // index of the first shown file
	whole    bool   // with unchanged lines
}

// showCompare serves GET /deployments/:deployment/compare.
func (s *Server) showCompare(c echo.Context) error {
	if address := byNumbers(c); address != "" {
		return c.Redirect(http.StatusSeeOther, address)
	}
	address, refusal := byTicks(c)
	if address != "" {
		return c.Redirect(http.StatusSeeOther, address)
	}
	p := views.ComparePage{Split: c.QueryParam("view") == "split"}
	ask := comparison{split: p.Split, file: c.QueryParam("file"), at: queryNumber(c, "at"), whole: c.QueryParam("context") == "all"}
	if under := strings.Trim(c.QueryParam("under"), "/"); under != "" {
		ask.under = under + "/"
	}
	err := s.viewScene(c, func(tx *store.Tx, sc scene) error {
		refused, err := s.addPicks(c, tx, sc, &ask, &p)
		refusal = cmp.Or(refusal, refused)
		return err
	})
	if err != nil {
		return err
	}
	if refusal == nil {
		refusal = s.addComparison(c.Request().Context(), ask, &p)
	}
	kind, text := slipway.Explain(refusal)
	switch {
	case refusal == nil:
		return render(c, http.StatusOK, views.Compare(p))
	case kind == slipway.Internal:
		return refusal
	}
	p.Problem, p.SwapURL = text, ""
	return render(c, statusOf(kind), views.Compare(p))
}

// addPicks completes p with the two versions and the versions on offer. A
// refusal belongs on the page, where another choice is possible.
func (s *Server) addPicks(c echo.Context, tx *store.Tx, sc scene, ask *comparison, p *views.ComparePage) (refusal, err error) {
	offered, err := tx.BundleVersions(sc.ID, 0, pickedVersions)
	if err != nil {
		return nil, err
	}
	ask.of = sc.Deployment
	ask.from, ask.to, refusal = sides(c, tx, sc, offered)
	p.Action = comparePath(sc.ID)
	p.From, p.To = ask.from.view(sc, "from", "From", offered), ask.to.view(sc, "to", "To", offered)
	p.Frame, err = s.frameOf(c, tx, sc, "Compare versions", "")
	return refusal, err
}

// addComparison completes p with the difference between the two versions.
func (s *Server) addComparison(ctx context.Context, ask comparison, p *views.ComparePage) error {
	all, err := s.engine.Compare(ctx, ask.of, ask.from.version, ask.to.version)
	if err != nil {
		return err
	}
	swapped := ask
	swapped.from, swapped.to = ask.to, ask.from
	p.SwapURL, p.UnifiedURL, p.SplitURL = swapped.address(), ask.viewed(false), ask.viewed(true)
	p.Sum = all.Sum
	if len(all.Changes) == 0 {
		p.Alike = views.VersionsAlike
		return nil
	}
	changes := ask.within(all.Changes)
	if len(changes) == 0 {
		return slipway.Errorf(slipway.NotFound, views.NoDifference)
	}
	listed, folded := slipway.FoldModes(changes)
	p.Tree, p.TreeMore = ask.tree(listed)
	if ask.under != "" {
		p.Under, p.Folder = ask.folders()
	}
	if ask.file != "" {
		return s.addFile(ctx, ask, changes, p)
	}
	if ask.at == 0 {
		p.Modes = views.FoldedModes(folded, func(c slipway.Change) string { return ask.alone(c.Path).address() })
	}
	return s.addFiles(ctx, ask, listed, p)
}

// within returns the changes in the shown folder.
func (a comparison) within(changes []slipway.Change) []slipway.Change {
	from, _ := slices.BinarySearchFunc(changes, a.under, byPath)
	n := slices.IndexFunc(changes[from:], func(c slipway.Change) bool { return !strings.HasPrefix(c.Path, a.under) })
	if n < 0 {
		return changes[from:]
	}
	return changes[from : from+n]
}

// byPath compares the path of c with path, for binary search.
func byPath(c slipway.Change, path string) int { return strings.Compare(c.Path, path) }

// addFile completes p with the difference in one file.
func (s *Server) addFile(ctx context.Context, ask comparison, changes []slipway.Change, p *views.ComparePage) error {
	i, found := slices.BinarySearchFunc(changes, ask.file, byPath)
	if !found {
		return slipway.Errorf(slipway.NotFound, views.NoFileDifference, ask.file)
	}
	p.Range, p.AllURL = "One file", ask.moved(0).address()
	f, err := s.comparedFile(ctx, ask, changes[i])
	p.Files = []views.ComparedFile{f}
	return err
}

// addFiles completes p with the differences in a page of files.
func (s *Server) addFiles(ctx context.Context, ask comparison, changes []slipway.Change, p *views.ComparePage) error {
	shown := changes[min(ask.at, len(changes)):min(ask.at+comparedFiles, len(changes))]
	p.Range = views.FileRange(ask.at+1, ask.at+len(shown), len(changes))
	if ask.at > 0 {
		p.Newer = ask.moved(max(0, ask.at-comparedFiles)).address()
	}
	if next := ask.at + comparedFiles; next < len(changes) {
		p.Older = ask.moved(next).address()
	}
	for _, change := range shown {
		f, err := s.comparedFile(ctx, ask, change)
		if err != nil {
			return err
		}
		p.Files = append(p.Files, f)
	}
	return nil
}

// comparedFile returns the difference of one file, cut to comparedLines, or to
// maxAlone lines for the one file of a page.
func (s *Server) comparedFile(ctx context.Context, ask comparison, change slipway.Change) (f views.ComparedFile, err error) {
	f.FileChange = views.FileChange{Op: change.Op, Path: change.Path, Mode: views.ModeText(change), ModeOnly: change.ModeOnly(), Anchor: anchor(change.Path)}
	f.Split, f.AloneURL, f.WholeURL = ask.split, ask.alone(change.Path).address(), ask.wholeURL(change)
	if change.Op == slipway.Renamed {
		f.Was = change.Old.Path
	}
	if change.Old.Link != "" || change.New.Link != "" {
		f.Link = views.LinkText(change)
		return f, nil
	}
	if f.ModeOnly {
		return f, nil
	}
	around, limit := 0, comparedLines
	if ask.file != "" {
		limit = maxAlone
		if ask.whole {
			around = wholeContext
		}
	}
	diff, err := s.engine.DiffBetween(ctx, ask.of, ask.from.version, ask.to.version, change, around)
	if err != nil {
		return f, err
	}
	if around == 0 && change.Op == slipway.Changed && len(diff.Hunks) > 0 {
		alone := ask.alone(change.Path)
		alone.whole = true
		f.ContextURL = alone.address()
	}
	gone := cut(&diff, limit)
	f.Diff, f.Cut = &diff, gone
	return f, nil
}

// wholeURL is the address of the changed file: in the new version, or after a
// removal in the old one.
func (a comparison) wholeURL(change slipway.Change) string {
	if change.Op == slipway.Removed {
		return filePath(a.of.ID, a.from.version, change.Path)
	}
	return filePath(a.of.ID, a.to.version, change.Path)
}

// address is the address of a, good for every member.
func (a comparison) address() string {
	at := url.Values{"from": {a.from.value}, "to": {a.to.value}}
	for name, value := range map[string]string{"under": strings.TrimSuffix(a.under, "/"), "file": a.file} {
		if value != "" {
			at.Set(name, value)
		}
	}
	if a.split {
		at.Set("view", "split")
	}
	if a.at > 0 {
		at.Set("at", strconv.Itoa(a.at))
	}
	if a.whole {
		at.Set("context", "all")
	}
	return comparePath(a.of.ID) + "?" + at.Encode()
}

// viewed is the address of a in split or unified view.
func (a comparison) viewed(split bool) string {
	a.split = split
	return a.address()
}

// moved returns a with all files, from index at on.
func (a comparison) moved(at int) comparison {
	a.at, a.file, a.whole = at, "", false
	return a
}

// alone returns a with one file.
func (a comparison) alone(path string) comparison {
	a.file, a.at, a.whole = path, 0, false
	return a
}

// in returns a for one folder.
func (a comparison) in(folder string) comparison {
	a = a.moved(0)
	a.under = folder
	return a
}

// tree returns changes, sorted by path, as nested folders, with the number of
// files left out.
func (a comparison) tree(changes []slipway.Change) (all []views.TreeNode, more int) {
	room := listedFiles
	return a.nodes(changes, a.under, &room)
}

// nodes lists the changes in a folder in the order of names, until room is used
// up.
func (a comparison) nodes(changes []slipway.Change, folder string, room *int) (all []views.TreeNode, more int) {
	for len(changes) > 0 && *room > 0 {
		name, _, deeper := strings.Cut(changes[0].Path[len(folder):], "/")
		if !deeper {
			all = append(all, a.leaf(changes[0], name))
			*room--
			changes = changes[1:]
			continue
		}
		inside := comparison{under: folder + name + "/"}.within(changes)
		all = append(all, a.folder(inside, folder+name+"/", name, room))
		changes = changes[len(inside):]
	}
	return all, len(changes)
}

// leaf is the tree node of a file.
func (a comparison) leaf(c slipway.Change, name string) views.TreeNode {
	n := views.TreeNode{Name: name, Op: c.Op, Mode: views.ModeText(c), URL: a.alone(c.Path).address()}
	if c.Op == slipway.Renamed {
		n.Was = c.Old.Path
	}
	return n
}

// folder is the tree node of a folder, with the counts of all changes below, and
// the nodes below as far as room lasts.
func (a comparison) folder(inside []slipway.Change, path, name string, room *int) views.TreeNode {
	n := views.TreeNode{Name: name, URL: a.in(path).address()}
	for _, c := range inside {
		n.Sum.Add(c)
	}
	n.Nodes, n.More = a.nodes(inside, path, room)
	return n
}

// folders returns the folders above the shown one, and the name of the shown
// folder.
func (a comparison) folders() (above []views.Link, last string) {
	names := strings.Split(strings.TrimSuffix(a.under, "/"), "/")
	above = []views.Link{{Text: "dags", URL: a.in("").address()}}
	for i, name := range names[:len(names)-1] {
		above = append(above, views.Link{Text: name, URL: a.in(strings.Join(names[:i+1], "/") + "/").address()})
	}
	return above, names[len(names)-1] + "/"
}
