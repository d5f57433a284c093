package web

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"os"
	"path"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/archive"
	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// bufferedForm collects the files of a plain form in one temporary file:
// browsers send files before later fields, and without sizes.
type bufferedForm struct {
	file     *deploy.TempFile
	size     int64
	loose    int64 // bytes of all files but the archive of an image
	maxFiles int64 // bytes allowed for loose files together
	maxImage int64 // bytes allowed for the archive of an image
	maxText  int64 // bytes allowed for all fields together
	parts    []part
	image    *part // the archive of an image; nil for none
	names    int   // bytes of the files' names
	fields   map[string]string
	text     int // bytes of the fields
}

// maxNames is the most bytes of file names in a form. Each file counts nameCost
// bytes more for the record in memory.
const (
	maxNames = 64 << 20
	nameCost = 64
)

// imageField is the name of the form's field for the archive of an image.
const imageField = "image"

// part is a file of the form: size bytes of the temporary file from start.
type part struct {
	name        string // with the folders, as sent by the browser
	start, size int64
}

// deployForm serves POST /deployments/:deployment/deploys: the form of a
// browser without JavaScript.
func (s *Server) deployForm(c echo.Context) error {
	kind := cmp.Or(requestedKind(c), slipway.DAGOnly)
	if err := s.mayDeploy(c, kind); err != nil { // refuse before the first byte is read
		return err
	}
	form, err := s.bufferForm(c, maxForm)
	if err != nil {
		return s.refuseForm(c, &bufferedForm{}, err)
	}
	defer form.file.Close() // nothing reads the file after the request
	w, err := s.receive(c, form, kind)
	if err != nil {
		return s.refuseForm(c, form, err)
	}
	return seeOther(c, deployPath(w.Deployment, w.Number))
}

// receive passes the form to the engine, as a deploy of a kind.
func (s *Server) receive(c echo.Context, form *bufferedForm, kind slipway.DeployKind) (slipway.Deploy, error) {
	if kind.HasImage() {
		return s.receiveImage(c, form, kind)
	}
	return s.receiveDAGs(c, form, 0)
}

// receiveDAGs passes the DAGs of the form to the engine. to is the number of
// the deploy that gets the DAGs; 0 for a new deploy.
func (s *Server) receiveDAGs(c echo.Context, form *bufferedForm, to int) (slipway.Deploy, error) {
	if len(form.parts) == 0 {
		return slipway.Deploy{}, slipway.Errorf(slipway.Invalid, views.ChooseFiles)
	}
	name, packed, body := form.upload()
	defer body.Close()
	n, err := newUpload(form.fields["merge"], form.fields["folder_path"], form.fields["description"], packed)
	if err != nil {
		return slipway.Deploy{}, err
	}
	n.Length, n.Name, n.To = -1, name, to
	return s.engine.Receive(c.Request().Context(), deploymentID(c), actorOf(c), n, body)
}

// mayDeploy returns nil if the caller may make a deploy of a kind.
func (s *Server) mayDeploy(c echo.Context, kind slipway.DeployKind) error {
	return s.viewScene(c, func(_ *store.Tx, sc scene) error {
		return sc.projected.MayDeploy(kind, sc.role, sc.by)
	})
}

// refuseForm shows the page again with the reason above the form, and with the
// fields read before the refusal.
func (s *Server) refuseForm(c echo.Context, form *bufferedForm, err error) error {
	text := imageRefusal(err)
	if text == "" {
		return err
	}
	status, _ := explain(err)
	return s.overviewPage(c, status, func(n *views.NewDeploy) {
		n.Error = text
		n.Merge, n.Folder, n.Description = slipway.Merge(form.fields["merge"]), form.fields["folder_path"], form.fields["description"]
		if n.Image != nil {
			n.Image.Ref, n.Image.Pushed.Chosen = form.fields["ref"], form.fields["tag"]
			n.Image.Source = cmp.Or(form.fields["source"], n.Image.Source)
		}
	})
}

// bufferForm reads a multipart form with at most words bytes of fields. The
// caller closes the temporary file.
func (s *Server) bufferForm(c echo.Context, words int64) (_ *bufferedForm, err error) {
	parts, err := c.Request().MultipartReader()
	if err != nil {
		return nil, slipway.Errorf(slipway.Invalid, views.FormNoFiles)
	}
	f, err := s.engine.TempFile(c.Request().Context(), actorOf(c))
	if err != nil {
		return nil, fmt.Errorf("temporary file for a form: %w", err)
	}
	form := &bufferedForm{file: f, maxFiles: s.engine.MaxArchive(), maxImage: s.engine.MaxImage(), maxText: words, fields: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, form.file.Close())
		}
	}()
	for {
		p, err := parts.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, brokenForm(err)
		}
		if err := form.readPart(p); err != nil {
			return nil, err
		}
	}
	return form, nil
}

