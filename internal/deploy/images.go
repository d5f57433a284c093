package deploy

import (
	"context"
	"strings"
	"time"

	"slipway/internal/image"
	"slipway/internal/slipway"
	"slipway/store"
)

// NewImage is what is known of a deploy of an image that is in a registry, or
// will be pushed into the portal's.
type NewImage struct {
	Kind        slipway.DeployKind // IMAGE_ONLY or IMAGE_AND_DAG
	Ref         string             // as a person wrote it; "" for one that is pushed by the deploy's Tag, and finalized
	DAGs        bool               // an archive of DAGs follows, with NewUpload.To
	Description string
	Git         slipway.Git
}

// Repository returns where images of d are pushed to, as the portal's own
// registry names it.
func Repository(d slipway.Deployment) string { return d.Namespace + "/airflow" }

// PushTarget returns the same for whoever pushes: "localhost:8888/bright-nova-0001/airflow".
func (e *Engine) PushTarget(d slipway.Deployment) string { return e.outside(Repository(d)) }

// outside returns a repository's name as others reach it.
func (e *Engine) outside(name string) string {
	if hostOf(name) == "" && e.cfg.RegistryHost != "" {
		return e.cfg.RegistryHost + "/" + name
	}
	return name
}

// Images returns the portal's registry.
func (e *Engine) Images() *image.Store { return e.cfg.Images }

// PushedTags returns the tags that were pushed for a Deployment, newest first.
func (e *Engine) PushedTags(ctx context.Context, d slipway.Deployment) ([]image.Tag, error) {
	return e.cfg.Images.Tags(ctx, d.Namespace)
}

// CreateImage makes a deploy of an image. A named one is looked at in the
// background; one without a name waits until its Tag was pushed and Finalize is
// called.
func (e *Engine) CreateImage(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, n NewImage) (w slipway.Deploy, err error) {
	if n.Description, err = slipway.CheckDescription(n.Description); err != nil {
		return w, err
	}
	err = e.store.Update(ctx, func(tx *store.Tx) error {
		d, role, err := tx.Tail(of, by)
		if err != nil {
			return err
		}
		if err := d.MayDeploy(n.Kind, role, by); err != nil {
			return err
		}
		if !n.Kind.HasImage() {
			return slipway.Errorf(slipway.Invalid, "A deploy of the kind %s brings no image.", n.Kind)
		}
		w = slipway.Deploy{
			Deployment: of, Kind: n.Kind, Status: slipway.Initialized, By: by, Merge: slipway.ReplaceAll,
			Description: n.Description, Git: n.Git.Clean(), Base: d.Version,
			WantsDAG: n.DAGs && n.Kind == slipway.ImageAndDAG && d.DAGDeploys,
		}
		if n.Ref != "" {
			w.Source, err = e.source(d, n.Ref)
		} else {
			w.Tag, err = freeTag(tx, of)
		}
		if err != nil {
			return err
		}
		if w, err = tx.AddDeploy(w); err != nil {
			return err
		}
		return audit(tx, by, d, "deploy.image", w)
	})
	if err != nil {
		return slipway.Deploy{}, err
	}
	e.wakers.wakeStage(of)
	e.watchers.notify(of)
	return w, nil
}

// source returns a reference as it is kept. Those of the portal's own registry
// are of d's repositories; a tag alone is of the one that is pushed to.
func (e *Engine) source(d slipway.Deployment, text string) (string, error) {
	text = strings.TrimSpace(text)
	for ours := e.cfg.RegistryHost != ""; ours; {
		text, ours = strings.CutPrefix(text, e.cfg.RegistryHost+"/")
	}
	if !strings.ContainsAny(text, "/:@") && text != "" {
		text = Repository(d) + ":" + text
	}
	ref, err := image.ParseRef(text)
	if err != nil {
		return "", err
	}
	if ref.Own() && image.Namespace(ref.Name) != d.Namespace {
		return "", notIn(d, text)
	}
	return ref.String(), nil
}

// notIn refuses an image of the portal's registry that is not d's.
func notIn(d slipway.Deployment, text string) error {
	return slipway.Errorf(slipway.NotFound, "There is no image %s in this Deployment's part of the registry, %s. For one of another registry, begin with its host: quay.io/….", text, d.Namespace)
}

// tagLayout is RFC 3339 in UTC as a tag can hold it.
const tagLayout = "deploy-2006-01-02T15-04-05"

// freeTag returns a tag for an image that no other deploy of a Deployment has.
func freeTag(tx *store.Tx, of slipway.DeploymentID) (string, error) {
	for at := tx.Now.UTC(); ; at = at.Add(time.Second) {
		tag := at.Format(tagLayout)
		if _, taken, err := tx.TagDeploy(of, tag); err != nil || !taken {
			return tag, err
		}
	}
}

// MayPush judges whether a tag that Slipway made may be written from outside:
// only for the deploy that it was made for, and until that is finalized.
func (e *Engine) MayPush(ctx context.Context, repository, tag string) error {
	return e.store.View(ctx, func(tx *store.Tx) error {
		d, err := tx.DeploymentIn(image.Namespace(repository))
		if err != nil {
			return err
		}
		w, found, err := tx.TagDeploy(d.ID, tag)
		if err != nil {
			return err
		}
		if !found || repository != Repository(d) {
			return slipway.Errorf(slipway.Forbidden, "Tags that begin with deploy- are made by Slipway. Push another tag.")
		}
		uploads, err := tx.UploadsFor(w.ID)
		if err != nil {
			return err
		}
		byPush := w.Switch == nil && w.Source == "" && w.Image == nil && w.Status == slipway.Initialized
		for _, u := range uploads {
			byPush = byPush && !u.Image
		}
		if !byPush {
			return slipway.Errorf(slipway.Conflict, "The image of deploy #%d is settled, and its tag %s stays. Push another tag.", w.Number, tag)
		}
		return nil
	})
}

// Pushed tells those who watch a Deployment that an image was pushed for it.
func (e *Engine) Pushed(p image.Push) {
	var d slipway.Deployment
	err := e.store.View(context.Background(), func(tx *store.Tx) (err error) {
		d, err = tx.DeploymentIn(image.Namespace(p.Repository))
		return err
	})
	if err == nil { // else nobody watches it
		e.watchers.notify(d.ID)
	}
}
