package deploy

import (
	"context"
	"errors"
	"log/slog"

	"slipway/internal/slipway"
	"slipway/store"
)

// maxStagings is how many uploads are staged at a time in the installation.
const maxStagings = 2

// stager stages the deploys of a Deployment one after the other.
type stager struct {
	*base
	dagStager    *dagStager
	deletions    *deletions
	endings      *endings
	imageStager  *imageStager
	switchStager *switchStager
	stagers      chan struct{} // a token for each archive in staging
	imagers      chan struct{} // a token for each image in staging
}

// stage reads the arrived contents of w: DAGs, an image, or the sources of a
// switch. A panic fails w, so that one upload does not end the portal, at this and each
// later start.
func (s *stager) stage(ctx context.Context, d slipway.Deployment, w slipway.Deploy) (err error) {
	defer slipway.Recovered(&err)
	var uploads []store.Upload
	err = s.store.View(ctx, func(tx *store.Tx) (err error) {
		if w, err = tx.LoadDeploy(w.ID); err != nil {
			return err
		}
		if uploads, err = tx.UploadsFor(w.ID); err != nil || w.Status != slipway.Initialized {
			return err
		}
		return mayUpload(tx, w)
	})
	if err != nil || w.Status != slipway.Initialized { // cancelled meanwhile
		return err
	}
	for _, u := range uploads {
		switch {
		case err != nil || u.ArrivedAt.IsZero() || !u.Image && !w.WantsDAG: // still arriving, or staged
		case u.Image:
			err = s.imageStager.importArchive(ctx, d, w, u)
		default:
			err = s.dagStager.stageDAGs(ctx, d, w, u)
		}
	}
	switch {
	case err != nil:
		return err
	case w.LacksImage() && w.Purpose() == slipway.ForSwitch:
		return s.switchStager.stageSwitch(ctx, d, w)
	case w.LacksImage() && w.Source != "":
		return s.stageSource(ctx, d, w)
	}
	return nil
}

// stageSource inspects the image named by w.
func (s *stager) stageSource(ctx context.Context, d slipway.Deployment, w slipway.Deploy) error {
	i, login, err := s.imageStager.inspect(ctx, d, w.Source)
	if err != nil {
		return err
	}
	return s.imageStager.recordImage(ctx, d, w, i, login)
}

// internalReason is the sentence on the page for an internal error.
const internalReason = "Something went wrong on our side. Nothing was deployed; the log of the portal says more."

// stageAll drops unused packs, then stages the arrived deploys. Only stageAll
// does either, one after the other, because staging relies on packs before
// claiming them.
func (s *stager) stageAll(ctx context.Context, of slipway.DeploymentID) error {
	var d slipway.Deployment
	var unused []string
	var arrived []slipway.Deploy
	err := s.store.Update(ctx, func(tx *store.Tx) (err error) {
		if d, err = tx.LoadDeployment(of); err != nil {
			return err
		}
		if unused, err = s.deletions.releaseEnded(tx, of); err != nil {
			return err
		}
		arrived, err = tx.Arrived(of)
		return err
	})
	if errors.Is(err, slipway.ErrNotFound) {
		return nil // deleted
	}
	if err != nil {
		return err // the unused packs are still on record
	}
	for _, sum := range unused {
		err = errors.Join(err, s.bundles.DropPack(d.Namespace, sum))
	}
	for _, w := range arrived {
		if err == nil {
			err = s.stageOne(ctx, d, w)
		}
	}
	return err
}

// stageOne stages w as soon as the installation has a free staging.
func (s *stager) stageOne(ctx context.Context, d slipway.Deployment, w slipway.Deploy) error {
	staging, finish := s.endings.stagings.begin(ctx, w.ID)
	defer finish()
	stagers := s.stagers
	if w.Kind.HasImage() { // an image may take minutes to arrive from another registry
		stagers = s.imagers
	}
	select {
	case <-staging.Done():
		return ctx.Err()
	case stagers <- struct{}{}:
	}
	defer func() { <-stagers }()
	err := unavailable(s.stage(staging, d, w))
	switch kind, text := slipway.Explain(err); {
	case err == nil || staging.Err() != nil:
		return ctx.Err() // discarded meanwhile, or resumed after the next start
	case kind != slipway.Internal:
		return s.endings.fail(ctx, w, text)
	}
	s.log.Error("stage", slog.String("deployment", d.Namespace), slog.Int("deploy", w.Number), slog.Any("error", err))
	return s.endings.fail(ctx, w, internalReason)
}
