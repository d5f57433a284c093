package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
)

// uploadDeploys serves deploys in one request, for CI and curl.
type uploadDeploys struct {
	*core
	deploys *deploys
	keys    keyLocks
}

// uploadDeploy serves POST …/deploys/upload: uploads, finalizes, and waits for
// the end if the request has a wait. The answer to a failed or cancelled deploy
// is Conflict.
func (p *uploadDeploys) uploadDeploy(c echo.Context) error {
	u, body, err := readUploadRequest(c)
	if err != nil {
		return err
	}
	w, err := p.deployOnce(c, &u, body)
	if err != nil {
		return p.deploys.addReviewURL(c, err)
	}
	if w, err = p.waitForEnd(c.Request().Context(), w, Caller(c), u.wait); err != nil {
		return err
	}
	if w.Status == slipway.Failed || w.Status == slipway.Cancelled {
		return slipway.Errorf(slipway.Conflict, "%s Open %s", endOf(w), p.deployPage(c, w))
	}
	o, err := p.uploadedObject(c, w)
	if err != nil {
		return err
	}
	return ok(c, o)
}

// endOf says how a deploy ended, with the reason if there is one.
func endOf(w slipway.Deploy) string {
	return strings.TrimSpace(fmt.Sprintf("Deploy #%d is %s. %s", w.Number, w.Status, w.Reason))
}

// uploadedObject returns a deploy in JSON, with warnings and an address for the
// log of CI. isWanted is false after a later deploy brought other code.
func (p *uploadDeploys) uploadedObject(c echo.Context, w slipway.Deploy) (object, error) {
	o, warnings := deployObject(w), []string{}
	if w.Note != "" {
		warnings = append(warnings, w.Note)
	}
	var wanted bool
	err := p.store.View(c.Request().Context(), func(tx *store.Tx) error {
		d, _, err := tx.Deployment(w.Deployment, Caller(c))
		if err != nil {
			return err
		}
		queue, err := tx.Queue(w.Deployment)
		if err != nil {
			return err
		}
		last, _, err := tx.LastQueued(w.Deployment, queue)
		if wanted = d.Projected(queue).Wants(w); !wanted && last.Number > 0 && last.ID != w.ID {
			warnings = append(warnings, fmt.Sprintf("Deploy #%d is no longer wanted: #%d came after it. Send another Idempotency-Key to deploy the same again.", w.Number, last.Number))
		}
		return err
	})
	o["warnings"], o["url"], o["isWanted"] = warnings, p.deployPage(c, w), wanted
	return o, err
}

// deployOnce makes the deploy of a request, or finds the earlier deploy with the
// same idempotency key, and finalizes the deploy.
func (p *uploadDeploys) deployOnce(c echo.Context, u *uploadRequest, body archive) (w slipway.Deploy, err error) {
	key, of, by := c.Request().Header.Get("Idempotency-Key"), deploymentID(c), Caller(c)
	if err := slipway.CheckIdempotencyKey(key); err != nil {
		return w, err
	}
	unlock, err := p.keys.lock(keyOwner(by), of, key)
	if err != nil {
		return w, err
	}
	defer unlock()
	if w, err = p.receiveOnce(c, u, key, body); err != nil {
		return w, err
	}
	f := deploy.Finish{Version: w.Version, Base: u.base}
	if !w.HasDAGs() {
		f.Version = ""
	}
	w, err = p.engine.Finalize(c.Request().Context(), of, w.ID, by, f)
	if u.base != nil && errors.Is(err, slipway.ErrBaseChanged) {
		return p.refuseOutdated(c, w, *u.base)
	}
	return w, err
}

// keyOwner returns the owner of an idempotency key: a token or a person.
func keyOwner(by slipway.Actor) string {
	if by.Token != "" {
		return string(by.Token)
	}
	return string(by.User)
}

