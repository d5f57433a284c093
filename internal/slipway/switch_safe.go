package slipway

// SafeSwitch is a switch that Slipway follows up itself, by the deploy that
// makes it: setting, image and DAGs change together or not at all.
type SafeSwitch struct {
	On   bool
	From State // that it was prepared for
}

// MaySwitchSafely judges whether someone with role may have Slipway turn
// DAG-only deploys of d on or off and do the image deploy that has to follow,
// or do what still has to follow an earlier switch.
func (d Deployment) MaySwitchSafely(on bool, role Role) error {
	if err := role.May(Switch); err != nil {
		return err
	}
	switch {
	case d.DAGDeploys == on && !d.NeedsImage:
		return Errorf(Conflict, "DAG-only deploys are %s already.", onOff(on))
	case d.switchesBack(on):
		return Errorf(Conflict, "Switching back restores everything as it was before, so nothing has to follow it.")
	case d.Image == "":
		return Errorf(Conflict, "Slipway does not know which image this Deployment runs, so it cannot do this itself. Deploy an image, or register the one that runs today.")
	}
	return nil
}

// takesSwitch judges a safe switch at its turn: what it was made of must still
// be what runs, or something would disappear.
func (d Deployment) takesSwitch(s SafeSwitch) error {
	if !sameCode(d.State, s.From) {
		return Errorf(Conflict, "Something else has gone live, or was called back, since the switch was prepared. Prepare it again.")
	}
	return nil
}

// MayRegister judges whether someone with role may say which image d runs
// today. Where Slipway knows one, only a deploy changes it.
func (d Deployment) MayRegister(role Role) error {
	if err := role.May(Switch); err != nil {
		return err
	}
	if d.Image != "" {
		return Errorf(Conflict, "Slipway knows which image this Deployment runs. Deploy another one instead.")
	}
	return nil
}

// Registered returns d with the image that it is said to run.
func (d Deployment) Registered(i Image) Deployment {
	d.State = d.withImage(i.Brought())
	if d.Before != nil { // switching back restores the setting and not what was not known
		before := d.Before.withImage(i.Brought())
		d.Before = &before
	}
	return d
}
