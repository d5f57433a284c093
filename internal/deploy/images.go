package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"slipway/internal/image"
	"slipway/internal/slipway"
	"slipway/store"
)

// unusedImageLife is the time for which an image without a confirmed deploy stays
// known: twice the life of an unfinished deploy.
const unusedImageLife = 2 * slipway.UnfinishedLife

// images takes image deploys in, and retains the images of deploys.
type images struct {
	*base
}

// retainImages forgets the images without a deploy, and lets the registry
// remove the unused blobs.
func (i *images) retainImages(ctx context.Context, all []slipway.Deployment) error {
	paused := false
	err := i.store.Update(ctx, func(tx *store.Tx) (err error) {
		if paused, err = deletionPausedIn(tx); err != nil || paused {
			return err
		}
		for _, d := range all {
			err = errors.Join(err, tx.ForgetImages(d, tx.Now.Add(-d.KeepFor()), tx.Now.Add(-unusedImageLife)))
		}
		return err
	})
	if err != nil || paused {
		return err
	}
	if err := i.cfg.Images.Sweep(ctx, func() (image.Needed, error) { return i.neededImages(ctx) }, i.store.Now()); err != nil {
		return fmt.Errorf("sweep registry: %w", err)
	}
	return nil
}

// neededImages returns the contents to retain in the registry: the images of
// deploys, and all of each orphaned namespace. A namespace may be orphaned by a
// push during the deletion of its Deployment.
func (i *images) neededImages(ctx context.Context) (n image.Needed, err error) {
	existing, err := i.cfg.Images.Namespaces()
	if err != nil {
		return n, err
	}
	err = i.store.View(ctx, func(tx *store.Tx) error {
		if n.Digests, err = tx.ImageRepositories(); err != nil {
			return err
		}
		named, err := recordedNamespaces(tx)
		if err != nil {
			return err
		}
		n.Whole = map[string]bool{}
		for _, ns := range existing {
			n.Whole[ns] = !named[ns]
		}
		return nil
	})
	return n, err
}

// imageRetained refuses a return to an image that is no longer in the portal's
// registry. Images of other registries are not checked.
func imageRetained(tx *store.Tx, next slipway.Deploy) error {
	if !next.Kind.HasImage() || next.After.ImageName == "" || slipway.RegistryHost(next.After.ImageName) != "" {
		return nil
	}
	_, retained, err := tx.Image(next.Deployment, next.After.Image)
	if err == nil && !retained {
		err = slipway.Errorf(slipway.Conflict, "The image of deploy #%d is no longer kept.", next.ReturnTo)
	}
	return err
}

func (i *images) imageRetained(ctx context.Context, next slipway.Deploy) error {
	return i.store.View(ctx, func(tx *store.Tx) error { return imageRetained(tx, next) })
}

// NewImage describes a deploy of an image from any registry, or of an image to
// be pushed into the portal's registry.
type NewImage struct {
	Kind        slipway.DeployKind // IMAGE_ONLY or IMAGE_AND_DAG
	Ref         string             // as a person wrote the reference; "" for an image to be pushed with the deploy's Tag and finalized
	DAGs        bool               // an archive of DAGs follows, with NewUpload.To
	Description string
	Git         slipway.Git
}

// Repository returns the repository for pushed images of d in the portal's
// registry.
func Repository(d slipway.Deployment) string { return d.Namespace + "/airflow" }

// PushTarget returns the repository with the registry's address:
// "localhost:8888/bright-nova-0001/airflow".
func (i *images) PushTarget(d slipway.Deployment) string { return i.outside(Repository(d)) }

// PullRef returns the reference of the image of s by digest, for other machines.
func (i *images) PullRef(s slipway.State) string { return i.outside(s.ImageName) + "@" + s.Image }

// outside returns a repository's name with the registry's address for other
// machines.
func (i *images) outside(name string) string {
	if slipway.RegistryHost(name) == "" && i.cfg.RegistryHost != "" {
		return i.cfg.RegistryHost + "/" + name
	}
	return name
}

// Images returns the portal's registry.
func (i *images) Images() *image.Store { return i.cfg.Images }

// PushedTags returns the pushed tags of a Deployment, newest first.
func (i *images) PushedTags(ctx context.Context, d slipway.Deployment) ([]image.Tag, error) {
	return i.cfg.Images.Tags(ctx, d.Namespace)
}

// CreateImage makes a deploy of an image. A named image is inspected in the
// background. Without a name, the deploy waits until an image was pushed with
// the deploy's Tag and Finalize is called.
func (i *images) CreateImage(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, n NewImage) (w slipway.Deploy, err error) {
	if n.Description, err = slipway.CheckDescription(n.Description); err != nil {
		return w, err
	}
	err = i.store.Update(ctx, func(tx *store.Tx) error {
		d, role, err := tx.Projected(of, by)
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

// source returns a reference in the stored form. An image of the portal's own
// registry must be in a repository of d. A tag alone means d's repository for
// pushes.
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

// notIn refuses an image of another Deployment in the portal's registry.
func notIn(d slipway.Deployment, text string) error {
	return slipway.Errorf(slipway.NotFound, "There is no image %s in this Deployment's part of the registry, %s. For one of another registry, begin with its host: quay.io/….", text, d.Namespace)
}

// tagLayout is RFC 3339 in UTC, in characters allowed in a tag.
const tagLayout = "deploy-2006-01-02T15-04-05"

// freeTag returns a tag for an image without a deploy in the Deployment.
func freeTag(tx *store.Tx, of slipway.DeploymentID) (string, error) {
	for at := tx.Now.UTC(); ; at = at.Add(time.Second) {
		tag := at.Format(tagLayout)
		if _, taken, err := tx.TagDeploy(of, tag); err != nil || !taken {
			return tag, err
		}
	}
}

// MayPush refuses a push to a tag made by Slipway. Only the deploy of the tag
// may receive a push, until the deploy is finalized.
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
		byPush := w.AwaitsImage()
		for _, u := range uploads {
			byPush = byPush && !u.Image
		}
		if !byPush {
			return slipway.Errorf(slipway.Conflict, "The image of deploy #%d is settled, and its tag %s stays. Push another tag.", w.Number, tag)
		}
		return nil
	})
}

// Pushed signals a pushed image to the watchers of its Deployment.
func (i *images) Pushed(p image.Push) {
	var d slipway.Deployment
	err := i.store.View(context.Background(), func(tx *store.Tx) (err error) {
		d, err = tx.DeploymentIn(image.Namespace(p.Repository))
		return err
	})
	switch {
	case err == nil:
		i.watchers.notify(d.ID)
	case !errors.Is(err, slipway.ErrNotFound): // without a Deployment, nobody watches
		i.log.Error("tell open pages of a pushed image", slog.String("repository", p.Repository), slog.Any("error", err))
	}
}
