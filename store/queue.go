package store

import (
	"slices"
	"time"

	"slipway/internal/slipway"
)

const switchColumns = `id, deployment, turn_on, by, position, at, applied_at, cancelled`

func scanSwitch(r row) (s slipway.SwitchOrder, err error) {
	err = r.Scan(&s.ID, &s.Deployment, &s.On, jsonText{&s.By}, &s.Position, millis{&s.At}, millis{&s.AppliedAt}, &s.Cancelled)
	return s, err
}

// AddSwitch gives a switch the next position in the queue of its Deployment and
// returns the switch with id, position and time.
func (tx *Tx) AddSwitch(s slipway.SwitchOrder) (slipway.SwitchOrder, error) {
	var err error
	if s.Position, err = tx.nextPosition(s.Deployment); err != nil {
		return s, err
	}
	s.At = tx.Now
	return one(tx, "add switch", nil, scanSwitch, `
		INSERT INTO switches (deployment, turn_on, by, position, at, applied_at, cancelled)
		VALUES (?, ?, ?, ?, ?, ?, 0) RETURNING `+switchColumns,
		s.Deployment, s.On, asJSON(s.By), s.Position, ms(s.At), ms(s.AppliedAt))
}

// SwitchApplied records the time at which a switch was applied.
func (tx *Tx) SwitchApplied(id int64) error {
	return tx.exec("switch applied", `UPDATE switches SET applied_at = ? WHERE id = ?`, ms(tx.Now), id)
}

// CancelSwitch cancels a waiting switch.
func (tx *Tx) CancelSwitch(of slipway.DeploymentID, id int64) error {
	n, err := tx.changed("cancel switch", `
		UPDATE switches SET cancelled = 1 WHERE id = ? AND deployment = ? AND applied_at = 0 AND cancelled = 0`, id, of)
	if err == nil && n == 0 {
		return slipway.Errorf(slipway.Conflict, "The switch is no longer waiting.")
	}
	return err
}

// Switches returns the applied switches of a Deployment, newest first.
func (tx *Tx) Switches(of slipway.DeploymentID, limit int) ([]slipway.SwitchOrder, error) {
	return list(tx, "switches", scanSwitch, `
		SELECT `+switchColumns+` FROM switches
		WHERE deployment = ? AND applied_at > 0 ORDER BY id DESC LIMIT ?`, of, limit)
}

// SwitchesBetween returns the switches of a Deployment applied at from or later
// and before until, newest first.
func (tx *Tx) SwitchesBetween(of slipway.DeploymentID, from, until time.Time) ([]slipway.SwitchOrder, error) {
	return list(tx, "switches between", scanSwitch, `
		SELECT `+switchColumns+` FROM switches
		WHERE deployment = ? AND applied_at >= ? AND applied_at < ? AND applied_at > 0 ORDER BY applied_at DESC, id DESC LIMIT 100`,
		of, ms(from), ms(until))
}

// Queue returns the running and waiting deploys and switches of a Deployment,
// in order.
func (tx *Tx) Queue(of slipway.DeploymentID) ([]slipway.Turn, error) {
	deploys, err := list(tx, "queue", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w
		WHERE w.deployment = ? AND w.status IN ('queued', 'deploying') ORDER BY w.position`, of)
	if err != nil {
		return nil, err
	}
	switches, err := list(tx, "waiting switches", scanSwitch, `
		SELECT `+switchColumns+` FROM switches
		WHERE deployment = ? AND applied_at = 0 AND cancelled = 0 ORDER BY position`, of)
	if err != nil {
		return nil, err
	}
	var queue []slipway.Turn
	for i := range deploys {
		queue = append(queue, slipway.Turn{Deploy: &deploys[i]})
	}
	for i := range switches {
		queue = append(queue, slipway.Turn{Switch: &switches[i]})
	}
	slices.SortFunc(queue, func(a, b slipway.Turn) int { return int(a.Position() - b.Position()) })
	return queue, nil
}

// Projected returns a Deployment projected to the end of its queue, with by's
// role. New deploys and switches are checked against the projection.
func (tx *Tx) Projected(id slipway.DeploymentID, by slipway.Actor) (slipway.Deployment, slipway.Role, error) {
	d, role, err := tx.Deployment(id, by)
	if err != nil {
		return d, role, err
	}
	queue, err := tx.Queue(id)
	if err != nil {
		return d, role, err
	}
	return d.Projected(queue), role, nil
}
