package api

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"mime/multipart"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
)

// uploadDeploys serves the plain way for CI: one request with an archive.
type uploadDeploys struct {
	*core
	deploys *deploys
	keys    keys
}

// uploadDeploy serves POST …/deploys/upload.
func (p *uploadDeploys) uploadDeploy(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	u, body, err := p.wish(c)
	if err != nil {
		return err
	}
	w, err := p.uploaded(c, &u, body)
	if err != nil {
		return p.deploys.guarded(c, err)
	}
	if w, err = p.outcome(c.Request().Context(), w, caller(c), u.wait); err != nil {
		return err
	}
	if w.Status == slipway.Failed || w.Status == slipway.Cancelled {
		return slipway.Errorf(slipway.Conflict, "Deploy #%d is %s. %s Open %s", w.Number, w.Status, w.Reason, p.deployPage(c, w))
	}
	return ok(c, p.uploadedObject(c, w))
}

// uploadedObject is a deploy with what CI prints of it.
func (p *uploadDeploys) uploadedObject(c echo.Context, w slipway.Deploy) object {
	o, warnings := deployObject(w), []string{}
	if w.Note != "" {
		warnings = append(warnings, w.Note)
	}
	o["warnings"], o["url"] = warnings, p.deployPage(c, w)
	return o
}

// deployPage returns the address of a deploy's page.
func (p *uploadDeploys) deployPage(c echo.Context, w slipway.Deploy) string {
	return fmt.Sprintf("%s/deployments/%s/deploys/%d", p.base(c), w.Deployment, w.Number)
}

// uploaded makes the deploy that u asks for, or finds the one that was made
// under the same key, and finalizes it.
func (p *uploadDeploys) uploaded(c echo.Context, u *uploadWish, body archive) (w slipway.Deploy, err error) {
	key, of, by := c.Request().Header.Get("Idempotency-Key"), deploymentID(c), caller(c)
	if err := slipway.CheckIdempotencyKey(key); err != nil {
		return w, err
	}
	if err := LiftDeadlines(c); err != nil {
		return w, err
	}
	release, err := p.keys.take(owner(by), of, key)
	if err != nil {
		return w, err
	}
	defer release()
	w, known, err := p.keyed(c, of, by, key)
	if err == nil && !known {
		w, err = p.received(c, u, key, body)
	}
	if err != nil {
		return w, err
	}
	f := deploy.Finish{Version: w.Version, Base: u.base}
	if w.UploadedAt.IsZero() { // it brings no DAGs
		f.Version = ""
	}
	w, err = p.engine.Finalize(c.Request().Context(), of, w.ID, by, f)
	if u.base != nil && errors.Is(err, slipway.ErrBaseChanged) {
		return p.outOfDate(c, w, *u.base)
	}
	return w, err
}

// owner is whose an idempotency key is.
func owner(by slipway.Actor) string {
	if by.Token != "" {
		return string(by.Token)
	}
	return string(by.User)
}

// keyed returns the deploy that was made under a key, and whether there is one.
// One that was refused before it was queued is none: the request may be tried
// again.
func (p *uploadDeploys) keyed(c echo.Context, of slipway.DeploymentID, by slipway.Actor, key string) (w slipway.Deploy, known bool, err error) {
	if key == "" {
		return w, false, nil
	}
	err = p.store.View(c.Request().Context(), func(tx *store.Tx) error {
		if _, _, err := tx.Deployment(of, by); err != nil {
			return err
		}
		w, known, err = tx.KeyedDeploy(owner(by), of, key)
		return err
	})
	return w, known && (w.Status != slipway.Failed || !w.QueuedAt.IsZero()), err
}

// received takes in what comes. The key is kept before the deploy can go live:
// whatever breaks in between, no second request makes it go live twice.
func (p *uploadDeploys) received(c echo.Context, u *uploadWish, key string, body archive) (w slipway.Deploy, err error) {
	ctx, by := c.Request().Context(), caller(c)
	d, err := p.deploys.takesDeploy(c, u.kind)
	if err != nil {
		return w, err
	}
	if u.base != nil && d.Version != *u.base {
		return w, errOutOfDate(*u.base, d.Version)
	}
	if w, err = p.taken(ctx, d, by, u, body); err != nil {
		return w, err
	}
	if err := body.ended(); err != nil {
		return w, errors.Join(err, p.engine.Refuse(ctx, w, err))
	}
	if key == "" {
		return w, nil
	}
	return w, p.store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.KeepKey(owner(by), key, w) })
}

