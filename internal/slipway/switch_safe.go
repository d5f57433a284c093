package slipway

// SafeSwitch is a switch with its follow-up in one deploy: setting, image and
// DAGs change together or not at all.
type SafeSwitch struct {
	On   bool
	From State // state at preparation
}

// MaySwitchSafely checks whether someone with role may have Slipway turn
// DAG-only deploys of d on or off with the image deploy that has to follow, or
// do the missing follow-up of an earlier switch.
func (d Deployment) MaySwitchSafely(on bool, role Role) error {
	if err := role.May(Switch); err != nil {
		return err
	}
	switch {
	case d.DAGDeploys == on && !d.NeedsImage:
		return errSwitched(on)
	case d.switchesBack(on):
		return Errorf(Conflict, "Switching back restores everything as it was before, so nothing has to follow it.")
	case d.Image == "":
		return Errorf(Conflict, "Slipway does not know which image this Deployment runs, so it cannot do this itself. Deploy an image, or register the one that runs today.")
	}
	return nil
}

// takesSwitch checks a safe switch at the head of the queue: the code must be
// as prepared, or something would disappear.
func (d Deployment) takesSwitch(s SafeSwitch) error {
	if !sameCode(d.State, s.From) {
		return Errorf(Conflict, "Something else has gone live, or was cancelled, since the switch was prepared. Prepare it again.")
	}
	return nil
}

// MayRegister checks whether someone with role may register the image running
// today. A known image is changed only by a deploy.
func (d Deployment) MayRegister(role Role) error {
	if err := role.May(Switch); err != nil {
		return err
	}
	if d.Image != "" {
		return Errorf(Conflict, "Slipway knows which image this Deployment runs. Deploy another one instead.")
	}
	return nil
}

// Registered returns d with the image i as running.
func (d Deployment) Registered(i Image) Deployment {
	d.State = d.withImage(i.Brought())
	if d.Before != nil { // switching back restores the setting and keeps the image
		before := d.Before.withImage(i.Brought())
		d.Before = &before
	}
	return d
}
