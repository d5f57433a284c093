package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"slipway/internal/image"
	"slipway/internal/slipway"
	"slipway/store"
)

// broughtLife is for how long an image is known that was brought and never
// wanted, in lives of a deploy that nobody finishes.
const broughtLife = 2 * slipway.UnfinishedLife

// images takes image deploys in, and keeps the images that deploys need.
type images struct {
	*base
}

// retainImages forgets the images that no deploy needs any more, and has the
// registry remove what is left of them.
func (i *images) retainImages(ctx context.Context, all []slipway.Deployment) error {
	kept := false
	err := i.store.Update(ctx, func(tx *store.Tx) (err error) {
		if kept, err = deletionPausedIn(tx); err != nil || kept {
			return err
		}
		for _, d := range all {
			err = errors.Join(err, tx.ForgetImages(d, tx.Now.Add(-d.KeepFor()), tx.Now.Add(-broughtLife)))
		}
		return err
	})
	if err != nil || kept {
		return err
	}
	if err := i.cfg.Images.Sweep(ctx, func() (image.Needed, error) { return i.neededImages(ctx) }, i.store.Now()); err != nil {
		return fmt.Errorf("sweep registry: %w", err)
	}
	return nil
}

// neededImages returns what the registry keeps: the images that deploys need,
// and all of the namespaces that no record names. Those are set aside, also
// where a push wrote to one while its Deployment was deleted.
func (i *images) neededImages(ctx context.Context) (n image.Needed, err error) {
	there, err := i.cfg.Images.Namespaces()
	if err != nil {
		return n, err
	}
	err = i.store.View(ctx, func(tx *store.Tx) error {
		if n.Digests, err = tx.ImageRepositories(); err != nil {
			return err
		}
		named, err := recordedNamespaces(tx)
		n.Whole = map[string]bool{}
		for _, ns := range there {
			n.Whole[ns] = !named[ns]
		}
		return err
	})
	return n, err
}

// imageKept refuses a return to an image that is no longer in the portal's
// registry. Those of others are theirs to keep.
func imageKept(tx *store.Tx, next slipway.Deploy) error {
	if !next.Kind.HasImage() || next.After.ImageName == "" || hostOf(next.After.ImageName) != "" {
		return nil
	}
	_, kept, err := tx.Image(next.Deployment, next.After.Image)
	if err == nil && !kept {
		err = slipway.Errorf(slipway.Conflict, "The image of deploy #%d is no longer kept.", next.ReturnTo)
	}
	return err
}

func (i *images) imageKept(ctx context.Context, next slipway.Deploy) error {
	return i.store.View(ctx, func(tx *store.Tx) error { return imageKept(tx, next) })
}

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
func (i *images) PushTarget(d slipway.Deployment) string { return i.outside(Repository(d)) }

// outside returns a repository's name as others reach it.
func (i *images) outside(name string) string {
	if hostOf(name) == "" && i.cfg.RegistryHost != "" {
		return i.cfg.RegistryHost + "/" + name
	}
	return name
}

// Images returns the portal's registry.
func (i *images) Images() *image.Store { return i.cfg.Images }

// PushedTags returns the tags that were pushed for a Deployment, newest first.
func (i *images) PushedTags(ctx context.Context, d slipway.Deployment) ([]image.Tag, error) {
	return i.cfg.Images.Tags(ctx, d.Namespace)
}

// CreateImage makes a deploy of an image. A named one is looked at in the
// background; one without a name waits until its Tag was pushed and Finalize is
// called.
func (i *images) CreateImage(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, n NewImage) (w slipway.Deploy, err error) {
	if n.Description, err = slipway.CheckDescription(n.Description); err != nil {
		return w, err
	}
	err = i.store.Update(ctx, func(tx *store.Tx) error {
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
			w.Source, err = i.source(d, n.Ref)
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
	i.wakers.wakeStage(of)
	i.watchers.notify(of)
	return w, nil
}

// source returns a reference as it is kept. Those of the portal's own registry
// are of d's repositories; a tag alone is of the one that is pushed to.
func (i *images) source(d slipway.Deployment, text string) (string, error) {
	text = strings.TrimSpace(text)
	for ours := i.cfg.RegistryHost != ""; ours; {
		text, ours = strings.CutPrefix(text, i.cfg.RegistryHost+"/")
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
func (i *images) MayPush(ctx context.Context, repository, tag string) error {
	return i.store.View(ctx, func(tx *store.Tx) error {
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
func (i *images) Pushed(p image.Push) {
	var d slipway.Deployment
	err := i.store.View(context.Background(), func(tx *store.Tx) (err error) {
		d, err = tx.DeploymentIn(image.Namespace(p.Repository))
		return err
	})
	if err == nil { // else nobody watches it
		i.watchers.notify(d.ID)
	}
}
