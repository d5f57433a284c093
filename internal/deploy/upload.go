package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"slipway/internal/archive"
	"slipway/internal/datadir"
	"slipway/internal/durable"
	"slipway/internal/slipway"
	"slipway/store"
)

// NewUpload is what is known of an upload before its first byte.
type NewUpload struct {
	Length      int64  // bytes; -1 when unknown
	Name        string // "dags.tar.gz", or "3 files": for people
	Fix         string // the one file that it mends, below dags; "" for others
	Merge       slipway.Merge
	Folder      string // below dags, where the files go; "" for its root
	Description string
	Git         slipway.Git

	// Image says that it is the archive of an image, for a deploy of a Kind: of
	// IMAGE_AND_DAG, DAGs says that an archive of DAGs follows.
	Image bool
	Kind  slipway.DeployKind // "" for DAG_ONLY
	DAGs  bool

	To int // number of the deploy of image and DAGs whose DAGs they are; 0 for a deploy of its own
}

// most returns how many bytes an archive of DAGs, or of an image, may have.
func (e *Engine) most(image bool) int64 {
	if image {
		return e.cfg.MaxImage
	}
	return e.cfg.Limits.Archive
}

func (e *Engine) uploadPath(id string) string {
	return filepath.Join(e.cfg.Dir, datadir.Uploads, filepath.Base(id))
}

// checked returns n cleaned, or says what is wrong with it.
func (e *Engine) checked(n NewUpload) (_ NewUpload, err error) {
	if n.Description, err = slipway.CheckDescription(n.Description); err != nil {
		return n, err
	}
	n.Git = n.Git.Clean()
	if n.Folder = strings.Trim(n.Folder, "/"); n.Folder != "" {
		if err := archive.Check([]slipway.File{{Path: path.Join(n.Folder, "x.py")}}, e.cfg.Limits); err != nil {
			return n, err
		}
	}
	switch {
	case n.Length == 0:
		return n, slipway.Errorf(slipway.Invalid, "The file %s is empty.", n.Name)
	case n.Length > e.most(n.Image):
		return n, tooLarge(n.Name, e.most(n.Image))
	case n.Image:
		n.Merge = slipway.ReplaceAll
	case n.Merge != slipway.AddFiles && n.Merge != slipway.ReplaceAll:
		return n, slipway.Errorf(slipway.Invalid, "Say whether the files are added, or replace everything.")
	}
	return n, e.spare(max(n.Length, 0))
}

// MaxArchive is how many bytes an upload may have.
func (e *Engine) MaxArchive() int64 { return e.cfg.Limits.Archive }

// MaxImage is how many bytes the archive of an image may have.
func (e *Engine) MaxImage() int64 { return e.cfg.MaxImage }

func tooLarge(name string, most int64) error {
	return slipway.Errorf(slipway.TooLarge, "%s is too large: an upload may have at most %d MiB.", name, most>>20)
}

// spare refuses size more bytes when the disk would fall under its reserve.
func (e *Engine) spare(size int64) error {
	free, err := durable.FreeSpace(e.cfg.Dir)
	if err != nil {
		return err
	}
	if free-size < e.cfg.Reserve {
		return slipway.Errorf(slipway.NoSpace, "The disk of the portal is nearly full: %d MiB are free, and %d MiB of them stay in reserve. Ask the administrator for space.",
			free>>20, e.cfg.Reserve>>20)
	}
	return nil
}

