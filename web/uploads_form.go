package web

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
	"slipway/web/api"
)

// spool collects the files of a plain form. Browsers send them before the
// fields below them, and without their sizes: they wait in one file on disk.
type spool struct {
	file   *deploy.TempFile
	size   int64
	loose  int64 // bytes of all files but the archive of an image
	limit  int64 // that they may have together
	most   int64 // that the archive of an image may have
	words  int64 // bytes that all fields together may have
	parts  []part
	image  *part // the archive of an image; nil for none
	names  int   // bytes of the files' names
	fields map[string]string
	text   int // bytes of the fields
}

// maxNames is how many bytes the names of a form's files may have together, to
// which each file adds what is kept beside its name.
const (
	maxNames = 64 << 20
	nameCost = 64
)

// imageField is the name of the form's field for the archive of an image.
const imageField = "image"

// part is a file of the form: size bytes of the spool's file from start.
type part struct {
	name        string // with the folders above it, as the browser sent it
	start, size int64
}

// deployForm serves POST /deployments/:deployment/deploys: the plain form,
// without JavaScript.
func (s *Server) deployForm(c echo.Context) error {
	kind := cmp.Or(kindAsked(c), slipway.DAGOnly)
	if err := s.mayDeploy(c, kind); err != nil { // before the first byte is read
		return err
	}
	if err := api.Unhurried(c); err != nil {
		return err
	}
	sp, err := s.readSpool(c.Request(), maxForm)
	if err != nil {
		return s.refuseForm(c, &spool{}, err)
	}
	defer sp.file.Close() // it was only for this request
	w, err := s.receive(c, sp, kind)
	if err != nil {
		return s.refuseForm(c, sp, err)
	}
	return seeOther(c, deployPath(w.Deployment, w.Number))
}

// receive hands what was sent to the engine.
func (s *Server) receive(c echo.Context, sp *spool, kind slipway.DeployKind) (slipway.Deploy, error) {
	if kind.HasImage() {
		return s.receiveImage(c, sp, kind)
	}
	return s.receiveDAGs(c, sp, 0)
}

// receiveDAGs hands the DAGs that were sent to the engine, for the deploy to if
// there is one already.
func (s *Server) receiveDAGs(c echo.Context, sp *spool, to int) (slipway.Deploy, error) {
	if len(sp.parts) == 0 {
		return slipway.Deploy{}, slipway.Errorf(slipway.Invalid, "Choose an archive, files or a folder first.")
	}
	name, archive, body := sp.upload()
	defer body.Close()
	n, err := newUpload(sp.fields["merge"], sp.fields["folder_path"], sp.fields["description"], archive)
	if err != nil {
		return slipway.Deploy{}, err
	}
	n.Length, n.Name, n.To = -1, name, to
	return s.engine.Receive(c.Request().Context(), deploymentID(c), actorOf(c), n, body)
}

func (s *Server) mayDeploy(c echo.Context, kind slipway.DeployKind) error {
	return s.look(c, func(_ *store.Tx, sc scene) error {
		return sc.tail.MayDeploy(kind, sc.role, sc.by)
	})
}

// refuseForm shows the page again with the reason above the form, and with what
// was typed as far as it has arrived.
func (s *Server) refuseForm(c echo.Context, sp *spool, err error) error {
	text := imageRefusal(err)
	if text == "" {
		return err
	}
	status, _ := explain(err)
	return s.overviewPage(c, status, func(n *views.NewDeploy) {
		n.Error = text
		n.Merge, n.Folder, n.Description = slipway.Merge(sp.fields["merge"]), sp.fields["folder_path"], sp.fields["description"]
		if n.Image != nil {
			n.Image.Ref, n.Image.Pushed.Chosen = sp.fields["ref"], sp.fields["tag"]
			n.Image.Source = cmp.Or(sp.fields["source"], n.Image.Source)
		}
	})
}

// readSpool reads a multipart form, whose fields may have so many bytes
// together. The caller closes the spool.
func (s *Server) readSpool(r *http.Request, words int64) (_ *spool, err error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, slipway.Errorf(slipway.Invalid, "Send the files as a form of the type multipart/form-data.")
	}
	f, err := s.engine.TempFile()
	if err != nil {
		return nil, fmt.Errorf("spool a form: %w", err)
	}
	sp := &spool{file: f, limit: s.engine.MaxArchive(), most: s.engine.MaxImage(), words: words, fields: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, sp.file.Close())
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
		if err := sp.take(p); err != nil {
			return nil, err
		}
	}
	return sp, nil
}