// taken makes the deploy of what comes: an image that is in a registry, an
// archive, or both.
func (p *uploadDeploys) taken(ctx context.Context, d slipway.Deployment, by slipway.Actor, u *uploadWish, body archive) (w slipway.Deploy, err error) {
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

// outOfDate ends a deploy whose base is not the wanted version any more, unless
// a person has confirmed it meanwhile.
func (p *uploadDeploys) outOfDate(c echo.Context, w slipway.Deploy, base slipway.Version) (slipway.Deploy, error) {
	d, err := p.deploys.takesDeploy(c, w.Kind)
	if err != nil {
		return w, err
	}
	ctx, refusal := c.Request().Context(), errOutOfDate(base, d.Version)
	if err := p.engine.Refuse(ctx, w, refusal); err != nil {
		return w, errors.Join(refusal, err)
	}
	now, err := p.engine.DeployOf(ctx, w.Deployment, w.ID, caller(c))
	if err == nil && (now.Status.Active() || now.Status == slipway.Deployed) {
		return now, nil
	}
	return w, refusal
}

func errOutOfDate(base, now slipway.Version) error {
	return slipway.Errorf(slipway.Conflict, "The bundle version %s was expected, but %s is wanted by now. Look at what came in between, then deploy again.",
		versionName(base), versionName(now))
}

func versionName(v slipway.Version) string {
	if v == "" {
		return noBase
	}
	return string(v)
}

// outcome returns w once it has ended, or as it is after the time given.
func (p *uploadDeploys) outcome(ctx context.Context, w slipway.Deploy, by slipway.Actor, wait time.Duration) (slipway.Deploy, error) {
	changed, stop := p.engine.WatchDeploy(w.Deployment, w.ID)
	defer stop()
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		now, err := p.engine.DeployOf(ctx, w.Deployment, w.ID, by)
		if err != nil || now.Status.Ended() {
			return now, err
		}
		select {
		case <-ctx.Done():
			return now, ctx.Err()
		case <-over.C:
			return now, nil
		case <-changed:
		}
	}
}

// keys are the idempotency keys of requests that are under way.
type keys struct {
	mu  sync.Mutex
	all map[string]bool
}

// take refuses a second request with a key while the first is under way.
func (k *keys) take(owner string, of slipway.DeploymentID, key string) (release func(), err error) {
	if key == "" {
		return func() {}, nil
	}
	name := owner + " " + string(of) + " " + key
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all[name] {
		return nil, slipway.Errorf(slipway.Conflict, "A request with this Idempotency-Key is under way. Send it again when that one has ended.")
	}
	if k.all == nil {
		k.all = map[string]bool{}
	}
	k.all[name] = true
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.all, name)
	}, nil
}

// wish reads what a request says before its archive, and returns the archive
// without reading it.
func (p *uploadDeploys) wish(c echo.Context) (u uploadWish, body archive, err error) {
	u = uploadWish{NewUpload: deploy.NewUpload{Length: c.Request().ContentLength, Name: "archive", Merge: slipway.ReplaceAll}, kind: slipway.DAGOnly}
	for name, values := range c.QueryParams() {
		if err := u.set(name, values[0]); err != nil {
			return u, body, err
		}
	}
	body = archive{Reader: c.Request().Body}
	kind, params, _ := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
	switch {
	case kind == echo.MIMEMultipartForm:
		u.Length = -1 // of the archive in the form it is not known
		body, err = u.form(multipart.NewReader(c.Request().Body, params["boundary"]))
	case u.kind.HasImage():
		body = archive{Reader: orNone(c.Request().Body)}
	}
	if err == nil {
		err = u.check(body)
	}
	return u, body, err
}
