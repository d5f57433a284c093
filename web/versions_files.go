package web

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/views"
)

// Limits of the text of a file on a page.
const (
	maxShownBytes = 1 << 20
	maxShownLines = 50_000
)

// above returns the folders above path, and the folder's own name with a slash.
func above(of slipway.DeploymentID, v slipway.Version, folder string) (all []views.Link, last string) {
	all = []views.Link{{Text: "dags", URL: versionPath(of, v)}}
	if folder == "" {
		return nil, "dags/"
	}
	names := strings.Split(folder, "/")
	for i, name := range names[:len(names)-1] {
		all = append(all, views.Link{Text: name, URL: folderPath(of, v, strings.Join(names[:i+1], "/"))})
	}
	return all, names[len(names)-1] + "/"
}

// folderPath is the address of a folder in a version.
func folderPath(of slipway.DeploymentID, v slipway.Version, folder string) string {
	return versionPath(of, v) + "?" + url.Values{"path": {folder}}.Encode()
}

// entries lists the contents of a folder, folders first. dags are the sorted paths
// of DAG files.
func entries(of slipway.DeploymentID, v slipway.Version, files []slipway.File, dags []string, folder string) []views.FolderEntry {
	prefix := ""
	if folder != "" {
		prefix = folder + "/"
	}
	var folders, plain []views.FolderEntry
	at := map[string]int{}
	for _, f := range files {
		rest, inside := strings.CutPrefix(f.Path, prefix)
		if !inside {
			continue
		}
		name, _, deeper := strings.Cut(rest, "/")
		if !deeper {
			_, isDAG := slices.BinarySearch(dags, f.Path)
			plain = append(plain, views.FolderEntry{
				Name: name, URL: filePath(of, v, f.Path), Size: f.Size, Link: f.Link, DAG: isDAG, Exec: f.Exec,
			})
			continue
		}
		i, known := at[name]
		if !known {
			i = len(folders)
			at[name] = i
			folders = append(folders, views.FolderEntry{Name: name, URL: folderPath(of, v, prefix+name), Folder: true})
		}
		folders[i].Files++
	}
	return append(folders, plain...)
}

// file returns the file of a version at path.
func (s *Server) file(c echo.Context, d slipway.Deployment, v slipway.Version, path string) (slipway.File, error) {
	f, found, err := s.engine.File(c.Request().Context(), d, v, path)
	if err == nil && !found {
		err = slipway.Errorf(slipway.NotFound, views.NoFile, path)
	}
	return f, err
}

// filePage completes p with the content of the file, or the reason why none is
// shown.
func (s *Server) filePage(c echo.Context, d slipway.Deployment, p *views.FilePage) error {
	f := p.File
	p.Name = path.Base(f.Path)
	p.Path, _ = above(d.ID, p.Version, f.Path)
	p.HistoryURL = historyPath(d.ID, f.Path)
	if f.Link != "" {
		p.Refusal = views.FileLink
		return nil
	}
	p.RawURL = filePath(d.ID, p.Version, f.Path) + "?raw=1"
	if f.Size > maxShownBytes {
		p.Refusal = views.FileTooLarge(f.Size)
		return nil
	}
	content, err := s.engine.Content(c.Request().Context(), d, f)
	if err != nil {
		return err
	}
	defer content.Close()
	text, err := io.ReadAll(io.LimitReader(content, maxShownBytes))
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Path, err)
	}
	p.Words = slipway.FormOf(text).Words()
	p.Lines, p.Refusal = lines(text)
	p.Inks = s.engine.Inks(c.Request().Context(), f.Path, p.Lines)
	return nil
}

// lines returns the lines of a text, or the reason why none are shown.
func lines(text []byte) ([]string, string) {
	form := slipway.FormOf(text)
	switch {
	case len(text) == 0:
		return nil, views.FileEmpty
	case !form.Shown():
		return nil, views.FileData
	case bytes.Count(text, []byte("\n")) > maxShownLines:
		return nil, views.FileLines
	}
	all := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i, line := range all {
		if all[i] = slipway.Readable(line); form.OneEnd() {
			all[i] = strings.TrimSuffix(all[i], "\r")
		}
	}
	return all, ""
}

// sendFile sends a file as an attachment, so no browser runs or shows the
// content.
func (s *Server) sendFile(c echo.Context, d slipway.Deployment, f slipway.File) error {
	if f.Link != "" {
		return slipway.Errorf(slipway.NotFound, views.NoContentOfLink, f.Path)
	}
	content, err := s.engine.Content(c.Request().Context(), d, f)
	if err != nil {
		return err
	}
	defer content.Close()
	h := c.Response().Header()
	attach(h, path.Base(f.Path))
	h.Set(echo.HeaderContentType, echo.MIMEOctetStream)
	h.Set(echo.HeaderContentLength, strconv.FormatInt(f.Size, 10))
	c.Response().WriteHeader(http.StatusOK)
	if _, err := io.Copy(c.Response(), content); err != nil {
		return s.breakOff(c, fmt.Errorf("send %s: %w", f.Path, err))
	}
	return nil
}

// attach makes the browser save the answer under name, and gives the content no
// rights on this site.
func attach(h http.Header, name string) {
	h.Set(echo.HeaderContentDisposition, mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(echo.HeaderCacheControl, "private, no-store")
}