// BeginUpload makes a deploy that waits for its archive, or has one of image and
// DAGs wait for it.
func (e *Engine) BeginUpload(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, n NewUpload) (u store.Upload, w slipway.Deploy, err error) {
	err = e.store.Update(ctx, func(tx *store.Tx) error {
		d, role, err := tx.Tail(of, by)
		if err != nil {
			return err
		}
		n.Kind = cmp.Or(n.Kind, slipway.DAGOnly)
		if w, err = e.uploadFor(tx, d, role, by, &n); err != nil {
			return err
		}
		if u, err = tx.AddUpload(store.Upload{Deploy: w.ID, Image: n.Image, Length: n.Length, Folder: n.Folder}); err != nil {
			return err
		}
		if err := os.WriteFile(e.uploadPath(u.ID), nil, 0o600); err != nil {
			return outage(fmt.Errorf("begin upload: %w", err))
		}
		return audit(tx, by, d, "deploy.upload", w)
	})
	if err != nil {
		return store.Upload{}, slipway.Deploy{}, err
	}
	e.watchers.notify(of)
	return u, w, nil
}

// audit records that by did action to deploy w of d.
func audit(tx *store.Tx, by slipway.Actor, d slipway.Deployment, action string, w slipway.Deploy) error {
	detail := fmt.Sprintf("#%d", w.Number)
	if w.ReturnTo != 0 {
		detail = fmt.Sprintf("#%d, to #%d", w.Number, w.ReturnTo)
	}
	return tx.Audit(by, slipway.Event{Workspace: d.Workspace, Deployment: d.ID, Action: action, Target: d.Name, Detail: detail})
}

// Upload returns an upload with its deploy and how many bytes of it are here.
func (e *Engine) Upload(ctx context.Context, id string, by slipway.Actor) (u store.Upload, w slipway.Deploy, offset int64, err error) {
	err = e.store.View(ctx, func(tx *store.Tx) (err error) {
		if u, w, err = tx.Upload(id, by); err != nil {
			return err
		}
		return seen(tx, w, by)
	})
	if err != nil {
		return u, w, 0, err
	}
	offset, err = e.offset(u)
	if err == nil && offset == u.Length && u.ArrivedAt.IsZero() && !e.arriving.busy(id) {
		w, err = e.arrived(ctx, u, w) // a crash came between the last byte and its record
	}
	return u, w, offset, err
}

// seen returns nil if by sees the Deployment of w.
func seen(tx *store.Tx, w slipway.Deploy, by slipway.Actor) error {
	_, _, err := tx.Deployment(w.Deployment, by)
	return err
}

func (e *Engine) offset(u store.Upload) (int64, error) {
	info, err := os.Stat(e.uploadPath(u.ID))
	if err != nil {
		return 0, fmt.Errorf("offset of upload: %w", err)
	}
	return info.Size(), nil
}

// Append writes what r brings at offset. What came before a connection broke
// stays. With the last byte the upload is durable and is staged.
func (e *Engine) Append(ctx context.Context, id string, by slipway.Actor, offset int64, r io.Reader) (w slipway.Deploy, newOffset int64, err error) {
	u, w, err := e.mayAppend(ctx, id, by)
	if err != nil {
		return w, 0, err
	}
	if u.Length < 0 {
		return w, 0, slipway.Errorf(slipway.Conflict, "This upload cannot be taken up again. Start it anew.")
	}
	return e.append(ctx, u, w, offset, r)
}

func (e *Engine) append(ctx context.Context, u store.Upload, w slipway.Deploy, offset int64, r io.Reader) (_ slipway.Deploy, at int64, err error) {
	resumed, err := e.arriving.begin(u.ID, offset)
	if err != nil {
		return w, 0, err
	}
	defer func() { e.arriving.end(u.ID, err == nil && at < u.Length) }()
	if at, err = e.offset(u); err != nil {
		return w, 0, err
	}
	if at != offset || !u.ArrivedAt.IsZero() {
		return w, at, slipway.Errorf(slipway.Conflict, "The upload is at byte %d, not at %d.", at, offset)
	}
	if resumed {
		w.Resumes++
	}
	at, err = e.write(u, w, offset, r)
	// The request may be over by now. What came is noted all the same.
	ctx = context.WithoutCancel(ctx)
	if err == nil && (at == u.Length || u.Length < 0) {
		w, err = e.arrived(ctx, u, w)
		return w, at, err
	}
	if err == nil {
		_, _, err = e.mayAppend(ctx, u.ID, w.By)
	}
	return w, at, errors.Join(err, e.touch(ctx, u, w, resumed))
}

