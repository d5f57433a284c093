package slipway

// Return returns the deploy that would bring back the state after old. d must
// be as it will be at the end of its queue. retained says whether the bundle
// version of old is still kept.
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

// returnKind names the kind of deploy that leads from now to then. While the
// image carries the DAGs, another image means other DAGs.
func returnKind(now, then State) DeployKind {
	switch {
	case now.Image == then.Image:
		return DAGOnly
	case !sameDAGs(now, then) || !then.DAGDeploys && !then.Mounted:
		return ImageAndDAG
	}
	return ImageOnly
}

// takesReturn judges a return at its turn: it brings its own setting, but what
// was judged when it was asked for is only what leads there from the state that
// was foreseen.
func (d Deployment) takesReturn(w Deploy) error {
	then := d.State.returned(w.After)
	switch need := returnKind(d.State, then); {
	case need == w.Kind, w.Kind == ImageAndDAG, need == DAGOnly && sameDAGs(d.State, then):
		return nil
	}
	return Errorf(Conflict, "A deploy before it in the queue failed or was called back, so this return would do something else than was confirmed. Return to #%d again.", w.ReturnTo)
}

func sameCode(a, b State) bool {
	return a.Image == b.Image && sameDAGs(a, b) && a.DAGDeploys == b.DAGDeploys
}

func sameDAGs(a, b State) bool {
	return a.Mounted == b.Mounted && a.Version == b.Version
}