func brokenForm(err error) error {
	return errors.Join(slipway.Errorf(slipway.Invalid, "The upload broke off. Send it again."), err)
}

// take reads a field or a file of the form.
func (sp *spool) take(p *multipart.Part) error {
	name, isFile := sentName(p)
	switch {
	case !isFile:
		return sp.takeField(p)
	case name == "": // nothing was chosen in this field
		return nil
	}
	if sp.names += len(name) + nameCost; sp.names > maxNames {
		return slipway.Errorf(slipway.TooLarge, "These are too many files for a form. Pack them, and upload the archive.")
	}
	most, before := sp.limit, sp.loose
	if p.FormName() == imageField {
		most, before = sp.most, 0
	}
	n, err := sp.file.Append(io.LimitReader(p, most-before+1))
	_, ours := errors.AsType[*os.PathError](err)
	kind, _ := slipway.Explain(err)
	switch {
	case err != nil && (ours || kind != slipway.Internal):
		return fmt.Errorf("spool %s: %w", name, err)
	case err != nil:
		return brokenForm(err)
	}
	if before+n > most {
		return slipway.Errorf(slipway.TooLarge, "The files are larger than %s together.", views.Bytes(most))
	}
	sp.keep(p.FormName(), part{name: name, start: sp.size, size: n})
	return nil
}

func (sp *spool) keep(field string, one part) {
	sp.size += one.size
	if field == imageField {
		sp.image = &one
		return
	}
	sp.loose += one.size
	sp.parts = append(sp.parts, one)
}

// takeField reads a field of the form. All fields are kept in memory.
func (sp *spool) takeField(p *multipart.Part) error {
	text, err := io.ReadAll(io.LimitReader(p, sp.words+1))
	if err != nil {
		return brokenForm(err)
	}
	if sp.text += len(p.FormName()) + len(text) + nameCost; int64(sp.text) > sp.words {
		return slipway.Errorf(slipway.TooLarge, "The fields of the form are larger than %s together.", views.Bytes(sp.words))
	}
	sp.fields[p.FormName()] = string(text)
	return nil
}

// sentName returns the name of a file with its folders, which FileName cuts
// off, and whether the part is a file at all.
func sentName(p *multipart.Part) (string, bool) {
	_, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
	if err != nil {
		return p.FileName(), p.FileName() != ""
	}
	name, isFile := params["filename"]
	name = strings.NewReplacer("%22", `"`, "%0D", "\r", "%0A", "\n").Replace(name) // as browsers write them
	if strings.Contains(name, `\`) && !strings.Contains(name, "/") {
		name = name[strings.LastIndex(name, `\`)+1:] // old browsers on Windows send the whole path
	}
	return name, isFile
}

// upload returns what was sent as one archive: the archive that it is, or a
// tar of the loose files.
func (sp *spool) upload() (name string, archive bool, body io.ReadCloser) {
	first := sp.parts[0]
	if len(sp.parts) == 1 && isArchive(first.name) {
		return first.name, true, io.NopCloser(sp.content(first))
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(sp.writeTar(w)) }()
	return sp.label(), false, r
}

func (sp *spool) content(p part) io.Reader { return io.NewSectionReader(sp.file, p.start, p.size) }

// isArchive goes by the name, as the upload client does.
func isArchive(name string) bool {
	name = strings.ToLower(name)
	for _, ext := range []string{".tar.gz", ".tgz", ".tar", ".tar.zst", ".zip"} {
		if strings.HasSuffix(name, ext) && !strings.Contains(name, "/") {
			return true
		}
	}
	return false
}

func (sp *spool) label() string {
	if len(sp.parts) == 1 {
		return path.Base(sp.parts[0].name)
	}
	return fmt.Sprintf("%d files", len(sp.parts))
}

func (sp *spool) writeTar(w io.Writer) error {
	tw := tar.NewWriter(w)
	for _, p := range sp.parts {
		if err := tw.WriteHeader(&tar.Header{Name: p.name, Mode: 0o644, Size: p.size}); err != nil {
			return fmt.Errorf("pack %s: %w", p.name, err)
		}
		if _, err := io.Copy(tw, sp.content(p)); err != nil {
			return fmt.Errorf("pack %s: %w", p.name, err)
		}
	}
	return tw.Close()
}
