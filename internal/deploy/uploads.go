package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"slipway/internal/archive"
	"slipway/internal/datadir"
	"slipway/internal/durable"
	"slipway/internal/slipway"
	"slipway/store"
)

// NewUpload describes an upload before its first byte.
type NewUpload struct {
	Length      int64         // bytes; -1 when unknown
	Name        string        // "dags.tar.gz", or "3 files": for people
	Fix         string        // the only file of a one-file fix, below dags; "" for other uploads
	Merge       slipway.Merge // "" for the usual, by Folder
	Folder      string        // folder for the files, below dags; "" for the root, or for that of the sender's token
	Root        string        // folder of the archive that becomes dags, or slipway.WholeArchive; "" to find one
	Description string
	Git         slipway.Git

	// Image marks the archive of an image, for a deploy of a Kind. With
	// IMAGE_AND_DAG, DAGs announces an archive of DAGs after the image.
	Image bool
	Kind  slipway.DeployKind // "" for DAG_ONLY
	DAGs  bool

	To int // number of the deploy of image and DAGs to add the DAGs to; 0 for a new deploy
}

// uploads receives archives, whole or in pieces.
type uploads struct {
	*base
	endings     *endings
	uploadFiles *uploadFiles
}

// CheckFolder returns the folder below dags that a person or a request named, or
// an error for one that cannot be. Without a name, or for dags itself, the folder
// is "".
func (p *uploads) CheckFolder(text string) (string, error) {
	return archive.CheckFolder(text, p.cfg.Limits)
}

// checked returns n, from by, cleaned, or an error with the fault in n.
func (p *uploads) checked(n NewUpload, by slipway.Actor) (_ NewUpload, err error) {
	n.Name = cmp.Or(strings.TrimSpace(n.Name), "archive")
	if n.Description, err = slipway.CheckDescription(n.Description); err != nil {
		return n, err
	}
	n.Git = n.Git.Clean()
	if err := archive.CheckText("name", n.Root); err != nil {
		return n, err
	}
	switch {
	case n.Length == 0:
		return n, slipway.Errorf(slipway.Invalid, "The file %s is empty.", slipway.Visible(n.Name))
	case n.Length > p.uploadFiles.maxSize(n.Image):
		return n, tooLarge(n.Name, p.uploadFiles.maxSize(n.Image))
	case n.Image:
		_, err = p.CheckFolder(n.Folder)
		n.Folder, n.Merge = "", slipway.ReplaceAll
		return n, err
	}
	n.Folder, n.Merge, err = p.Placed(by, n.Folder, n.Merge)
	return n, err
}

// Placed is Actor.Place for a folder as a request names it.
func (p *uploads) Placed(by slipway.Actor, text string, m slipway.Merge) (string, slipway.Merge, error) {
	folder, err := p.CheckFolder(text)
	if err != nil {
		return "", "", err
	}
	if folder == "" && strings.TrimSpace(text) != "" {
		folder = slipway.DAGsItself
	}
	return by.Place(folder, m)
}

// MaxArchive is how many bytes an upload may have.
func (p *uploads) MaxArchive() int64 { return p.cfg.Limits.Archive }

// MaxImage is how many bytes the archive of an image may have.
func (p *uploads) MaxImage() int64 { return p.cfg.MaxImage }

// BeginUpload makes a deploy for the upload. With n.To, the upload is for the
// DAGs of an existing deploy of image and DAGs.
func (p *uploads) BeginUpload(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, n NewUpload) (u store.Upload, w slipway.Deploy, err error) {
	begun := ""
	err = p.store.Update(ctx, func(tx *store.Tx) error {
		d, role, err := tx.Projected(of, by)
		if err != nil {
			return err
		}
		n.Kind = cmp.Or(n.Kind, slipway.DAGOnly)
		if w, err = p.uploadFor(tx, d, role, by, &n); err != nil {
			return err
		}
		if u, err = tx.AddUpload(store.Upload{Deploy: w.ID, Image: n.Image, Length: n.Length, Root: n.Root}); err != nil {
			return err
		}
		h, err := holderOf(tx, d, w)
		if err != nil {
			return err
		}
		if err := p.uploadFiles.ledger.Open(u.ID, h, max(u.Length, 0)); err != nil {
			return err
		}
		begun = u.ID
		if err := os.WriteFile(p.uploadFiles.uploadPath(u.ID), nil, 0o600); err != nil {
			return unavailable(fmt.Errorf("begin upload: %w", err))
		}
		return audit(tx, by, d, "deploy.upload", w)
	})
	if err != nil && begun != "" {
		p.uploadFiles.removeUpload(begun)
	}
	if err != nil {
		return store.Upload{}, slipway.Deploy{}, err
	}
	p.watchers.notify(of)
	return u, w, nil
}

