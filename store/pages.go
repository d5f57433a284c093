package store

import (
	"time"

	"slipway"
)

// StagedFor returns the deploys of a Deployment that wait for a person to
// confirm them, newest first: those that user uploaded, and those of tokens,
// which anyone may see to.
func (tx *Tx) StagedFor(of slipway.DeploymentID, user slipway.UserID) ([]slipway.Deploy, error) {
	return list(tx, "staged deploys", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w INDEXED BY deploys_unfinished
		WHERE w.deployment = ? AND w.status IN ('initialized', 'staged') AND w.status = 'staged' AND (w.by_user = ? OR w.by_token <> '')
		ORDER BY w.number DESC LIMIT 10`, of, user)
}

// SwitchesBetween returns the switches of a Deployment that were made from one
// time until before another, newest first.
func (tx *Tx) SwitchesBetween(of slipway.DeploymentID, from, until time.Time) ([]slipway.SwitchOrder, error) {
	return list(tx, "switches between", scanSwitch, `
		SELECT `+switchColumns+` FROM switches
		WHERE deployment = ? AND applied_at >= ? AND applied_at < ? AND applied_at > 0 ORDER BY applied_at DESC, id DESC LIMIT 100`,
		of, ms(from), ms(until))
}

// RetainedOf returns those of versions that a Deployment still keeps.
func (tx *Tx) RetainedOf(of slipway.DeploymentID, versions []slipway.Version) (map[slipway.Version]bool, error) {
	kept, err := list(tx, "retained versions", scanText, `
		SELECT version FROM versions WHERE deployment = ? AND version IN (SELECT value FROM json_each(?))`, of, asJSON(versions))
	all := make(map[slipway.Version]bool, len(kept))
	for _, v := range kept {
		all[slipway.Version(v)] = true
	}
	return all, err
}

// CountVersions counts the DAG bundle versions that a Deployment keeps.
func (tx *Tx) CountVersions(of slipway.DeploymentID) (int, error) {
	return tx.count("versions", `SELECT COUNT(*) FROM versions WHERE deployment = ?`, of)
}

// CountDeploys counts the deploys of a Deployment, however many: they are
// numbered without gaps, and none goes alone.
func (tx *Tx) CountDeploys(of slipway.DeploymentID) (int, error) {
	return tx.count("deploys", `SELECT COALESCE(MAX(number), 0) FROM deploys WHERE deployment = ?`, of)
}
