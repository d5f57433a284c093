package web

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// maxFixForm is the most bytes in the fields of a fix: browsers send two bytes
// for a newline.
const maxFixForm = 2*slipway.FixMax + maxForm

// fixPath is the address of the editor for a file, safe for every path.
func fixPath(of slipway.DeploymentID, path string) string {
	return deploymentPath(of) + "/fix/" + (&url.URL{Path: path}).EscapedPath()
}

// pathBelow returns the file path in the address, below a page of the
// Deployment.
func pathBelow(c echo.Context, name string) string {
	path, _ := strings.CutPrefix(c.Request().URL.Path, deploymentPath(deploymentID(c))+"/"+name+"/")
	return path
}

// fixURL is the address for editing a file of a version; "" without the
// permission or the file.
func (s *Server) fixURL(c echo.Context, d slipway.Deployment, v slipway.Version, f slipway.File) (string, error) {
	now, err := s.engine.Fixable(c.Request().Context(), d.ID, f.Path, actorOf(c))
	if err != nil || now.Refusal != nil || now.File.Path == "" || now.File.Link != "" {
		return "", err
	}
	if now.File.Same(f) {
		return fixPath(d.ID, f.Path), nil
	}
	return fixPath(d.ID, f.Path) + "?" + url.Values{"seen": {v.Dir()}}.Encode(), nil
}

// refusedFix is a fix that was sent and refused.
type refusedFix struct {
	error string
	fix   deploy.NewFix
}

// showFix serves GET /deployments/:deployment/fix/*: the editor for a file.
func (s *Server) showFix(c echo.Context) error { return s.fixPage(c, http.StatusOK, nil) }

// fixPage renders the editor: the present content, or the input of a refused fix.
func (s *Server) fixPage(c echo.Context, status int, tried *refusedFix) error {
	p := views.FixPage{Path: pathBelow(c, "fix")}
	p.Name = path.Base(p.Path)
	f, err := s.engine.Fixable(c.Request().Context(), deploymentID(c), p.Path, actorOf(c))
	if err != nil {
		return err
	}
	if p.Deleted = f.File.Path == ""; p.Deleted && tried == nil {
		return slipway.Errorf(slipway.NotFound, views.NoFileNow, p.Path)
	}
	p.Base, p.Exec = f.File.SHA256, f.File.Exec
	p.Action = fixPath(f.Deployment.ID, p.Path)
	if f.Refusal != nil {
		_, p.Refusal = slipway.Explain(f.Refusal)
	}
	if err := s.fixContent(c, f, &p, tried); err != nil {
		return err
	}
	err = s.viewScene(c, func(tx *store.Tx, sc scene) (err error) {
		if err := fixPast(c, tx, sc, f, &p); err != nil {
			return err
		}
		p.Frame, err = s.frameOf(c, tx, sc, "Fix "+slipway.Visible(p.Name), "")
		return err
	})
	if err != nil {
		return err
	}
	return render(c, status, views.Fix(p))
}

// fixContent fills the form with the file's text, or with a refused input and
// the change of the file in the meantime.
func (s *Server) fixContent(c echo.Context, f deploy.Fixable, p *views.FixPage, tried *refusedFix) error {
	if p.Refusal != "" && tried == nil {
		return nil
	}
	text, err := s.engine.FixText(c.Request().Context(), f)
	if err != nil && !slipway.Explained(err) {
		return err
	}
	if text != "" {
		p.Form, p.Hidden = views.FixForm(slipway.FormOf([]byte(text)), err == nil), slipway.HiddenWords(slipway.InForm(slipway.Readable(text)))
	}
	if p.Text = slipway.InForm(text); err != nil {
		_, p.NoText = slipway.Explain(err)
		p.Text = ""
	}
	if tried == nil {
		return nil
	}
	p.Error, p.Description = tried.error, tried.fix.Description
	if tried.fix.Text != "" {
		p.Text, p.NoText, p.Hidden = tried.fix.Text, "", slipway.HiddenWords(tried.fix.Text)
	}
	if tried.fix.Base == f.File.SHA256 {
		return nil
	}
	p.Meanwhile, err = s.contentChange(c, f.Deployment, p.Path, tried.fix.Base, f.File.SHA256, slipway.Look{Inked: true})
	if err != nil && !errors.Is(err, slipway.ErrNotFound) {
		return err
	}
	return nil
}

// contentChange compares two contents of a file; "" for none.
func (s *Server) contentChange(c echo.Context, d slipway.Deployment, path, old, next string, look slipway.Look) (*views.FileChange, error) {
	diff, err := s.engine.DiffContents(c.Request().Context(), d, path, old, next, look)
	if err != nil {
		return nil, err
	}
	f := views.FileChange{Op: slipway.Changed, Path: path, Anchor: anchor(path)}
	switch {
	case old == "":
		f.Op = slipway.Added
	case next == "":
		f.Op = slipway.Removed
	}
	f.Diff = &diff
	return &f, nil
}

// fixPast fills in the addresses for reading the file, and a note if the
// version opened by the reader has another content.
func fixPast(c echo.Context, tx *store.Tx, sc scene, f deploy.Fixable, p *views.FixPage) error {
	steps, err := tx.FileHistory(sc.ID, p.Path, 0, 1)
	if err != nil {
		return err
	}
	if len(steps) > 0 {
		p.HistoryURL = historyPath(sc.ID, p.Path)
	}
	if len(steps) > 0 && p.Meanwhile != nil {
		w := steps[0].Deploy
		if steps[0].SHA256 == f.File.SHA256 {
			p.Error = views.FixMeanwhile(w)
		}
	}
	if kept, err := tx.Retained(sc.ID, sc.Version); err != nil {
		return err
	} else if kept && !p.Deleted {
		p.BackURL = filePath(sc.ID, sc.Version, p.Path)
	}
	if v, ok := slipway.VersionOfDir(c.QueryParam("seen")); ok {
		p.OtherThen = views.FixOlder(v)
	}
	return nil
}

// fix serves POST /deployments/:deployment/fix/*.
func (s *Server) fix(c echo.Context) error {
	if err := s.mayDeploy(c, slipway.DAGOnly); err != nil { // refuse before the first byte is read
		return err
	}
	form, err := s.bufferForm(c, maxFixForm)
	if err != nil {
		return err
	}
	defer form.file.Close() // nothing reads the file after the request
	n := deploy.NewFix{Path: pathBelow(c, "fix"), Base: form.fields["base"], Description: form.fields["description"], Text: form.fields["text"]}
	if _, typed := form.fields["text"]; !typed {
		if len(form.parts) == 0 {
			return s.fixAgain(c, slipway.Errorf(slipway.Invalid, views.ChooseFile), n)
		}
		n.Content = io.NewSectionReader(form.file, form.parts[0].start, form.parts[0].size)
	}
	w, err := s.engine.Fix(c.Request().Context(), deploymentID(c), actorOf(c), n)
	if err != nil {
		return s.fixAgain(c, err, n)
	}
	return seeOther(c, deployPath(w.Deployment, w.Number))
}

// fixAgain shows the form again, with the input and the reason for the refusal.
func (s *Server) fixAgain(c echo.Context, err error, n deploy.NewFix) error {
	status, text := explain(err)
	if correctable(err) == "" && !errors.Is(err, slipway.ErrTooLarge) {
		return err
	}
	return s.fixPage(c, status, &refusedFix{text, n})
}
