package auth

import (
	"slipway/internal/slipway"
	"slipway/store"
)

// Founding holds the input of a first setup.
type Founding struct {
	Email, Name string // of the first user, who becomes Organization admin and Owner
	Workspace   string
	Deployment  string
	Local       bool // mount the Deployment on this machine, with the embedded agent
}

// Founded holds the records created by a first setup.
type Founded struct {
	User       slipway.User
	Workspace  slipway.Workspace
	Deployment slipway.Deployment
}

// ErrFounded is the refusal to set up an installation twice.
var ErrFounded = slipway.Errorf(slipway.Conflict, "Slipway has been set up already. Sign in.")

// Check returns f with cleaned fields, or an error that names the invalid
// field.
func (f Founding) Check() (_ Founding, err error) {
	if f.Email, err = slipway.CheckEmail(f.Email); err != nil {
		return f, err
	}
	if f.Name, err = slipway.CheckName("An account", f.Name); err != nil {
		return f, err
	}
	if f.Workspace, err = slipway.CheckName("A Workspace", f.Workspace); err != nil {
		return f, err
	}
	f.Deployment, err = slipway.CheckName("A Deployment", f.Deployment)
	return f, err
}

// Found sets up an empty installation; hash is of the first user's password.
// The actor by holds only the origin of the request; Found fills in the user.
// Of two concurrent calls, one gets ErrFounded.
func Found(tx *store.Tx, f Founding, hash string, by slipway.Actor) (all Founded, err error) {
	if f, err = f.Check(); err != nil {
		return all, err
	}
	if n, err := tx.CountUsers(); err != nil || n > 0 {
		if err == nil {
			err = ErrFounded
		}
		return all, err
	}
	if all.User, err = tx.AddUser(slipway.User{Email: f.Email, Name: f.Name, Admin: true}, hash); err != nil {
		return all, err
	}
	by.User, by.Name = all.User.ID, all.User.Title()
	if all.Workspace, err = tx.AddWorkspace(f.Workspace); err != nil {
		return all, err
	}
	if err := tx.SetRole(all.Workspace.ID, all.User.ID, slipway.Owner); err != nil {
		return all, err
	}
	d, err := slipway.NewDeployment(all.Workspace.ID, f.Deployment, f.Local)
	if err != nil {
		return all, err
	}
	d.Creator = by.Title()
	if all.Deployment, err = tx.AddDeployment(d); err != nil {
		return all, err
	}
	return all, tx.Audit(by, slipway.Event{
		Workspace: all.Workspace.ID, Deployment: all.Deployment.ID, Action: "installation.setup", Target: f.Workspace,
		Detail: "First account " + f.Email + ", first Deployment " + f.Deployment + ".",
	})
}
