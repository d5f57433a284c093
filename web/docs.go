package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/docs"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// docsPath is the address of the documentation.
const docsPath = "/docs/"

// anyFrame returns the frame of a page for everybody, with menus for somebody who
// is signed in.
func (s *Server) anyFrame(c echo.Context, title string) (p views.Frame, err error) {
	if _, err := s.recognise(c); err != nil {
		return p, err
	}
	err = s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		p, err = s.frame(c, tx, title)
		return err
	})
	return p, err
}

// showDocs serves GET /docs/*: a document for everybody, the first one without a
// name.
func (s *Server) showDocs(c echo.Context) error {
	all, err := docs.All()
	if err != nil {
		return err
	}
	name := c.Param("*")
	if name == "" {
		return c.Redirect(http.StatusFound, docsPath+all[0].Name)
	}
	i := slices.IndexFunc(all, func(d docs.Page) bool { return d.Name == name })
	if i < 0 {
		if !strings.HasSuffix(name, ".md") && slices.ContainsFunc(all, func(d docs.Page) bool { return d.Name == name+".md" }) {
			return c.Redirect(http.StatusFound, docsPath+name+".md")
		}
		return slipway.Errorf(slipway.NotFound, views.NoDocument, name)
	}
	p := views.DocsPage{HTML: all[i].HTML}
	for _, d := range all {
		p.Menu = append(p.Menu, views.DocLink{Text: d.Title, URL: docsPath + d.Name, Open: d.Name == name})
	}
	for _, h := range all[i].Headings {
		p.Headings = append(p.Headings, views.DocLink{Text: h.Text, URL: "#" + h.ID})
	}
	if p.Page, err = s.anyFrame(c, all[i].Title); err != nil {
		return err
	}
	return render(c, http.StatusOK, views.Docs(p))
}

// showAPIDocs shows the description of the API, with the menus of the portal.
func (s *Server) showAPIDocs(c echo.Context, p views.APIDocs) (err error) {
	if p.Page, err = s.anyFrame(c, p.Title); err != nil {
		return err
	}
	return render(c, http.StatusOK, views.APIDocsPage(p))
}
