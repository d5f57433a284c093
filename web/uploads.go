package web

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
)

// tusVersion is the version of tus, the protocol for resumable uploads. The
// server has the core and the extensions creation and termination.
const tusVersion = "1.0.0"

// deployHeader carries the address of the deploy's page, opened by the browser
// after the upload.
const deployHeader = "Slipway-Deploy"

// tus refuses requests of another version of the protocol.
func tus(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Tus-Resumable", tusVersion)
		h.Set(echo.HeaderCacheControl, "no-store")
		if c.Request().Method != http.MethodOptions && c.Request().Header.Get("Tus-Resumable") != tusVersion {
			h.Set("Tus-Version", tusVersion)
			return echo.NewHTTPError(http.StatusPreconditionFailed) // the sentence is in routerTexts
		}
		return next(c)
	}
}

// tusOptions serves OPTIONS of uploads, to anyone: clients ask before they sign in.
func (s *Server) tusOptions(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Tus-Version", tusVersion)
	h.Set("Tus-Extension", "creation,termination")
	h.Set("Tus-Max-Size", strconv.FormatInt(max(s.engine.MaxArchive(), s.engine.MaxImage()), 10))
	return c.NoContent(http.StatusNoContent)
}

// overridden lets clients that can only send POST name another method for an
// upload, as tus has it.
func overridden(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		method := strings.ToUpper(r.Header.Get("X-HTTP-Method-Override"))
		if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/uploads") && slices.Contains([]string{http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions}, method) {
			r.Method = method
		}
		return next(c)
	}
}

// beginUpload serves POST /uploads.
func (s *Server) beginUpload(c echo.Context) error {
	length, err := strconv.ParseInt(c.Request().Header.Get("Upload-Length"), 10, 64)
	if err != nil || length < 0 {
		return slipway.Errorf(slipway.Invalid, "The header Upload-Length must say how many bytes will come.")
	}
	meta, err := metadata(c.Request().Header.Get("Upload-Metadata"))
	if err != nil {
		return err
	}
	if meta["deployment"] == "" {
		return slipway.Errorf(slipway.Invalid, "The header Upload-Metadata must name the Deployment: the key deployment, with the id in base64.")
	}
	n, err := newUpload(meta["merge"], meta["folder"], meta["description"], meta["kind"] != "loose")
	if err != nil {
		return err
	}
	n.Length, n.Name = length, uploadName(meta)
	u, w, err := s.beginOf(c, meta, n)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, "/uploads/"+u.ID)
	c.Response().Header().Set(deployHeader, deployPath(w.Deployment, w.Number))
	return c.NoContent(http.StatusCreated)
}

// metadata reads the header Upload-Metadata: pairs of a key and a value in
// base64.
func metadata(header string) (map[string]string, error) {
	all := map[string]string{}
	for pair := range strings.SplitSeq(header, ",") {
		key, coded, _ := strings.Cut(strings.TrimSpace(pair), " ")
		if key == "" {
			continue
		}
		value, err := base64.StdEncoding.DecodeString(coded)
		if err != nil {
			return nil, slipway.Errorf(slipway.Invalid, "The value of %q in the header Upload-Metadata is not base64.", key)
		}
		all[key] = string(value)
	}
	return all, nil
}

// newUpload reads the options of a form or a tus client. By default an archive
// replaces all files, or the folder named, and loose files are added.
func newUpload(merge, folder, description string, archive bool) (n deploy.NewUpload, err error) {
	switch slipway.Merge(merge) {
	case slipway.AddFiles, slipway.ReplaceFolder, slipway.ReplaceAll:
		n.Merge = slipway.Merge(merge)
	case "":
		if !archive {
			n.Merge = slipway.AddFiles
		}
	default:
		return n, slipway.Errorf(slipway.Invalid, "Files can be merged by add, folder or replace, not by %q.", merge)
	}
	n.Folder = strings.Trim(strings.TrimSpace(folder), "/")
	n.Description, err = slipway.CheckDescription(description)
	return n, err
}

// uploadName is the name of the upload on pages: the archive's name, or the
// names of loose files.
func uploadName(meta map[string]string) string {
	if meta["kind"] == "loose" && meta["names"] != "" {
		return meta["names"]
	}
	return meta["filename"]
}

// showUpload serves HEAD /uploads/:upload: the received bytes, the length, and
// the page of the deploy. A client that missed the last answer goes on from
// here.
func (s *Server) showUpload(c echo.Context) error {
	p, err := s.engine.Progress(c.Request().Context(), c.Param("upload"), actorOf(c))
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Upload-Offset", strconv.FormatInt(p.Offset, 10))
	h.Set("Upload-Length", strconv.FormatInt(p.Length, 10))
	h.Set(deployHeader, deployPath(p.Deploy.Deployment, p.Deploy.Number))
	return c.NoContent(http.StatusOK)
}

// appendUpload serves PATCH /uploads/:upload.
func (s *Server) appendUpload(c echo.Context) error {
	r := c.Request()
	if r.Header.Get(echo.HeaderContentType) != "application/offset+octet-stream" {
		return echo.NewHTTPError(http.StatusUnsupportedMediaType)
	}
	offset, err := strconv.ParseInt(r.Header.Get("Upload-Offset"), 10, 64)
	if err != nil || offset < 0 {
		return slipway.Errorf(slipway.Invalid, "The header Upload-Offset must say where the bytes go.")
	}
	w, next, err := s.engine.Append(r.Context(), c.Param("upload"), actorOf(c), offset, r.Body, r.ContentLength)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Upload-Offset", strconv.FormatInt(next, 10))
	c.Response().Header().Set(deployHeader, deployPath(w.Deployment, w.Number))
	return c.NoContent(http.StatusNoContent)
}

// dropUpload serves DELETE /uploads/:upload.
func (s *Server) dropUpload(c echo.Context) error {
	ctx, by := c.Request().Context(), actorOf(c)
	_, w, _, err := s.engine.Upload(ctx, c.Param("upload"), by)
	if err != nil {
		return err
	}
	if _, err := s.engine.Cancel(ctx, w.Deployment, w.Number, by); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
