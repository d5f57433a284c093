package store

import (
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"slipway"
)

// Arrived returns the deploys of a Deployment of which something waits to be
// staged: a complete upload, an image to inspect, or a safe switch to prepare.
// They come in the order of their arrival.
func (tx *Tx) Arrived(of slipway.DeploymentID) ([]slipway.Deploy, error) {
	return list(tx, "arrived uploads", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w INDEXED BY deploys_unfinished
		WHERE w.deployment = ? AND w.status IN ('initialized', 'staged') AND w.status = 'initialized' AND (
			EXISTS (SELECT 1 FROM uploads u WHERE u.deploy = w.id AND u.arrived_at > 0) OR
			w.image = '' AND (w.source <> '' OR w.safe_switch <> ''))
		ORDER BY IIF(w.uploaded_at > 0, w.uploaded_at, w.created_at), w.number`, of)
}

// UploadsOf returns the uploads to a Deployment, also to a deleted one.
func (tx *Tx) UploadsOf(of slipway.DeploymentID) ([]Upload, error) {
	return list(tx, "uploads of deployment", scanUpload, `
		SELECT `+uploadColumns+` FROM uploads WHERE deploy IN (SELECT id FROM deploys WHERE deployment = ?)`, of)
}

// Contents looks up where the contents of a Deployment lie.
type Contents struct {
	tx   *Tx
	of   slipway.DeploymentID
	stmt *sql.Stmt
	err  error
}

// Contents returns a look-up for many contents of a Deployment, to be closed.
func (tx *Tx) Contents(of slipway.DeploymentID) (*Contents, error) {
	stmt, err := tx.tx.PrepareContext(tx.ctx, `SELECT pack, start, length FROM contents WHERE deployment = ? AND sha256 = ?`)
	if err != nil {
		return nil, fmt.Errorf("contents: %w", err)
	}
	return &Contents{tx: tx, of: of, stmt: stmt}, nil
}

// Place returns where a content lies, and whether it is stored. After an error
// nothing is; Close tells it.
func (c *Contents) Place(sum string) (p slipway.Place, stored bool) {
	key, err := hex.DecodeString(sum)
	if err == nil && c.err == nil {
		err = c.stmt.QueryRowContext(c.tx.ctx, c.of, key).Scan(&p.Pack, &p.Offset, &p.Length)
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) && c.err == nil {
		c.err = fmt.Errorf("content %q: %w", sum, err)
	}
	return p, err == nil && c.err == nil
}

// Close ends the look-up and returns the first error that it met.
func (c *Contents) Close() error { return errors.Join(c.err, c.stmt.Close()) }

// SameBefore returns the newest deploy that brought the content sum to path,
// and whether any did. Only those that were confirmed before position count; 0
// for all.
func (tx *Tx) SameBefore(of slipway.DeploymentID, path, sum string, position int64) (slipway.Deploy, bool, error) {
	key, err := hex.DecodeString(sum)
	if err != nil {
		return slipway.Deploy{}, false, fmt.Errorf("content %q: %w", sum, err)
	}
	return first(list(tx, "same content before", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w JOIN file_changes c ON c.deployment = w.deployment AND c.number = w.number
		WHERE c.deployment = ?1 AND c.path = ?2 AND c.sha256 = ?3 AND c.op <> 'removed' AND (?4 = 0 OR w.position < ?4)
		ORDER BY w.position DESC LIMIT 1`, of, path, key, position))
}
