package slipway

import "time"

// SwitchOrder is somebody's wish to enable or disable DAG-only deploys. While
// deploys are queued or running it waits its turn among them.
type SwitchOrder struct {
	ID         int64
	Deployment DeploymentID
	On         bool
	By         Actor
	Position   int64 // in the queue of its Deployment
	At         time.Time
	AppliedAt  time.Time // zero while it waits
	Cancelled  bool
}

// MaySwitch judges whether someone with role may turn DAG-only deploys of d on
// or off. CI/CD enforcement does not refuse it.
func (d Deployment) MaySwitch(on bool, role Role) error {
	if err := role.May(Switch); err != nil {
		return err
	}
	if d.DAGDeploys == on {
		return Errorf(Conflict, "DAG-only deploys are %s already.", onOff(on))
	}
	return nil
}

// SwitchTo judges the switch and its tick: that the latest version of the
// project is at hand, as an image deploy has to follow.
func (d Deployment) SwitchTo(on bool, role Role, projectAtHand bool) error {
	if err := d.MaySwitch(on, role); err != nil {
		return err
	}
	if !projectAtHand && !d.switchesBack(on) {
		return Errorf(Invalid, "An image deploy has to follow. Tick that the latest version of the project is at hand.")
	}
	return nil
}

// SwitchesBack reports whether turning the switch now would restore what was
// before it was last turned: no image deploy has followed, and no other deploy
// has gone live since.
func (d Deployment) SwitchesBack() bool { return d.switchesBack(!d.DAGDeploys) }

func (d Deployment) switchesBack(on bool) bool {
	return d.Before != nil && d.Before.DAGDeploys == on && d.Before.Version == d.Version &&
		d.Before.Mounted == d.Mounted && d.Before.Image == d.Image
}

// Switched returns d after the switch was turned. Nothing moves by it: what is
// mounted stays until the image deploy that has to follow.
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

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// Turn is a place in a Deployment's queue: a deploy's or a switch's.
type Turn struct {
	Deploy *Deploy
	Switch *SwitchOrder
}

// Tail returns d as it will be once every turn of its queue, in order, is done.
// New deploys and switches are judged against it. What has ended by now, or
// will be refused at its turn, changes nothing.
func (d Deployment) Tail(queue []Turn) Deployment {
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

// Deployed returns d as w makes it: the state that is wanted from then on.
func (d Deployment) Deployed(w Deploy) Deployment {
	d.State = d.State.With(w)
	if !d.NeedsImage || d.Before != nil && d.Before.DAGDeploys == d.DAGDeploys {
		d.Before = nil
	}
	return d
}

func (t Turn) ended() bool {
	if t.Switch != nil {
		return t.Switch.Cancelled || !t.Switch.AppliedAt.IsZero()
	}
	return t.Deploy != nil && t.Deploy.Status.Ended()
}

// Position returns t's place in the queue.
func (t Turn) Position() int64 {
	if t.Switch != nil {
		return t.Switch.Position
	}
	return t.Deploy.Position
}