// touch notes that bytes came, once a minute at most.
func (e *Engine) touch(ctx context.Context, u store.Upload, w slipway.Deploy, resumed bool) error {
	if !resumed && e.store.Now().Sub(u.TouchedAt) < time.Minute {
		return nil
	}
	return e.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.TouchUpload(u.ID); err != nil || !resumed {
			return err
		}
		now, err := tx.LoadDeploy(w.ID)
		if err != nil {
			return err
		}
		now.Resumes = w.Resumes
		_, err = tx.SaveDeploy(now)
		return err
	})
}

// mayAppend judges by's role anew. Whoever has lost it loses the deploy.
func (e *Engine) mayAppend(ctx context.Context, id string, by slipway.Actor) (u store.Upload, w slipway.Deploy, err error) {
	var refusal error
	err = e.store.View(ctx, func(tx *store.Tx) error {
		if u, w, err = tx.Upload(id, by); err != nil {
			return err
		}
		refusal = mayStill(tx, w)
		return nil
	})
	if err == nil && refusal != nil {
		err = errors.Join(refusal, e.Refuse(ctx, w, refusal))
	}
	return u, w, err
}

// mayStill judges whether whoever began w may still make it.
func mayStill(tx *store.Tx, w slipway.Deploy) error {
	d, role, err := tx.Tail(w.Deployment, w.By)
	if kind, _ := slipway.Explain(err); err != nil && kind == slipway.NotFound {
		return slipway.Errorf(slipway.NotFound, "%s no longer has access to this Deployment.", w.By.Title())
	}
	if err == nil {
		err = sameSecret(tx, w)
	}
	if err != nil {
		return err
	}
	return d.MayMake(w, role, w.By)
}

// sameSecret refuses w if the token that began it was rotated since: whoever has
// the old secret may be somebody who left.
func sameSecret(tx *store.Tx, w slipway.Deploy) error {
	if w.By.Token == "" {
		return nil
	}
	t, err := tx.TokenByID(w.By.Token)
	if err == nil && t.StartedAt.After(w.CreatedAt) {
		err = slipway.Errorf(slipway.Forbidden, "The %s was rotated after this deploy was begun. Begin it again with the new token.", w.By.Title())
	}
	return err
}

// mayNoLonger returns why whoever began w may not make it any more, nil while
// they may. What else keeps w from going live is judged when it is confirmed.
func mayNoLonger(tx *store.Tx, w slipway.Deploy) error {
	err := mayStill(tx, w)
	if kind, _ := slipway.Explain(err); kind == slipway.NotFound || kind == slipway.Forbidden || kind == slipway.Internal {
		return err
	}
	return nil
}

// Receive takes a whole archive in. If it breaks off, its deploy has failed.
func (e *Engine) Receive(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, n NewUpload, r io.Reader) (slipway.Deploy, error) {
	u, w, err := e.BeginUpload(ctx, of, by, n)
	if err != nil {
		return w, err
	}
	w, at, err := e.append(ctx, u, w, 0, r)
	switch kind, text := slipway.Explain(err); {
	case err == nil && u.Length > at:
		err = slipway.Errorf(slipway.Invalid, "The upload ended after %d of %d bytes. Upload the files again.", at, u.Length)
		return w, errors.Join(err, e.Refuse(ctx, w, err))
	case err == nil:
		return w, nil
	case kind == slipway.Internal:
		return w, errors.Join(err, e.fail(context.WithoutCancel(ctx), w, "The upload broke off. Upload the files again."))
	default:
		return w, errors.Join(err, e.fail(context.WithoutCancel(ctx), w, text))
	}
}
