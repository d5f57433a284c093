package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/a-h/templ"
	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/static"
	"slipway/store"
	"slipway/views"
)

// withAssets puts the addresses of style sheet, scripts and icons into the
// context for views.
func withAssets(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		c.SetRequest(r.WithContext(views.WithAssets(r.Context(), static.URL)))
		return next(c)
	}
}

// render writes a page or partial. The view is buffered first, so that a
// failing view becomes a complete page with status 500. Pages are compressed;
// event streams and downloads are not.
func render(c echo.Context, status int, view templ.Component) error {
	buf := templ.GetBuffer()
	defer templ.ReleaseBuffer(buf)
	if err := view.Render(c.Request().Context(), buf); err != nil {
		return fmt.Errorf("render: %w", err)
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, echo.MIMETextHTMLCharsetUTF8)
	h.Set(echo.HeaderCacheControl, "no-store")
	var failed error
	compressed()(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, failed = w.Write(buf.Bytes())
	})(c.Response(), c.Request())
	return failed
}

// compressed wraps a handler so that answers are compressed if the client
// accepts gzip.
var compressed = sync.OnceValue(func() func(http.HandlerFunc) http.HandlerFunc {
	wrap, err := gzhttp.NewWrapper()
	if err != nil {
		panic(err) // NewWrapper fails only for wrong options
	}
	return func(h http.HandlerFunc) http.HandlerFunc { return wrap(h) }
})

// wantsPartial reports whether htmx will swap the answer into a page.
func wantsPartial(c echo.Context) bool {
	return c.Request().Header.Get("HX-Request") == "true"
}

// wantsHTML reports whether a person's browser will show the answer.
func wantsHTML(c echo.Context) bool {
	if strings.HasPrefix(c.Request().URL.Path, agentsPath) {
		return false // no person reads the answer
	}
	return wantsPartial(c) || strings.Contains(c.Request().Header.Get(echo.HeaderAccept), echo.MIMETextHTML)
}

// seeOther ends an action: the browser loads path next.
func seeOther(c echo.Context, path string) error {
	if wantsPartial(c) {
		c.Response().Header().Set("HX-Redirect", path)
		return c.NoContent(http.StatusNoContent)
	}
	return c.Redirect(http.StatusSeeOther, path)
}

// doneCookie carries a sentence to the page after an action.
const doneCookie = "done"

// done is seeOther with a sentence for the next page, shown once.
func (s *Server) done(c echo.Context, path, format string, args ...any) error {
	s.cookies.Keep(c, doneCookie, slipway.Sentencef(format, args...), auth.DoneLife)
	return seeOther(c, path)
}

// pageNumber returns the number of the page of a list, from 1 to a million, in the
// address.
func pageNumber(c echo.Context) int { return min(max(queryNumber(c, "page"), 1), 1_000_000) }

// listingOf returns the part of a list that the address asks for with ?q= and
// ?page=, counted from 1.
func listingOf(c echo.Context) store.Listing {
	return store.Listing{Search: strings.TrimSpace(c.QueryParam("q")), Limit: pageSize, Offset: (pageNumber(c) - 1) * pageSize}
}

// listPart returns the part of a list of total rows for its page at path.
func listPart(path string, l store.Listing, total int) views.ListPart {
	return listPartAt(l, total, func(page int) string {
		query := url.Values{"page": {strconv.Itoa(page)}}
		if l.Search != "" {
			query.Set("q", l.Search)
		}
		return path + "?" + query.Encode()
	})
}

// listPartAt is listPart for pages at the addresses of path.
func listPartAt(l store.Listing, total int, path func(page int) string) views.ListPart {
	at := func(offset int) string { return path(max(offset, 0)/pageSize + 1) }
	p := views.ListPart{First: min(l.Offset+1, total), Last: min(l.Offset+pageSize, total), Total: total}
	if l.Offset > 0 {
		p.Previous = at(min(l.Offset, total+pageSize-1) - pageSize) // the last page, for one beyond the end
	}
	if l.Offset+pageSize < total {
		p.Next = at(l.Offset + pageSize)
	}
	return p
}

// frame returns the frame of a page outside Workspaces.
func (s *Server) frame(c echo.Context, tx *store.Tx, title string) (views.Frame, error) {
	p := s.bareFrame(c, title)
	if p.You == "" {
		return p, nil
	}
	var err error
	p.Workspaces, err = tx.Workspaces(userOf(c).ID)
	p.Done = s.cookies.Take(c, doneCookie)
	return p, err
}

// frameIn returns the frame of a page in a Workspace, and the caller's role.
func (s *Server) frameIn(c echo.Context, tx *store.Tx, title string, id slipway.WorkspaceID, section views.Section) (views.Frame, slipway.Role, error) {
	w, role, err := tx.Workspace(id, actorOf(c))
	if err != nil {
		return views.Frame{}, role, err
	}
	p, err := s.frame(c, tx, title)
	if err != nil {
		return p, role, err
	}
	p.Workspace, p.Section, p.Audits = w, section, role.May(slipway.ReadAudit) == nil
	return p, role, nil
}

// bareFrame is the frame of a page for handlers without database access.
func (s *Server) bareFrame(c echo.Context, title string) views.Frame {
	u := userOf(c)
	return views.Frame{
		Title: title, You: u.Title(), Email: u.Email, Admin: u.Admin,
		SupportURL: s.cfg.SupportURL, Version: s.cfg.Version, Now: s.store.Now(),
	}
}

// address returns path as an absolute address, to hand to other people.
func (s *Server) address(c echo.Context, path string) string {
	if s.cfg.URL != nil {
		return s.cfg.URL.Scheme + "://" + s.cfg.URL.Host + path
	}
	return c.Scheme() + "://" + c.Request().Host + path
}

// favicon redirects /favicon.ico, requested by browsers on their own, to the
// icon of the pages.
func (s *Server) favicon(c echo.Context) error {
	return c.Redirect(http.StatusFound, static.URL("mark.svg"))
}

// keepDone keeps the sentence of an action for the page after the next
// redirect.
func (s *Server) keepDone(c echo.Context, text string) {
	if text != "" {
		s.cookies.Keep(c, doneCookie, text, auth.DoneLife)
	}
}