// brokenForm adds a sentence for the user to an error of reading the form.
func brokenForm(err error) error {
	return errors.Join(slipway.Errorf(slipway.Invalid, views.FormBroken), err)
}

// readPart reads a field or a file of the form.
func (form *bufferedForm) readPart(p *multipart.Part) error {
	name, isFile := sentName(p)
	switch {
	case !isFile:
		return form.readField(p)
	case name == "": // nothing was chosen in this field
		return nil
	}
	if form.names += len(name) + nameCost; form.names > maxNames {
		return slipway.Errorf(slipway.TooLarge, views.FormFiles)
	}
	most, before := form.maxFiles, form.loose
	if p.FormName() == imageField {
		most, before = form.maxImage, 0
	}
	n, err := form.file.Append(io.LimitReader(p, most-before+1))
	_, ours := errors.AsType[*os.PathError](err)
	switch {
	case err != nil && (ours || slipway.Explained(err)):
		return fmt.Errorf("write %s to a temporary file: %w", name, err)
	case err != nil:
		return brokenForm(err)
	}
	if before+n > most {
		return slipway.Errorf(slipway.TooLarge, views.FormFilesSize, views.Bytes(most))
	}
	form.addPart(p.FormName(), part{name: name, start: form.size, size: n})
	return nil
}

// addPart records a file written to the end of the temporary file.
func (form *bufferedForm) addPart(field string, one part) {
	form.size += one.size
	if field == imageField {
		form.image = &one
		return
	}
	form.loose += one.size
	form.parts = append(form.parts, one)
}

// readField reads a field of the form into memory, within maxText for all
// fields.
func (form *bufferedForm) readField(p *multipart.Part) error {
	text, err := io.ReadAll(io.LimitReader(p, form.maxText+1))
	if err != nil {
		return brokenForm(err)
	}
	if form.text += len(p.FormName()) + len(text) + nameCost; int64(form.text) > form.maxText {
		return slipway.Errorf(slipway.TooLarge, views.FormFieldsSize, views.Bytes(form.maxText))
	}
	form.fields[p.FormName()] = string(text)
	return nil
}

// sentName returns the name of the file in p, and whether p is a file. The name
// includes folders; FileName would return the last element only.
func sentName(p *multipart.Part) (string, bool) {
	_, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
	if err != nil {
		return p.FileName(), p.FileName() != ""
	}
	name, isFile := params["filename"]
	name = strings.NewReplacer("%22", `"`, "%0D", "\r", "%0A", "\n").Replace(name) // browsers escape these characters in names
	if strings.Contains(name, `\`) && !strings.Contains(name, "/") {
		name = name[strings.LastIndex(name, `\`)+1:] // old browsers on Windows send the full path
	}
	return name, isFile
}

// upload returns the files as one stream: the single uploaded archive, or a tar
// of the loose files. packed reports which one.
func (form *bufferedForm) upload() (name string, packed bool, body io.ReadCloser) {
	first := form.parts[0]
	if len(form.parts) == 1 && form.isArchive(first) {
		return first.name, true, io.NopCloser(form.content(first))
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(form.writeTar(w)) }()
	return form.label(), false, r
}

// content reads the bytes of p from the temporary file.
func (form *bufferedForm) content(p part) io.Reader {
	return io.NewSectionReader(form.file, p.start, p.size)
}

// isArchive reports whether p, sent by itself, is an archive: by name or content,
// as in the upload client in JavaScript.
func (form *bufferedForm) isArchive(p part) bool {
	head := make([]byte, archive.HeadLen)
	n, _ := io.ReadFull(form.content(p), head) // a disk that fails is seen when all is read
	return archive.IsArchive(p.name, head[:n])
}

// label is the name of the upload on pages: the file's name, or the number of
// files.
func (form *bufferedForm) label() string {
	if len(form.parts) == 1 {
		return path.Base(form.parts[0].name)
	}
	return fmt.Sprintf("%d files", len(form.parts))
}

// writeTar packs the loose files into w, without modes, which a browser does not send.
func (form *bufferedForm) writeTar(w io.Writer) error {
	tw := tar.NewWriter(w)
	for _, p := range form.parts {
		if err := tw.WriteHeader(&tar.Header{Name: p.name, Size: p.size}); err != nil {
			return fmt.Errorf("pack %s: %w", p.name, err)
		}
		if _, err := io.Copy(tw, form.content(p)); err != nil {
			return fmt.Errorf("pack %s: %w", p.name, err)
		}
	}
	return tw.Close()
}
