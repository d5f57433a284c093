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

// stage reads what is here of w and waits to be read: DAGs, an image, or what a
// switch is prepared from.
func (e *Engine) stage(ctx context.Context, d slipway.Deployment, w slipway.Deploy) error {
	var uploads []store.Upload
	err := e.store.View(ctx, func(tx *store.Tx) (err error) {
		if w, err = tx.LoadDeploy(w.ID); err != nil {
			return err
		}
		if uploads, err = tx.UploadsFor(w.ID); err != nil || w.Status != slipway.Initialized {
			return err
		}
		return mayStill(tx, w)
	})
	if err != nil || w.Status != slipway.Initialized { // it was discarded
		return err
	}
	for _, u := range uploads {
		switch {
		case err != nil || u.ArrivedAt.IsZero():
		case u.Image:
			err = e.stageArchive(ctx, d, w, u)
		default:
			err = e.stageDAGs(ctx, d, w, u)
		}
	}
	switch {
	case err != nil:
		return err
	case w.Image == nil && w.Switch != nil:
		return e.stageSwitch(ctx, d, w)
	case w.Image == nil && w.Source != "":
		return e.stageSource(ctx, d, w)
	}
	return nil
}

// stageSource looks at the image that w names.
func (e *Engine) stageSource(ctx context.Context, d slipway.Deployment, w slipway.Deploy) error {
	i, login, err := e.inspect(ctx, d, w.Source)
	if err != nil {
		return err
	}
	return e.recordImage(ctx, d, w, i, login)
}

// inspect returns what the image is that a reference names, and what opens its
// registry. One in the portal's registry stays from then on.
func (e *Engine) inspect(ctx context.Context, d slipway.Deployment, source string) (i slipway.Image, login image.Login, err error) {
	ref, err := image.ParseRef(source)
	if err != nil {
		return i, login, err
	}
	if login, err = e.login(ctx, d, ref.Name); err != nil {
		return i, login, err
	}
	if i, err = e.cfg.Images.Inspect(ctx, ref, d.Platform, login); err != nil {
		return i, login, err
	}
	found := image.RefOf(i)
	switch {
	case found.Own() && image.Namespace(i.Name) != d.Namespace:
		return slipway.Image{}, login, notIn(d, source)
	case found.Own():
		err = e.cfg.Images.Hold(ctx, i.Name, i.Digest)
	}
	return i, login, err
}

// stageArchive takes the image of an archive into the portal's registry.
func (e *Engine) stageArchive(ctx context.Context, d slipway.Deployment, w slipway.Deploy, u store.Upload) error {
	f, err := os.Open(e.uploadPath(u.ID))
	if err != nil {
		return fmt.Errorf("open image archive: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open image archive: %w", err)
	}
	if err := e.spare(info.Size()); err != nil {
		return err
	}
	i, err := e.cfg.Images.Import(ctx, Repository(d), w.Tag, f, info.Size(), d.Platform)
	if err == nil {
		err = e.recordOwn(ctx, d, w, i)
	}
	if err == nil {
		e.removeUpload(u.ID)
	}
	return err
}

// recordOwn is recordImage for one that was stored in the portal's registry by
// w's tag. The tag is final afterwards: before, a crash has it stored again.
func (e *Engine) recordOwn(ctx context.Context, d slipway.Deployment, w slipway.Deploy, i slipway.Image) error {
	if err := e.cfg.Images.Hold(ctx, i.Name, i.Digest); err != nil {
		return err
	}
	if err := e.recordImage(ctx, d, w, i, image.Login{}); err != nil {
		return err
	}
	_, err := e.cfg.Images.Pin(ctx, Repository(d), w.Tag)
	return err
}

// recordImage notes which image w brings. If that is all, w waits to be
// confirmed.
func (e *Engine) recordImage(ctx context.Context, d slipway.Deployment, w slipway.Deploy, i slipway.Image, login image.Login) error {
	files, err := e.imageFiles(ctx, d, i, login)
	if err != nil {
		return err
	}
	err = e.store.Update(ctx, func(tx *store.Tx) error {
		now, err := stillOpen(tx, w)
		if err != nil {
			return err
		}
		tail, _, err := tx.Tail(d.ID, w.By)
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
		_, err = tx.SaveDeploy(now.Checked())
		return err
	})
	if err == nil {
		e.watchers.changed(d.ID, w.ID)
	}
	return err
}

// stillOpen returns w as it is now, if it still takes in what it brings and
// whoever began it may still make it.
func stillOpen(tx *store.Tx, w slipway.Deploy) (slipway.Deploy, error) {
	now, err := tx.LoadDeploy(w.ID)
	if err == nil && now.Status != slipway.Initialized {
		err = slipway.Errorf(slipway.Conflict, "Deploy #%d is %s.", now.Number, now.Status)
	}
	if err == nil {
		err = mayNoLonger(tx, now)
	}
	return now, err
}

func dropImageUpload(tx *store.Tx, w slipway.Deploy) error {
	uploads, err := tx.UploadsFor(w.ID)
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

// imageFiles returns what the dags folder of an image holds. That it cannot be
// read is noted: it does not keep the image from running.
func (e *Engine) imageFiles(ctx context.Context, d slipway.Deployment, i slipway.Image, login image.Login) (store.ImageFiles, error) {
	all := store.ImageFiles{Folder: dagsPath(d, i)}
	err := e.eachDAGFile(ctx, i, login, all.Folder, func(h *tar.Header, _ io.Reader) error {
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

// eachDAGFile calls do with each file and symlink in a folder of an image.
func (e *Engine) eachDAGFile(ctx context.Context, i slipway.Image, login image.Login, folder string, do func(*tar.Header, io.Reader) error) error {
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer r.Close() // ends DagsTar, should nobody read on
	go func() { w.CloseWithError(e.cfg.Images.DagsTar(ctx, i, login, folder, w)) }()
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, r) // its end may still say what went wrong
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
