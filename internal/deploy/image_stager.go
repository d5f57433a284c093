package deploy

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"slipway/internal/image"
	"slipway/internal/slipway"
	"slipway/store"
)

// imageStager reads images and the DAGs inside.
type imageStager struct {
	*base
	logins      *logins
	uploadFiles *uploadFiles
}

// inspect returns the image of a reference, and the login to the registry. An
// image in the portal's registry is retained from now on.
func (m *imageStager) inspect(ctx context.Context, d slipway.Deployment, source string) (i slipway.Image, login image.Login, err error) {
	ref, err := image.ParseRef(source)
	if err != nil {
		return i, login, err
	}
	if login, err = m.logins.login(ctx, d, ref.Name); err != nil {
		return i, login, err
	}
	if i, err = m.cfg.Images.Inspect(ctx, ref, d.Platform, login); err != nil {
		return i, login, err
	}
	found := image.RefOf(i)
	switch {
	case found.Own() && image.Namespace(i.Name) != d.Namespace:
		return slipway.Image{}, login, notIn(d, source)
	case found.Own():
		err = m.cfg.Images.Retain(ctx, i.Name, i.Digest)
	}
	return i, login, err
}

// importArchive takes the image of an archive into the portal's registry.
func (m *imageStager) importArchive(ctx context.Context, d slipway.Deployment, w slipway.Deploy, u store.Upload) error {
	f, err := os.Open(m.uploadFiles.uploadPath(u.ID))
	if err != nil {
		return fmt.Errorf("open image archive: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open image archive: %w", err)
	}
	if err := m.uploadFiles.Fits(info.Size()); err != nil {
		return err
	}
	i, err := m.cfg.Images.Import(ctx, Repository(d), w.Tag, f, info.Size(), d.Platform)
	if err == nil {
		err = m.recordOwn(ctx, d, w, i)
	}
	if err == nil {
		m.uploadFiles.removeUpload(u.ID)
	}
	return err
}

// recordOwn is recordImage for an image in the portal's registry under w's tag.
// Pin makes the tag final at the end: after a crash before Pin, the image is
// stored again.
func (m *imageStager) recordOwn(ctx context.Context, d slipway.Deployment, w slipway.Deploy, i slipway.Image) error {
	if err := m.cfg.Images.Retain(ctx, i.Name, i.Digest); err != nil {
		return err
	}
	if err := m.recordImage(ctx, d, w, i, image.Login{}); err != nil {
		return err
	}
	_, err := m.cfg.Images.Pin(ctx, Repository(d), w.Tag)
	return err
}

// recordImage records the image of w. Without more contents to come, w is then
// ready for the confirmation.
func (m *imageStager) recordImage(ctx context.Context, d slipway.Deployment, w slipway.Deploy, i slipway.Image, login image.Login) error {
	files, err := m.imageFiles(ctx, d, i, login)
	if err != nil {
		return err
	}
	err = m.store.Update(ctx, func(tx *store.Tx) error {
		now, err := stillOpen(tx, w)
		if err != nil {
			return err
		}
		tail, _, err := tx.Projected(d.ID, w.By)
		if err != nil {
			return err
		}
		now.Image, now.After = &i, i.Brought()
		if err := tail.Takes(now); err != nil {
			return err
		}
		if err := errors.Join(tx.KeepImage(d.ID, i), tx.SetImageFiles(w.ID, files)); err != nil {
			return err
		}
		if err := dropImageUpload(tx, w); err != nil {
			return err
		}
		if now, err = tx.SaveDeploy(now.Checked()); err != nil {
			return err
		}
		return m.uploadFiles.hold(tx, now)
	})
	if err == nil {
		m.watchers.changed(d.ID, w.ID)
	}
	return err
}

// stillOpen returns the present w, if w still takes contents in and the author
// still has access.
func stillOpen(tx *store.Tx, w slipway.Deploy) (slipway.Deploy, error) {
	now, err := tx.LoadDeploy(w.ID)
	if err == nil && now.Status != slipway.Initialized {
		err = slipway.Errorf(slipway.Conflict, "Deploy #%d is %s.", now.Number, now.Status)
	}
	if err == nil {
		err = lostAccess(tx, now)
	}
	return now, err
}

func dropImageUpload(tx *store.Tx, w slipway.Deploy) error {
	uploads, err := tx.UploadsFor(w.ID)
	if err != nil {
		return err
	}
	for _, u := range uploads {
		if u.Image {
			err = errors.Join(err, tx.DropUpload(u.ID))
		}
	}
	return err
}

// dagsPath returns the dags folder of an image of d.
func dagsPath(d slipway.Deployment, i slipway.Image) string {
	return cmp.Or(d.DagsPath, i.DagsPath, slipway.DefaultDagsPath)
}

// imageFilesMax is how many files of an image's dags folder are named. All are
// counted.
const imageFilesMax = 2000

// imageFiles returns the contents of an image's dags folder. An unreadable
// folder is recorded, and no error: the image may run all the same.
func (m *imageStager) imageFiles(ctx context.Context, d slipway.Deployment, i slipway.Image, login image.Login) (store.ImageFiles, error) {
	all := store.ImageFiles{Folder: dagsPath(d, i)}
	err := m.eachDAGFile(ctx, i, login, all.Folder, func(h *tar.Header, _ io.Reader) error {
		all.Count++
		all.Bytes += h.Size
		if len(all.Files) < imageFilesMax {
			all.Files = append(all.Files, store.ImageFile{Path: h.Name, Size: h.Size, Link: h.Linkname})
		}
		return nil
	})
	if kind, text := slipway.Explain(err); err != nil && kind != slipway.Internal {
		all.Unread, err = text, nil
	}
	return all, err
}

func (m *imageStager) writeDags(ctx context.Context, i slipway.Image, login image.Login, folder string, w io.Writer) (err error) {
	defer slipway.Recovered(&err)
	return m.cfg.Images.DagsTar(ctx, i, login, folder, w)
}

// eachDAGFile calls do with each file and symlink in a folder of an image.
func (m *imageStager) eachDAGFile(ctx context.Context, i slipway.Image, login image.Login, folder string, do func(*tar.Header, io.Reader) error) error {
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer r.Close() // ends DagsTar if reading stops early
	go func() { w.CloseWithError(m.writeDags(ctx, i, login, folder, w)) }()
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, r) // an error of DagsTar may come at the end
			return err
		}
		if err == nil && h.Typeflag != tar.TypeDir {
			err = do(h, in)
		}
		if err != nil {
			return fmt.Errorf("read dags folder of image: %w", err)
		}
	}
}
