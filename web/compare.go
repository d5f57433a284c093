package web

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// comparison is the comparison of one request.
type comparison struct {
	of       slipway.Deployment
	from, to compareSide
	under    string // the shown folder, with a slash; "" for the root
	ask      fileAsk
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
	var p views.ComparePage
	ask := comparison{ask: fileAskOf(c, comparePath(deploymentID(c)))}
	p.Files.Split = ask.ask.split
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
	if wantsOneFile(c) && refusal == nil {
		return s.comparedFile(c, ask)
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
	p.Frame.Page.Files = true
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
	p.SwapURL = swapped.asked().address()
	if len(all.Changes) == 0 {
		p.Alike = views.VersionsAlike
		return nil
	}
	changes := ask.within(all.Changes)
	if len(changes) == 0 {
		return slipway.Errorf(slipway.NotFound, views.NoDifference)
	}
	if _, found := slices.BinarySearchFunc(changes, ask.ask.file, byPath); ask.ask.file != "" && !found {
		return slipway.Errorf(slipway.NotFound, views.NoFileDifference, ask.ask.file)
	}
	p.Files, err = listFiles(ctx, ask.asked(), changes, nil, s.comparedFiles(ask))
	p.Files.Title, p.Files.Key = "Files", string(ask.of.ID)+"/"+orNone(ask.from.version)+"/"+orNone(ask.to.version)
	if ask.under != "" {
		p.Files.Under, p.Files.Folder = ask.folders()
	}
	return err
}

// comparedFile answers htmx with the difference of one file.
func (s *Server) comparedFile(c echo.Context, ask comparison) error {
	all, err := s.engine.Compare(c.Request().Context(), ask.of, ask.from.version, ask.to.version)
	if err != nil {
		return err
	}
	return oneFile(c, ask.asked(), all.Changes, nil, s.comparedFiles(ask))
}

// comparedFiles compares the files of the two versions.
func (s *Server) comparedFiles(a comparison) fileSource {
	return fileSource{
		diff: func(ctx context.Context, c slipway.Change, look slipway.Look) (slipway.FileDiff, error) {
			return s.engine.DiffBetween(ctx, a.of, a.from.version, a.to.version, c, look)
		},
		row:    func(c slipway.Change) views.FileChange { return views.FileChange{WholeURL: a.wholeURL(c)} },
		folder: a.in,
	}
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

// wholeURL is the address of the changed file: in the new version, or after a
// removal in the old one.
func (a comparison) wholeURL(change slipway.Change) string {
	if change.Op == slipway.Removed {
		return filePath(a.of.ID, a.from.version, change.Path)
	}
	return filePath(a.of.ID, a.to.version, change.Path)
}

// asked is what is asked of the list of files, with the two versions and the folder.
func (a comparison) asked() fileAsk {
	ask := a.ask
	ask.with = url.Values{"from": {a.from.value}, "to": {a.to.value}}
	if a.under != "" {
		ask.with.Set("under", strings.TrimSuffix(a.under, "/"))
	}
	return ask
}

// in is the address of the list for one folder, "" for all.
func (a comparison) in(folder string) string {
	if a.under = ""; folder != "" {
		a.under = folder + "/"
	}
	a.ask.open = false
	return a.asked().from(0)
}

// folders returns the folders above the shown one, and the name of the shown
// folder.
func (a comparison) folders() (above []views.Link, last string) {
	names := strings.Split(strings.TrimSuffix(a.under, "/"), "/")
	above = []views.Link{{Text: "dags", URL: a.in("")}}
	for i, name := range names[:len(names)-1] {
		above = append(above, views.Link{Text: name, URL: a.in(strings.Join(names[:i+1], "/"))})
	}
	return above, names[len(names)-1] + "/"
}