// Upload returns an upload with the deploy and the number of bytes received.
func (p *uploads) Upload(ctx context.Context, id string, by slipway.Actor) (u store.Upload, w slipway.Deploy, offset int64, err error) {
	err = p.store.View(ctx, func(tx *store.Tx) (err error) {
		if u, w, err = tx.Upload(id, by); err != nil {
			return err
		}
		return maySee(tx, w, by)
	})
	if err != nil {
		return u, w, 0, err
	}
	offset, err = p.uploadFiles.offset(u)
	if err == nil && offset == u.Length && u.ArrivedAt.IsZero() && !p.uploadFiles.arriving.busy(id) {
		w, err = p.arrived(ctx, u, w) // a crash came between the last byte and the record
	}
	return u, w, offset, err
}

// maySee returns nil if by sees the Deployment of w.
func maySee(tx *store.Tx, w slipway.Deploy, by slipway.Actor) error {
	_, _, err := tx.Deployment(w.Deployment, by)
	return err
}

// Append writes the bytes of r at offset. Bytes received before a broken
// connection stay, and none of a request that goes past the announced length. With
// the last byte, the upload is durable and ready for staging. size is the number
// of bytes in r; -1 when unknown.
func (p *uploads) Append(ctx context.Context, id string, by slipway.Actor, offset int64, r io.Reader, size int64) (w slipway.Deploy, newOffset int64, err error) {
	u, w, err := p.mayAppend(ctx, id, by)
	if err != nil {
		return w, 0, err
	}
	if u.Length < 0 {
		return w, 0, slipway.Errorf(slipway.Conflict, "This upload cannot be taken up again. Start it anew.")
	}
	return p.append(ctx, u, w, offset, r, size)
}

func (p *uploads) append(ctx context.Context, u store.Upload, w slipway.Deploy, offset int64, r io.Reader, size int64) (_ slipway.Deploy, at int64, err error) {
	resumed, err := p.uploadFiles.arriving.begin(u.ID, offset)
	if err != nil {
		return w, 0, err
	}
	defer func() { p.uploadFiles.arriving.end(u.ID, err == nil && at < u.Length) }()
	if at, err = p.uploadFiles.offset(u); err != nil {
		return w, 0, err
	}
	if at != offset || !u.ArrivedAt.IsZero() {
		return w, at, slipway.Errorf(slipway.Conflict, "The upload is at byte %d, not at %d.", at, offset)
	}
	if u.Length >= 0 && size > u.Length-offset {
		return w, at, p.uploadFiles.overflow(u, w, offset)
	}
	if resumed {
		w.Resumes++
	}
	at, err = p.uploadFiles.write(u, w, offset, r)
	// The request may be over by now. The received bytes are recorded all the
	// same.
	ctx = context.WithoutCancel(ctx)
	if err == nil && (at == u.Length || u.Length < 0) {
		w, err = p.arrived(ctx, u, w)
		return w, at, err
	}
	if err == nil {
		_, _, err = p.mayAppend(ctx, u.ID, w.By)
	}
	return w, at, errors.Join(err, p.touch(ctx, u, w, resumed))
}

