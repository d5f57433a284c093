package store

import (
	"encoding/hex"
	"time"

	"slipway/internal/slipway"
)

// PacksAfter returns up to limit packs of a Deployment, recorded at or before
// until, by sha256 from the first above after; "" for the first.
func (tx *Tx) PacksAfter(of slipway.DeploymentID, after string, until time.Time, limit int) ([]Pack, error) {
	return list(tx, "packs", func(r row) (p Pack, err error) {
		err = r.Scan(&p.SHA256, &p.Size, millis{&p.CreatedAt})
		return p, err
	}, `
		SELECT sha256, size, created_at FROM packs
		WHERE deployment = ? AND sha256 > ? AND created_at <= ? ORDER BY sha256 LIMIT ?`, of, after, ms(until), limit)
}

// VersionsAfter returns up to limit versions of a Deployment, recorded at or
// before until, by name from the first above after; "" for the first.
func (tx *Tx) VersionsAfter(of slipway.DeploymentID, after slipway.Version, until time.Time, limit int) ([]BundleVersion, error) {
	return list(tx, "versions", scanVersion, `
		SELECT `+versionColumns+` FROM versions v
		WHERE v.deployment = ? AND v.version > ? AND v.created_at <= ? ORDER BY v.version LIMIT ?`, of, after, ms(until), limit)
}

// StoredContent is the place of a content, by the record for later deploys.
type StoredContent struct {
	SHA256 string
	slipway.Place
}

// ContentsIn returns up to limit contents of a pack, by sha256 from the first
// above after; "" for the first.
func (tx *Tx) ContentsIn(of slipway.DeploymentID, pack, after string, limit int) ([]StoredContent, error) {
	key, err := hex.DecodeString(after)
	if err != nil {
		return nil, err
	}
	return list(tx, "contents of pack", func(r row) (c StoredContent, err error) {
		var sum []byte
		err = r.Scan(&sum, &c.Pack, &c.Offset, &c.Length)
		c.SHA256 = hex.EncodeToString(sum)
		return c, err
	}, `
		SELECT sha256, pack, start, length FROM contents
		WHERE deployment = ? AND pack = ? AND sha256 > ? ORDER BY sha256 LIMIT ?`, of, pack, append([]byte{}, key...), limit)
}

// HasPack reports whether a pack of a Deployment is recorded.
func (tx *Tx) HasPack(of slipway.DeploymentID, sum string) (bool, error) {
	n, err := tx.count("pack", `SELECT COUNT(*) FROM packs WHERE deployment = ? AND sha256 = ?`, of, sum)
	return n > 0, err
}

// Unclaimed returns the packs, out of packs, without a claim of a deploy.
func (tx *Tx) Unclaimed(w slipway.DeployID, of slipway.DeploymentID, packs []string) ([]string, error) {
	return list(tx, "unclaimed packs", scanText, `
		SELECT value FROM json_each(?3) WHERE value NOT IN (
			SELECT pack FROM pack_uses WHERE deployment = ?1 AND deploy = ?2)`, of, w, asJSON(packs))
}

// Holding returns the unfinished deploys of a Deployment whose staged files are
// still in the database.
func (tx *Tx) Holding(of slipway.DeploymentID) ([]slipway.Deploy, error) {
	return list(tx, "deploys with staged files", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w JOIN staged s ON s.deploy = w.id
		WHERE w.deployment = ? AND length(s.files) > 0 AND w.status IN ('staged', 'queued', 'deploying') ORDER BY w.number`, of)
}
