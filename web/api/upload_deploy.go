package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"slipway"
	"slipway/deploy"
	"slipway/store"
)

// The plain path for CI: one request that brings an archive and deploys it.

// maxWait is the longest that a request may wait for the outcome.
const maxWait = 10 * time.Minute

// maxField is how many bytes a field of a form may have.
const maxField = 64 << 10

// uploadWish is what a request to deploy an archive says beside the archive.
type uploadWish struct {
	deploy.NewUpload
	base *slipway.Version // that has to be the wanted one; nil for whichever it is
	wait time.Duration
}

// set takes a field of the query or the form.
func (u *uploadWish) set(name, value string) (err error) {
	switch name {
	case "description":
		u.Description = shortened(value)
	case "merge":
		u.Merge = slipway.Merge(value)
	case "folder":
		u.Folder = strings.Trim(strings.TrimSpace(value), "/")
	case "name":
		u.Name = shortened(value)
	case "base":
		u.base, err = baseNamed(value)
	case "wait":
		u.wait, err = waitNamed(value)
	case "commit":
		u.Git.Commit = shortened(value)
	case "branch":
		u.Git.Branch = shortened(value)
	case "repository":
		u.Git.Repository = shortened(value)
	case "url":
		u.Git.URL = shortened(value)
	case "author":
		u.Git.Author = shortened(value)
	default:
		return slipway.Errorf(slipway.Invalid, "There is no field %q here. The fields are archive, description, merge, folder, name, base, wait, commit, branch, repository, url and author.", name)
	}
	return err
}

// noBase is how a client says that it expects no bundle version at all.
const noBase = "none"

func baseNamed(value string) (*slipway.Version, error) {
	v := slipway.Version(value)
	if value == noBase {
		v = ""
	} else if _, isVersion := v.Time(); !isVersion {
		return nil, slipway.Errorf(slipway.Invalid, "base is a bundle version, like 2026-11-22T14:03:51.2040000Z, or none; not %q.", value)
	}
	return &v, nil
}

func waitNamed(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 || d > maxWait {
		return 0, slipway.Errorf(slipway.Invalid, "wait is a time up to %s, like 30s, not %q.", maxWait, value)
	}
	return d, nil
}

// uploadDeploy serves POST …/deploys/upload.
func (s *Server) uploadDeploy(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	u, body, err := s.wish(c)
	if err != nil {
		return err
	}
	w, err := s.uploaded(c, &u, body)
	if err != nil {
		return s.guarded(c, err)
	}
	if w, err = s.outcome(c.Request().Context(), w, caller(c), u.wait); err != nil {
		return err
	}
	if w.Status == slipway.Failed || w.Status == slipway.Cancelled {
		return slipway.Errorf(slipway.Conflict, "Deploy #%d is %s. %s Open %s", w.Number, w.Status, w.Reason, s.deployPage(c, w))
	}
	return ok(c, s.uploadedObject(c, w))
}

// uploadedObject is a deploy with what CI prints of it.
func (s *Server) uploadedObject(c echo.Context, w slipway.Deploy) object {
	o, warnings := deployObject(w), []string{}
	if w.Note != "" {
		warnings = append(warnings, w.Note)
	}
	o["warnings"], o["url"] = warnings, s.deployPage(c, w)
	return o
}

// deployPage returns the address of a deploy's page.
func (s *Server) deployPage(c echo.Context, w slipway.Deploy) string {
	return fmt.Sprintf("%s/deployments/%s/deploys/%d", s.base(c), w.Deployment, w.Number)
}

// wish reads what a request says before its archive, and returns the archive
// without reading it.
func (s *Server) wish(c echo.Context) (u uploadWish, body archive, err error) {
	u = uploadWish{NewUpload: deploy.NewUpload{Length: c.Request().ContentLength, Name: "archive", Merge: slipway.ReplaceAll}}
	for name, values := range c.QueryParams() {
		if err := u.set(name, values[0]); err != nil {
			return u, body, err
		}
	}
	body = archive{Reader: c.Request().Body}
	kind, params, _ := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
	if kind != echo.MIMEMultipartForm {
		return u, body, nil
	}
	u.Length = -1 // of the archive in the form it is not known
	body, err = u.form(multipart.NewReader(c.Request().Body, params["boundary"]))
	return u, body, err
}

// archive is the archive of a request as it comes.
type archive struct {
	io.Reader
	form *multipart.Reader // that it is in; nil for none
}