// receiveOnce returns the deploy of an earlier request with the same key and
// content, or makes the deploy.
func (p *uploadDeploys) receiveOnce(c echo.Context, u *uploadRequest, key string, body archive) (slipway.Deploy, error) {
	if key == "" {
		return p.receive(c, u, body)
	}
	if _, err := p.deploys.checkDeploy(c, u.kind); errors.Is(err, slipway.ErrForbidden) {
		return slipway.Deploy{}, err // other refusals are about a new deploy
	}
	ctx, by := c.Request().Context(), Caller(c)
	var err error
	if u.at, u.effect, err = p.engine.Placed(by, u.Folder, u.Merge); err != nil {
		return slipway.Deploy{}, err
	}
	request, w, known, err := p.deployByKey(ctx, deploymentID(c), by, key)
	if err != nil {
		return w, err
	}
	if known {
		return w, p.checkRepeated(ctx, u, request, w, body)
	}
	sum := sha256.New()
	if body.Reader != nil {
		body.Reader = io.TeeReader(body.Reader, sum)
	}
	if w, err = p.receive(c, u, body); err != nil {
		return w, err
	}
	// The key is stored before the deploy is finalized: after a crash in between,
	// a repeated request finds the deploy, and nothing goes live twice.
	return w, p.store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		return tx.KeepRequest(store.KeyedRequest{
			Owner: keyOwner(by), Key: key, Of: w.Deployment, Deploy: w.ID, Content: u.content(body.sum(sum)),
		})
	})
}

// deployByKey returns the request with an idempotency key, and the deploy; known
// is false for none. A failed deploy does not count: the request may be tried
// again with the same key.
func (p *uploadDeploys) deployByKey(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, key string) (r store.KeyedRequest, w slipway.Deploy, known bool, err error) {
	err = p.store.View(ctx, func(tx *store.Tx) error {
		if _, _, err := tx.Deployment(of, by); err != nil {
			return err
		}
		r, known, err = tx.KeyedRequest(keyOwner(by), of, key)
		return err
	})
	if err != nil || !known {
		return r, w, false, err
	}
	w, err = p.engine.SettledDeploy(ctx, of, r.Deploy, by)
	return r, w, w.Status != slipway.Failed, err
}

// checkRepeated reads the body of a request under a known key, and refuses other
// content than that of the earlier request.
func (p *uploadDeploys) checkRepeated(ctx context.Context, u *uploadRequest, r store.KeyedRequest, w slipway.Deploy, body archive) error {
	archive, same, err := p.readRepeated(ctx, r, w, body)
	if err != nil {
		return err
	}
	if err := body.checkLast(); err != nil {
		return err
	}
	if same {
		archive = r.Content[archiveField]
	}
	if other := u.differing(r.Content, archive); other != "" {
		return slipway.Errorf(slipway.Unprocessable,
			"The Idempotency-Key %s belongs to deploy #%d, which was made with another value of: %s. Nothing was deployed. Send another key to deploy this.", r.Key, w.Number, other)
	}
	if w.Status == slipway.Cancelled {
		return slipway.Errorf(slipway.Conflict, "Deploy #%d is cancelled. %s Send another Idempotency-Key to deploy the same again.", w.Number, w.Reason)
	}
	return nil
}

// readRepeated reads the archive of a request under a known key to the end, and
// returns the archive's SHA-256. same reports whether the files are those of w.
func (p *uploadDeploys) readRepeated(ctx context.Context, r store.KeyedRequest, w slipway.Deploy, body archive) (sha string, same bool, err error) {
	if body.Reader == nil {
		return "", false, nil
	}
	f, err := p.engine.TempFile(ctx, w.By)
	if err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum, limit := sha256.New(), p.engine.MaxArchive()
	n, err := f.Append(io.TeeReader(io.LimitReader(body.Reader, limit+1), sum))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "", false, errors.Join(slipway.Errorf(slipway.Invalid, "The upload broke off. Send it again."), err)
	case err != nil:
		return "", false, err
	case n > limit:
		return "", false, slipway.Errorf(slipway.TooLarge, "The archive is too large: an upload may have at most %d MiB.", limit>>20)
	}
	if sha = body.sum(sum); sha == r.Content[archiveField] {
		return sha, true, nil
	}
	same, err = p.engine.SameFiles(ctx, w, f.File)
	return sha, same, err
}

// receive makes the deploy of a request from the body.
func (p *uploadDeploys) receive(c echo.Context, u *uploadRequest, body archive) (w slipway.Deploy, err error) {
	ctx, by := c.Request().Context(), Caller(c)
	d, err := p.deploys.checkDeploy(c, u.kind)
	if err != nil {
		return w, err
	}
	if u.base != nil && d.Version != *u.base {
		return w, outdatedError(*u.base, d.Version)
	}
	if w, err = p.create(ctx, d, by, u, body); err != nil {
		return w, err
	}
	if err := body.checkLast(); err != nil {
		return w, errors.Join(err, p.engine.Refuse(ctx, w, err))
	}
	return w, nil
}

