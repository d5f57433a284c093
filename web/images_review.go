package web

import (
	"fmt"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/views"
)

// addImage completes the form to confirm r with the effect on the image.
func addImage(v *views.Review, r deploy.Review) {
	v.Reminders, v.NotAirflow, v.ByHand = r.Reminders, r.Plan.NotAirflow, r.Plan.ByHand
	v.Image = imageReview(r)
	v.NoFiles = r.Deploy.Kind.HasImage() && len(r.Plan.Changes) == 0
}

// imageReview describes the effect of r on the image, nil for none.
func imageReview(r deploy.Review) *views.ImageReview {
	if r.Image == nil {
		return nil
	}
	i := r.Image.New
	v := views.ImageReview{
		Title: i.Title(), Ref: i.Ref(), Short: shortDigest(i.Digest), Platform: i.Platform, Size: views.Bytes(i.Size),
		Runtime: views.Shift{Old: r.Image.Old.Runtime, New: i.Runtime}, Airflow: views.Shift{Old: r.Image.Old.Airflow, New: i.Airflow},
		Layers: layersText(r.Image.ImageChange), Folder: r.Image.Files.Folder, Count: r.Image.Files.Count, Bytes: r.Image.Files.Bytes,
		Unread: r.Image.Files.Unread, Carries: r.Image.Carries, Open: r.Deploy.Switch != nil,
	}
	if i.CreatedAt.Year() >= 2000 { // reproducible builds say 1970 or 1980
		v.Built = i.CreatedAt.UTC().Format("2 Jan 2006")
	}
	for _, f := range r.Image.Files.Files[:min(maxLines, len(r.Image.Files.Files))] {
		line := views.ImageFile{Path: f.Path, Detail: views.Bytes(f.Size)}
		if f.Link != "" {
			line.Detail = "link to " + f.Link
		}
		v.Files = append(v.Files, line)
	}
	return &v
}

func layersText(c slipway.ImageChange) string {
	switch {
	case c.Old.Digest == c.New.Digest:
		return "The image that runs already"
	case len(c.Fresh) == 0:
		return plural(c.Shared, "layer") + ", all of them shared: nothing to pull"
	}
	text := fmt.Sprintf("%s new, %s to pull", plural(len(c.Fresh), "layer"), views.Bytes(c.Bytes))
	if c.Shared > 0 {
		text = fmt.Sprintf("%d shared, %d new: %s to pull", c.Shared, len(c.Fresh), views.Bytes(c.Bytes))
	}
	return text
}

// confirmWords is the label of the button that confirms r.
func confirmWords(r deploy.Review) string {
	switch w := r.Deploy; {
	case w.Switch != nil && w.Switch.On != r.Projected.DAGDeploys && w.Switch.On:
		return "Turn on and deploy"
	case w.Switch != nil && w.Switch.On != r.Projected.DAGDeploys:
		return "Turn off and deploy image"
	case w.Kind == slipway.ImageOnly:
		return "Deploy image"
	case w.Kind == slipway.ImageAndDAG:
		return "Deploy image and DAGs"
	}
	return "Deploy DAGs"
}

// graceWords describe the end of running tasks.
const graceWords = "How long running tasks may take to finish is set where they run: 10 minutes with an agent, unless its --grace says more."

// imageEffects lists the effects of a staged image deploy besides file changes.
func imageEffects(r deploy.Review) (all []string) {
	w, d := r.Deploy, r.Projected
	if !w.Kind.HasImage() {
		return nil
	}
	if w.Switch != nil && w.Switch.On != d.DAGDeploys {
		all = append(all, "Turns "+onOff(w.Switch.On)+" DAG-only deploys in the same step. If anything fails, they stay "+onOff(d.DAGDeploys)+" and the image stays as it is.")
	}
	all = append(all, dagEffect(r), "Components restart with this image. "+graceWords)
	if d.Here && d.ApplyCommand == "" {
		all = append(all, "No apply command is set for this Deployment: restart Airflow yourself once the deploy is done.")
	}
	return all
}

// dagEffect describes the effect on the DAGs.
func dagEffect(r deploy.Review) string {
	w, d := r.Deploy, r.Projected
	switch next := d.State.With(w); {
	case w.Kind == slipway.ImageOnly && d.Mounted:
		return "DAG files and bundle version stay exactly as they are."
	case w.Kind == slipway.ImageOnly:
		return "No DAG bundle is mounted, and none comes with it."
	case d.Brings(w) && w.Switch != nil:
		return "The DAGs that Airflow has now become a DAG bundle version. They stay visible all the time."
	case d.Brings(w) && r.BaseDeploy != nil && w.Merge == slipway.ReplaceAll:
		return "Replaces the DAGs of " + whose(*r.BaseDeploy) + "."
	case d.Brings(w):
		return "Brings the DAGs below with it; both go live, or neither."
	case !next.Mounted && d.Mounted:
		return "The image carries the DAGs: version " + d.Version.Short() + " stays mounted until it runs, and then Airflow reads the image's dags folder."
	case !next.Mounted:
		return "The image carries the DAGs: Airflow reads its dags folder, and nothing is mounted."
	}
	return "It brings no DAGs: those that are mounted stay."
}