// ended reports what comes behind the archive, which must be nothing: it would
// be too late to heed it.
func (a archive) ended() error {
	if a.form == nil {
		return nil
	}
	p, err := a.form.NextPart()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return brokenForm(err)
	}
	return slipway.Errorf(slipway.Invalid, "The field %q comes after the archive. Send the archive last.", p.FormName())
}

func brokenForm(err error) error {
	return errors.Join(slipway.Errorf(slipway.Invalid, "The form cannot be read, or broke off. Send it again."), err)
}

// form reads the fields before the archive, and returns the archive.
func (u *uploadWish) form(r *multipart.Reader) (archive, error) {
	for {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return archive{}, slipway.Errorf(slipway.Invalid, "The form has no field archive with a file in it.")
		}
		if err != nil {
			return archive{}, brokenForm(err)
		}
		if p.FormName() == "archive" {
			if name := p.FileName(); name != "" {
				u.Name = shortened(name)
			}
			return archive{p, r}, nil
		}
		text, err := io.ReadAll(io.LimitReader(p, maxField+1))
		if err != nil {
			return archive{}, brokenForm(err)
		}
		if len(text) > maxField {
			return archive{}, slipway.Errorf(slipway.TooLarge, "The field %q is too long: it may have at most %d KiB.", p.FormName(), maxField>>10)
		}
		if err := u.set(p.FormName(), string(text)); err != nil {
			return archive{}, err
		}
	}
}

// uploaded makes the deploy that u asks for, or finds the one that was made
// under the same key, and finalizes it.
func (s *Server) uploaded(c echo.Context, u *uploadWish, body archive) (w slipway.Deploy, err error) {
	key, of, by := c.Request().Header.Get("Idempotency-Key"), deploymentID(c), caller(c)
	if err := slipway.CheckIdempotencyKey(key); err != nil {
		return w, err
	}
	if err := unhurried(c); err != nil {
		return w, err
	}
	release, err := s.keys.take(owner(by), of, key)
	if err != nil {
		return w, err
	}
	defer release()
	w, known, err := s.keyed(c, of, by, key)
	if err == nil && !known {
		w, err = s.received(c, u, key, body)
	}
	if err != nil {
		return w, err
	}
	w, err = s.engine.Finalize(c.Request().Context(), of, w.ID, by, deploy.Finish{Version: w.Version, Base: u.base})
	if errors.Is(err, slipway.ErrBaseChanged) {
		return w, s.outOfDate(c, w, *u.base)
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
func (s *Server) keyed(c echo.Context, of slipway.DeploymentID, by slipway.Actor, key string) (w slipway.Deploy, known bool, err error) {
	if key == "" {
		return w, false, nil
	}
	err = s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		if _, _, err := tx.Deployment(of, by); err != nil {
			return err
		}
		w, known, err = tx.KeyedDeploy(owner(by), of, key)
		return err
	})
	return w, known, err
}

// received takes the archive in. The key is kept before the deploy can go live:
// whatever breaks in between, no second request makes it go live twice.
func (s *Server) received(c echo.Context, u *uploadWish, key string, body archive) (w slipway.Deploy, err error) {
	ctx, by := c.Request().Context(), caller(c)
	d, err := s.takesDeploy(c, slipway.DAGOnly)
	if err != nil {
		return w, err
	}
	if u.base != nil && d.Version != *u.base {
		return w, errOutOfDate(*u.base, d.Version)
	}
	if w, err = s.engine.Receive(ctx, d.ID, by, u.NewUpload, body); err != nil {
		return w, err
	}
	if err := body.ended(); err != nil {
		_, cancelled := s.engine.Cancel(context.WithoutCancel(ctx), d.ID, w.Number, by)
		return w, errors.Join(err, cancelled)
	}
	if key == "" {
		return w, nil
	}
	return w, s.store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.KeepKey(owner(by), key, w) })
}

// outOfDate gives up a deploy whose base is not the wanted version any more.
func (s *Server) outOfDate(c echo.Context, w slipway.Deploy, base slipway.Version) error {
	d, err := s.takesDeploy(c, slipway.DAGOnly)
	if err != nil {
		return err
	}
	_, err = s.engine.Cancel(c.Request().Context(), w.Deployment, w.Number, caller(c))
	return errors.Join(errOutOfDate(base, d.Version), err)
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
func (s *Server) outcome(ctx context.Context, w slipway.Deploy, by slipway.Actor, wait time.Duration) (slipway.Deploy, error) {
	changed, stop := s.engine.Watch(w.Deployment)
	defer stop()
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		now, err := s.engine.DeployOf(ctx, w.Deployment, w.ID, by)
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