// create makes the deploy of a request: of an image by reference, of the archive
// in body, or of both.
func (p *uploadDeploys) create(ctx context.Context, d slipway.Deployment, by slipway.Actor, u *uploadRequest, body archive) (w slipway.Deploy, err error) {
	if u.kind.HasImage() {
		if body.Reader != nil && !d.DAGDeploys {
			return w, slipway.Errorf(slipway.Conflict, "DAG-only deploys are not enabled for this Deployment: the image carries the DAGs. Leave the archive out.")
		}
		w, err = p.engine.CreateImage(ctx, d.ID, by, deploy.NewImage{Kind: u.kind, Ref: u.image, DAGs: body.Reader != nil, Description: u.Description, Git: u.Git})
		if err != nil || body.Reader == nil {
			return w, err
		}
		u.To = w.Number
	}
	return p.engine.Receive(ctx, d.ID, by, u.NewUpload, body)
}

// refuseOutdated ends a deploy with an outdated base as failed, and returns the
// refusal. A deploy confirmed by a person in the meantime is returned without an
// error.
func (p *uploadDeploys) refuseOutdated(c echo.Context, w slipway.Deploy, base slipway.Version) (slipway.Deploy, error) {
	d, err := p.deploys.checkDeploy(c, w.Kind)
	if err != nil {
		return w, err
	}
	ctx, refusal := c.Request().Context(), outdatedError(base, d.Version)
	if err := p.engine.Refuse(ctx, w, refusal); err != nil {
		return w, errors.Join(refusal, err)
	}
	now, err := p.engine.DeployOf(ctx, w.Deployment, w.ID, Caller(c))
	if err == nil && (now.Status.Active() || now.Status == slipway.Deployed) {
		return now, nil
	}
	return w, refusal
}

// outdatedError is the refusal for a base other than the projected version.
func outdatedError(base, now slipway.Version) error {
	return slipway.Errorf(slipway.Conflict, "The bundle version %s was expected, but %s is wanted by now. Look at what came in between, then deploy again.",
		versionName(base), versionName(now))
}

// versionName returns v in the words of the field base.
func versionName(v slipway.Version) string {
	if v == "" {
		return noBase
	}
	return string(v)
}

// waitForEnd returns w after the end of the deploy, or the present state of w
// once wait is timeout.
func (p *uploadDeploys) waitForEnd(ctx context.Context, w slipway.Deploy, by slipway.Actor, wait time.Duration) (slipway.Deploy, error) {
	changed, stop := p.engine.WatchDeploy(w.Deployment, w.ID)
	defer stop()
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		now, err := p.engine.DeployOf(ctx, w.Deployment, w.ID, by)
		if err != nil || now.Status.Ended() {
			return now, err
		}
		select {
		case <-ctx.Done():
			return now, ctx.Err()
		case <-timeout.C:
			return now, nil
		case <-changed:
		}
	}
}

// keyLocks has a lock for each idempotency key of a request in progress.
type keyLocks struct {
	mu     sync.Mutex
	locked map[string]bool
}

// lock returns Conflict while another request with the same key is in progress.
// Otherwise the caller calls unlock at the end. Without a key, lock does nothing.
func (k *keyLocks) lock(owner string, of slipway.DeploymentID, key string) (unlock func(), err error) {
	if key == "" {
		return func() {}, nil
	}
	name := owner + " " + string(of) + " " + key
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.locked[name] {
		return nil, slipway.Errorf(slipway.Conflict, "A request with this Idempotency-Key is under way. Send it again when that one has ended.")
	}
	if k.locked == nil {
		k.locked = map[string]bool{}
	}
	k.locked[name] = true
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.locked, name)
	}, nil
}

// readUploadRequest reads the fields in the query and in the form before the archive.
// The archive itself is returned unread.
func readUploadRequest(c echo.Context) (u uploadRequest, body archive, err error) {
	u = uploadRequest{NewUpload: deploy.NewUpload{Length: c.Request().ContentLength, Name: "archive"}, kind: slipway.DAGOnly}
	for name, values := range c.QueryParams() {
		for _, value := range values {
			if err := u.setField(name, value); err != nil {
				return u, body, err
			}
		}
	}
	body = archive{Reader: c.Request().Body}
	kind, params, _ := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
	switch {
	case kind == echo.MIMEMultipartForm:
		u.Length = -1 // a form has no length for the archive alone
		body, err = u.readForm(multipart.NewReader(c.Request().Body, params["boundary"]))
	case u.kind.HasImage():
		body = archive{Reader: nilIfEmpty(c.Request().Body)}
	}
	if err == nil {
		err = u.check(body)
	}
	return u, body, err
}
