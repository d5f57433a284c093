package deploy

import (
	"context"

	"slipway/internal/slipway"
	"slipway/store"
)

// Create adds a Deployment, as slipway.NewDeployment made it, to its Workspace.
func (e *Engine) Create(ctx context.Context, d slipway.Deployment, by slipway.Actor) (slipway.Deployment, error) {
	err := e.store.Update(ctx, func(tx *store.Tx) error {
		_, role, err := tx.Workspace(d.Workspace, by)
		if err != nil {
			return err
		}
		if err := role.May(slipway.ManageDeployments); err != nil {
			return err
		}
		d.Creator = by.Title()
		if d, err = tx.AddDeployment(d); err != nil {
			return err
		}
		return tx.Audit(by, slipway.Event{Workspace: d.Workspace, Deployment: d.ID, Action: "deployment.create", Target: d.Name, Detail: d.Namespace})
	})
	if err != nil {
		return slipway.Deployment{}, err
	}
	e.mu.Lock()
	e.open(d)
	e.mu.Unlock()
	e.watchers.notify(d.ID)
	return d, nil
}

// Edit changes the settings of a Deployment.
func (e *Engine) Edit(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, s slipway.Settings) (d slipway.Deployment, err error) {
	err = e.store.Update(ctx, func(tx *store.Tx) error {
		var role slipway.Role
		if d, role, err = tx.Deployment(of, by); err != nil {
			return err
		}
		if d, err = d.Edit(role, s); err != nil {
			return err
		}
		if err := tx.SaveSettings(d); err != nil {
			return err
		}
		return tx.Audit(by, slipway.Event{Workspace: d.Workspace, Deployment: of, Action: "deployment.edit", Target: d.Name})
	})
	if err != nil {
		return slipway.Deployment{}, err
	}
	e.watchers.notify(of)
	return d, nil
}

// Delete makes a Deployment vanish at once; its folders go in the background.
// typed is its name, as the person typed it.
func (e *Engine) Delete(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, typed string) error {
	var d slipway.Deployment
	err := e.store.Update(ctx, func(tx *store.Tx) (err error) {
		var role slipway.Role
		if d, role, err = tx.Deployment(of, by); err != nil {
			return err
		}
		if err := d.Delete(role, typed); err != nil {
			return err
		}
		if err := tx.MarkDeleted(of); err != nil {
			return err
		}
		return tx.Audit(by, slipway.Event{Workspace: d.Workspace, Deployment: of, Action: "deployment.delete", Target: d.Name, Detail: d.Namespace})
	})
	if err != nil {
		return err
	}
	e.close(d)
	e.watchers.gone(of)
	return nil
}
