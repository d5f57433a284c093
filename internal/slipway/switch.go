package slipway

import "time"

// SwitchOrder is a request to enable or disable DAG-only deploys. Behind
// unfinished deploys the order waits in the queue.
type SwitchOrder struct {
	ID         int64
	Deployment DeploymentID
	On         bool
	By         Actor
	Position   int64 // in the queue of its Deployment
	At         time.Time
	AppliedAt  time.Time // zero while queued
	Cancelled  bool
}

// MaySwitch checks whether someone with role may turn DAG-only deploys of d on
// or off. CI/CD enforcement does not refuse a switch.
func (d Deployment) MaySwitch(on bool, role Role) error {
	if err := role.May(Switch); err != nil {
		return err
	}
	if d.DAGDeploys == on {
		return errSwitched(on)
	}
	return nil
}

// errSwitched refuses a switch to the present setting.
func errSwitched(on bool) error {
	return Errorf(Conflict, "DAG-only deploys are %s already.", OnOff(on))
}

// SwitchTo checks the switch and its tick: the latest version of the project
// must be at hand, for the image deploy that has to follow.
func (d Deployment) SwitchTo(on bool, role Role, projectAtHand bool) error {
	if err := d.MaySwitch(on, role); err != nil {
		return err
	}
	if !projectAtHand && !d.switchesBack(on) {
		return Errorf(Invalid, "A deploy of Image and DAGs has to follow. Tick that you have the latest version of the project.")
	}
	return nil
}

// SwitchesBack reports whether a switch now would restore the state before the
// last switch: no image deploy has followed, and no other deploy has gone live
// since.
func (d Deployment) SwitchesBack() bool { return d.switchesBack(!d.DAGDeploys) }

func (d Deployment) switchesBack(on bool) bool {
	return d.Before != nil && d.Before.DAGDeploys == on && d.Before.Version == d.Version &&
		d.Before.Mounted == d.Mounted && d.Before.Image == d.Image
}

// Switched returns d after the switch. Mounted DAGs stay until the image deploy
// that has to follow.
func (d Deployment) Switched(on bool) Deployment {
	if d.switchesBack(on) {
		d.State, d.Before = *d.Before, nil
		return d
	}
	before := d.State
	d.Before = &before
	d.DAGDeploys, d.NeedsImage = on, true
	return d
}

// OnOff is the word for a position of the switch.
func OnOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// Turn is a place in a Deployment's queue, for a deploy or a switch.
type Turn struct {
	Deploy *Deploy
	Switch *SwitchOrder
}

// RunningDeploy returns the deploy of a queue that is going live, nil for none.
// The pages show a Deployment's health during this deploy.
func RunningDeploy(queue []Turn) *Deploy {
	for _, t := range queue {
		if t.Deploy != nil && t.Deploy.Status == Deploying {
			return t.Deploy
		}
	}
	return nil
}

// FirstDeploy returns the first deploy of a queue, running or still waiting, nil
// for none. The API shows the health during this deploy: a client polls the
// health after finalizing, and must not read HEALTHY before the deploy is live
// on all components.
func FirstDeploy(queue []Turn) *Deploy {
	for _, t := range queue {
		if t.Deploy != nil {
			return t.Deploy
		}
	}
	return nil
}

// Projected returns d projected to the end of its queue. New deploys and
// switches are checked against the projected Deployment. Finished turns, and
// deploys that d would refuse, change nothing.
func (d Deployment) Projected(queue []Turn) Deployment {
	for _, t := range queue {
		switch {
		case t.ended():
		case t.Switch != nil && d.DAGDeploys != t.Switch.On:
			d = d.Switched(t.Switch.On)
		case t.Deploy != nil && d.Takes(*t.Deploy) == nil:
			d = d.Deployed(*t.Deploy)
		}
	}
	return d
}

// Deployed returns d after w, with the new desired state.
func (d Deployment) Deployed(w Deploy) Deployment {
	d.State = d.State.With(w)
	d.ToRun = d.toRun(w)
	if !d.NeedsImage || d.Before != nil && d.Before.DAGDeploys == d.DAGDeploys {
		d.Before = nil
	}
	return d
}

// toRun returns ToRun after w. Where a bundle is mounted, Airflow has its DAGs
// whatever image runs.
func (d Deployment) toRun(w Deploy) string {
	switch {
	case d.Mounted:
		return ""
	case w.ByHand, d.ToRun != "" && w.Kind.HasImage():
		return d.Image
	}
	return d.ToRun
}

// KnownToRun reports whether a rollout agent is connected, and all of them run
// the image with a digest.
func KnownToRun(digest string, all []Component, now time.Time) bool {
	p := NewProgress(State{Image: digest}, OfKind(all, Rollout), now)
	return p.Of > 0 && p.Done()
}

// MayStateRuns checks whether someone with role may state which image Airflow runs.
func (d Deployment) MayStateRuns(role Role) error { return d.roleFor(ImageOnly, role) }

// StateRuns returns d once somebody with role has seen Airflow run the image with
// a digest. A second person may state the same.
func (d Deployment) StateRuns(digest string, role Role) (Deployment, error) {
	if err := d.MayStateRuns(role); err != nil {
		return d, err
	}
	if digest != d.Image || digest == "" {
		return d, Errorf(Conflict, "Another image is wanted by now. Look at the page again.")
	}
	d.ToRun = ""
	return d, nil
}

func (t Turn) ended() bool {
	if t.Switch != nil {
		return t.Switch.Cancelled || !t.Switch.AppliedAt.IsZero()
	}
	return t.Deploy != nil && t.Deploy.Status.Ended()
}

// Position returns the place of t in the queue.
func (t Turn) Position() int64 {
	if t.Switch != nil {
		return t.Switch.Position
	}
	return t.Deploy.Position
}
