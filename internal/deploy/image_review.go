package deploy

import (
	"cmp"

	"slipway/internal/slipway"
	"slipway/store"
)

// ImageReview is what a deploy does to the image of its Deployment.
type ImageReview struct {
	slipway.ImageChange
	Files   store.ImageFiles // of its dags folder
	Carries bool             // Airflow's DAGs come from that folder
}

// reviewImage fills in what r's deploy does to the image. was is the state
// before it.
func (e *Engine) reviewImage(tx *store.Tx, r *Review, was slipway.State) error {
	old, err := stateImage(tx, r.Deployment.ID, was)
	if err != nil {
		return err
	}
	next := was.With(r.Deploy)
	if !r.Deploy.Kind.HasImage() {
		if r.Deploy.Status == slipway.Staged {
			r.Reminders = old.Reminders(e.releases(), tx.Now)
		}
		return nil
	}
	i := slipway.Image{}
	if r.Deploy.Image != nil {
		i = *r.Deploy.Image
	} else if i, err = stateImage(tx, r.Deployment.ID, next); err != nil {
		return err
	}
	r.Image = &ImageReview{ImageChange: slipway.NewImageChange(old, i), Carries: !next.Mounted}
	if r.Image.Files, _, err = tx.ImageFiles(cmp.Or(r.Deploy.ID)); err != nil {
		return err
	}
	r.Reminders = i.Reminders(e.releases(), tx.Now)
	if r.Deploy.Kind == slipway.ImageOnly && !next.Mounted {
		r.Reminders = append(r.Reminders, "No DAGs have been deployed yet: Airflow will show no DAGs but those that the image itself carries.")
	}
	if r.Image.Carries && r.Deploy.Kind == slipway.ImageAndDAG && r.Deploy.Image != nil && r.Image.Files.Count == 0 && r.Image.Files.Unread == "" {
		r.Reminders = append(r.Reminders, "The image holds no file in "+r.Image.Files.Folder+": Airflow will show no DAGs.")
	}
	return nil
}

// stateImage returns what is known of the image of a state.
func stateImage(tx *store.Tx, of slipway.DeploymentID, s slipway.State) (slipway.Image, error) {
	if s.Image == "" {
		return slipway.Image{}, nil
	}
	i, found, err := tx.Image(of, s.Image)
	if !found {
		i = slipway.Image{Name: s.ImageName, Digest: s.Image, Runtime: s.Runtime}
	}
	i.Tag = cmp.Or(s.ImageTag, i.Tag)
	return i, err
}

func (e *Engine) releases() []slipway.Release { return slipway.Releases(e.cfg.Releases...) }
