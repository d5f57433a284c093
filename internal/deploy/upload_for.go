package deploy

import (
	"slipway/internal/slipway"
	"slipway/store"
)

// uploadFor returns the deploy that an upload is for.
func (e *Engine) uploadFor(tx *store.Tx, d slipway.Deployment, role slipway.Role, by slipway.Actor, n *NewUpload) (w slipway.Deploy, err error) {
	if n.To != 0 {
		return e.addDAGs(tx, d, role, by, n)
	}
	if err := d.MayDeploy(n.Kind, role, by); err != nil {
		return w, err
	}
	if n.Image != n.Kind.HasImage() {
		return w, slipway.Errorf(slipway.Invalid, "Say which image: the archive is none, and the kind of deploy is %s.", n.Kind)
	}
	if *n, err = e.checked(*n); err != nil {
		return w, err
	}
	w = slipway.Deploy{
		Deployment: d.ID, Kind: n.Kind, Status: slipway.Initialized, By: by,
		Description: n.Description, Git: n.Git, Merge: n.Merge, Upload: n.Name, Fix: n.Fix, Base: d.Version,
	}
	if n.Image {
		w.WantsDAG = n.DAGs && n.Kind == slipway.ImageAndDAG && d.DAGDeploys
		if w.Tag, err = freeTag(tx, d.ID); err != nil {
			return w, err
		}
	}
	return tx.AddDeploy(w)
}

// addDAGs returns the deploy of image and DAGs that waits for an upload.
func (e *Engine) addDAGs(tx *store.Tx, d slipway.Deployment, role slipway.Role, by slipway.Actor, n *NewUpload) (w slipway.Deploy, err error) {
	if w, err = tx.Deploy(d.ID, n.To); err != nil {
		return w, err
	}
	if err := d.MayMake(w, role, by); err != nil {
		return w, err
	}
	switch {
	case w.By.User != by.User || w.By.Token != by.Token:
		return w, slipway.Errorf(slipway.Forbidden, "Deploy #%d is %s's: nobody else adds files to it.", w.Number, w.By.Title())
	case w.Status != slipway.Initialized || w.Kind != slipway.ImageAndDAG || w.Switch != nil || !w.UploadedAt.IsZero() || n.Image:
		return w, slipway.Errorf(slipway.Conflict, "Deploy #%d takes no DAGs.", w.Number)
	case !d.DAGDeploys:
		return w, slipway.Errorf(slipway.Conflict, "DAG-only deploys are not enabled for this Deployment, so that the image carries the DAGs.")
	}
	if _, found, err := tx.UploadOf(w.ID); err != nil {
		return w, err
	} else if found {
		return w, slipway.Errorf(slipway.Conflict, "DAGs for deploy #%d are being uploaded already. Go on with that upload, or cancel the deploy and begin anew.", w.Number)
	}
	if *n, err = e.checked(*n); err != nil {
		return w, err
	}
	w.Merge, w.Upload = n.Merge, n.Name
	if n.Length != inBlocks { // else they may never come
		w.WantsDAG = true
	}
	return tx.SaveDeploy(w)
}
