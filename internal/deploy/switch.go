package deploy

import (
	"context"

	"slipway/internal/slipway"
	"slipway/store"
)

// Switch turns DAG-only deploys on or off: at once if nothing is queued, else
// in its turn. projectAtHand is the tick that the project's latest version is.
func (e *Engine) Switch(ctx context.Context, of slipway.DeploymentID, on bool, by slipway.Actor, projectAtHand bool) (waits bool, err error) {
	err = e.store.Update(ctx, func(tx *store.Tx) error {
		d, role, err := tx.Deployment(of, by)
		if err != nil {
			return err
		}
		queue, err := tx.Queue(of)
		if err != nil {
			return err
		}
		if err := d.Tail(queue).SwitchTo(on, role, projectAtHand); err != nil {
			return err
		}
		s, err := tx.AddSwitch(slipway.SwitchOrder{Deployment: of, On: on, By: by})
		if err != nil {
			return err
		}
		err = tx.Audit(by, slipway.Event{Workspace: d.Workspace, Deployment: of, Action: "switch.order", Target: d.Name, Detail: onOff(on)})
		if waits = len(queue) > 0; err != nil || waits {
			return err
		}
		_, err = throw(tx, d, s)
		return err
	})
	if err != nil {
		return false, err
	}
	e.wakers.wakeQueue(of)
	e.watchers.notify(of)
	return waits, nil
}

// CancelSwitch calls a waiting switch back.
func (e *Engine) CancelSwitch(ctx context.Context, of slipway.DeploymentID, id int64, by slipway.Actor) error {
	err := e.store.Update(ctx, func(tx *store.Tx) error {
		d, role, err := tx.Deployment(of, by)
		if err != nil {
			return err
		}
		if err := role.May(slipway.Switch); err != nil {
			return err
		}
		if err := tx.CancelSwitch(of, id); err != nil {
			return err
		}
		return tx.Audit(by, slipway.Event{Workspace: d.Workspace, Deployment: of, Action: "switch.cancel", Target: d.Name})
	})
	if err == nil {
		e.watchers.notify(of)
	}
	return err
}
