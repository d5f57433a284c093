package deploy

import "slipway/internal/slipway"

// planReturn returns what the return w will do to the files at the end of the
// queue. Where the image carries the DAGs, the version stays.
func (e *Engine) planReturn(b basis, w slipway.Deploy) (slipway.Plan, error) {
	base, err := e.tailFiles(b)
	if err != nil {
		return slipway.Plan{}, err
	}
	files := base
	if w.After.Mounted {
		files, err = e.filesOf(b.now.Namespace, w.After.Version)
	}
	plan := slipway.NewPlan(base, files)
	plan.NoDAGs = plan.NoDAGs && w.After.Mounted
	plan.ByHand = e.byHand(b.tail, w)
	return plan, err
}

// byHand reports whether w takes mounted DAGs of d away although nothing has its
// image run that carries others.
func (e *Engine) byHand(d slipway.Deployment, w slipway.Deploy) bool {
	return d.Uncovers(w) && !d.AppliesImages(e.Components(d.ID), e.store.Now())
}