// touch records the time of received bytes, once a minute at most.
func (p *uploads) touch(ctx context.Context, u store.Upload, w slipway.Deploy, resumed bool) error {
	if !resumed && p.store.Now().Sub(u.TouchedAt) < time.Minute {
		return nil
	}
	return p.store.Update(ctx, func(tx *store.Tx) error {
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

// mayAppend checks by's role again. A refusal ends the deploy.
func (p *uploads) mayAppend(ctx context.Context, id string, by slipway.Actor) (u store.Upload, w slipway.Deploy, err error) {
	var refusal error
	err = p.store.View(ctx, func(tx *store.Tx) error {
		if u, w, err = tx.Upload(id, by); err != nil {
			return err
		}
		refusal = mayUpload(tx, w)
		return nil
	})
	if err == nil && refusal != nil {
		err = errors.Join(refusal, p.endings.Refuse(ctx, w, refusal))
	}
	return u, w, err
}

// mayUpload refuses w if the author of w may no longer make w.
func mayUpload(tx *store.Tx, w slipway.Deploy) error {
	d, role, err := tx.Projected(w.Deployment, w.By)
	if errors.Is(err, slipway.ErrNotFound) {
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

// sameSecret refuses w if the author's token was rotated after w began. The
// holder of the old secret may have left the team.
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

// lostAccess returns an error if the author of w has lost the access for w,
// otherwise nil. Other reasons against going live are checked when w is
// confirmed.
func lostAccess(tx *store.Tx, w slipway.Deploy) error {
	err := mayUpload(tx, w)
	if errors.Is(err, slipway.ErrNotFound) || errors.Is(err, slipway.ErrForbidden) || !slipway.Explained(err) {
		return err
	}
	return nil
}

// Receive receives a whole archive. A broken upload fails the deploy.
func (p *uploads) Receive(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, n NewUpload, r io.Reader) (slipway.Deploy, error) {
	u, w, err := p.BeginUpload(ctx, of, by, n)
	if err != nil {
		return w, err
	}
	w, at, err := p.append(ctx, u, w, 0, r, -1)
	switch kind, text := slipway.Explain(err); {
	case err == nil && u.Length > at:
		err = slipway.Errorf(slipway.Invalid, "The upload ended after %d of %d bytes. Upload the files again.", at, u.Length)
		return w, errors.Join(err, p.endings.Refuse(ctx, w, err))
	case err == nil:
		return w, nil
	case kind == slipway.Internal:
		return w, errors.Join(err, p.endings.fail(context.WithoutCancel(ctx), w, "The upload broke off. Upload the files again."))
	default:
		return w, errors.Join(err, p.endings.fail(context.WithoutCancel(ctx), w, text))
	}
}

// arrivedLife is the time for which Progress reports a complete upload. A
// client that missed the answer to the last bytes then need not send all bytes
// again.
const arrivedLife = time.Hour

// Progress is how far an upload is.
type Progress struct {
	Deploy         slipway.Deploy
	Offset, Length int64 // bytes received, and bytes expected
}

// Progress returns the progress of an upload by its author, for a while also
// after the end.
func (p *uploads) Progress(ctx context.Context, id string, by slipway.Actor) (Progress, error) {
	u, w, offset, err := p.Upload(ctx, id, by)
	if !errors.Is(err, slipway.ErrNotFound) {
		return Progress{w, offset, u.Length}, err
	}
	err = p.store.View(ctx, func(tx *store.Tx) (err error) {
		if w, err = tx.ArrivedUpload(id, by, tx.Now.Add(-arrivedLife)); err != nil {
			return err
		}
		return maySee(tx, w, by)
	})
	return Progress{w, w.Bytes, w.Bytes}, err
}

// arrived makes a complete upload durable, records the arrival and wakes
// staging.
func (p *uploads) arrived(ctx context.Context, u store.Upload, w slipway.Deploy) (slipway.Deploy, error) {
	size, err := p.uploadFiles.offset(u)
	if err == nil {
		err = errors.Join(durable.SyncPath(p.uploadFiles.uploadPath(u.ID)), durable.SyncPath(filepath.Join(p.cfg.Dir, datadir.Uploads)))
	}
	if over := p.uploadFiles.ledger.Takes(u.ID, fmt.Sprintf("#%d", w.Number)); err != nil && over != nil {
		return w, over
	}
	if err != nil {
		return w, unavailable(fmt.Errorf("keep upload: %w", err))
	}
	var saved slipway.Deploy
	err = p.store.Update(ctx, func(tx *store.Tx) error {
		now, err := stillOpen(tx, w)
		if err != nil {
			return err
		}
		if u.ArrivedAt.IsZero() {
			now.Bytes, now.Resumes = now.Bytes+size, w.Resumes
		}
		if !u.Image && !now.HasDAGs() {
			now.UploadedAt, now.WantsDAG = tx.Now, true
		}
		saved, err = tx.SaveDeploy(now)
		return errors.Join(err, tx.UploadArrived(u.ID))
	})
	if errors.Is(err, slipway.ErrNotFound) || errors.Is(err, slipway.ErrForbidden) { // the author may no longer deploy
		return w, errors.Join(err, p.endings.Refuse(ctx, w, err))
	}
	if err != nil {
		return w, err
	}
	w = saved
	p.wakers.wakeStage(w.Deployment)
	p.watchers.changed(w.Deployment, w.ID)
	return w, nil
}

// uploadFor returns the deploy for an upload.
func (p *uploads) uploadFor(tx *store.Tx, d slipway.Deployment, role slipway.Role, by slipway.Actor, n *NewUpload) (w slipway.Deploy, err error) {
	if n.To != 0 {
		return p.addDAGs(tx, d, role, by, n)
	}
	if err := d.MayDeploy(n.Kind, role, by); err != nil {
		return w, err
	}
	if n.Image != n.Kind.HasImage() {
		return w, slipway.Errorf(slipway.Invalid, "Say which image: the archive is none, and the kind of deploy is %s.", n.Kind)
	}
	if *n, err = p.checked(*n, by); err != nil {
		return w, err
	}
	w = slipway.Deploy{
		Deployment: d.ID, Kind: n.Kind, Status: slipway.Initialized, By: by,
		Description: n.Description, Git: n.Git, Merge: n.Merge, Folder: n.Folder, Upload: n.Name, Fix: n.Fix, Base: d.Version,
	}
	if n.Image {
		w.WantsDAG = n.DAGs && n.Kind == slipway.ImageAndDAG && d.DAGDeploys
		if w.Tag, err = freeTag(tx, d.ID); err != nil {
			return w, err
		}
	}
	return tx.AddDeploy(w)
}

// addDAGs returns the deploy of image and DAGs that an upload adds DAGs to.
func (p *uploads) addDAGs(tx *store.Tx, d slipway.Deployment, role slipway.Role, by slipway.Actor, n *NewUpload) (w slipway.Deploy, err error) {
	if w, err = tx.Deploy(d.ID, n.To); err != nil {
		return w, err
	}
	if err := d.MayMake(w, role, by); err != nil {
		return w, err
	}
	switch {
	case w.By.User != by.User || w.By.Token != by.Token:
		return w, slipway.Errorf(slipway.Forbidden, "Deploy #%d is %s's: nobody else adds files to it.", w.Number, w.By.Title())
	case !w.TakesDAGs() || n.Image:
		return w, slipway.Errorf(slipway.Conflict, "Deploy #%d takes no DAGs.", w.Number)
	case !d.DAGDeploys:
		return w, slipway.Errorf(slipway.Conflict, "DAG-only deploys are not enabled for this Deployment, so that the image carries the DAGs.")
	}
	if _, found, err := tx.UploadOf(w.ID); err != nil {
		return w, err
	} else if found {
		return w, slipway.Errorf(slipway.Conflict, "DAGs for deploy #%d are being uploaded already. Go on with that upload, or cancel the deploy and begin anew.", w.Number)
	}
	if *n, err = p.checked(*n, by); err != nil {
		return w, err
	}
	w.Merge, w.Folder, w.Upload = n.Merge, n.Folder, n.Name
	if n.Length != inBlocks { // DAGs in blocks may never arrive
		w.WantsDAG = true
	}
	return tx.SaveDeploy(w)
}
