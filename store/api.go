package store

import (
	"slipway"
)

// TouchToken notes that a token was used.
func (tx *Tx) TouchToken(id slipway.TokenID) error {
	return tx.exec("touch token", `UPDATE tokens SET last_used_at = ? WHERE id = ?`, ms(tx.Now), id)
}

// seenBy is the role of an actor in the Workspace w, over the whole of it or
// one of its Deployments, with its arguments; 0 for a stranger.
func (tx *Tx) seenBy(by slipway.Actor) (string, []any) {
	if by.Token == "" {
		return roleIn("w.id"), []any{by.User}
	}
	return `COALESCE((SELECT t.role FROM tokens t
		WHERE t.workspace = w.id AND t.id = ? AND t.kind = 'api' AND (t.expires_at = 0 OR t.expires_at > ?)), 0)`,
		[]any{by.Token, ms(tx.Now)}
}

// SeenWorkspaces returns the Workspaces of which by sees anything, by name: a
// token of one Deployment the one around it.
func (tx *Tx) SeenWorkspaces(by slipway.Actor) ([]slipway.Workspace, error) {
	role, args := tx.seenBy(by)
	return list(tx, "seen workspaces", scanWorkspace, `
		SELECT w.id, w.name, w.created_at FROM workspaces w WHERE `+role+` > 0 ORDER BY w.name COLLATE NOCASE`, args...)
}

// SeenDeployments returns the Deployments that by sees, by name.
func (tx *Tx) SeenDeployments(by slipway.Actor) ([]slipway.Deployment, error) {
	role, args := tx.seenBy(by)
	return list(tx, "seen deployments", scanDeployment, `
		SELECT `+deploymentColumns+` FROM deployments d JOIN workspaces w ON w.id = d.workspace
		WHERE d.deleted_at = 0 AND `+role+` > 0
			AND COALESCE((SELECT t.deployment FROM tokens t WHERE t.id = ?), d.id) = d.id
		ORDER BY d.name COLLATE NOCASE, d.id`, append(args, by.Token)...)
}

// Runtimes returns the Runtime versions of the images that any Deployment runs,
// and of those that deploys brought and that are still known.
func (tx *Tx) Runtimes() ([]string, error) {
	return list(tx, "runtimes", scanText, `
		SELECT runtime FROM deployments WHERE runtime <> ''
		UNION SELECT info ->> '$.Runtime' FROM images WHERE info ->> '$.Runtime' <> ''`)
}
