package slipway

// Return returns a deploy that restores the state after old. d must be
// projected to the end of the queue. retained tells whether the bundle version
// of old still exists.
func (d Deployment) Return(old Deploy, role Role, retained bool) (Deploy, error) {
	if !old.WentLive() {
		return Deploy{}, Errorf(Conflict, "Deploy #%d never went live.", old.Number)
	}
	next := d.returnTo(old)
	if err := d.roleFor(next.Kind, role); err != nil {
		return Deploy{}, err
	}
	if d.DAGDeploys != old.After.DAGDeploys {
		if err := role.May(Switch); err != nil {
			return Deploy{}, err
		}
	}
	switch {
	case sameCode(d.State, next.After):
		return Deploy{}, Errorf(Conflict, "Deploy #%d is what runs already.", old.Number)
	case old.After.Mounted && !retained:
		return Deploy{}, Errorf(Conflict, "The DAG bundle version of deploy #%d is no longer kept.", old.Number)
	}
	return next, nil
}

func (d Deployment) returnTo(old Deploy) Deploy {
	then := d.State.returned(old.After)
	kind := returnKind(d.State, then)
	switch brings := then.Mounted || !then.DAGDeploys; {
	case kind == ImageAndDAG && brings:
		then.NeedsImage = false
	case then.DAGDeploys == d.DAGDeploys:
		then.NeedsImage = d.NeedsImage
	}
	return Deploy{
		Deployment: d.ID, Kind: kind, Status: Queued,
		ReturnTo: old.Number, Version: then.Version, Base: d.Version, After: then,
	}
}

// returnKind returns the kind of a deploy from now to then. While DAGs come
// from the image, another image means other DAGs.
func returnKind(now, then State) DeployKind {
	switch {
	case now.Image == then.Image:
		return DAGOnly
	case !sameDAGs(now, then) || !then.DAGDeploys && !then.Mounted:
		return ImageAndDAG
	}
	return ImageOnly
}

// takesReturn checks a return at the head of the queue. The return restores the
// DAG-only setting of its target. Its kind was chosen for the projected state,
// and must still lead from d's state to the target.
func (d Deployment) takesReturn(w Deploy) error {
	then := d.State.returned(w.After)
	switch need := returnKind(d.State, then); {
	case need == w.Kind, w.Kind == ImageAndDAG, need == DAGOnly && sameDAGs(d.State, then):
		return nil
	}
	return Errorf(Conflict, "A deploy before it in the queue failed or was cancelled, so this return would do something else than was confirmed. Return to #%d again.", w.ReturnTo)
}

func sameCode(a, b State) bool {
	return a.Image == b.Image && sameDAGs(a, b) && a.DAGDeploys == b.DAGDeploys
}

func sameDAGs(a, b State) bool {
	return a.Mounted == b.Mounted && a.Version == b.Version
}
