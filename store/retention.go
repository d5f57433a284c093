package store

import (
	"encoding/hex"
	"fmt"
	"time"

	"slipway/internal/slipway"
)

// KeptVersion is a version with the figures for retention.
type KeptVersion struct {
	Version    slipway.Version
	ReplacedAt time.Time // time of the replacement by another desired version
	Stored     int64     // bytes of the manifest and of the version's own pack
	Frees      int64     // bytes freed by removal: the manifest, and all packs without another user
}

// replacedAt falls back to the creation for a version never replaced.
const replacedAt = `CASE v.replaced_at WHEN 0 THEN v.created_at ELSE v.replaced_at END`

// ReplacedBefore returns the versions of a Deployment replaced at or before a
// time, oldest first.
func (tx *Tx) ReplacedBefore(of slipway.DeploymentID, until time.Time) ([]KeptVersion, error) {
	return list(tx, "replaced versions", func(r row) (v KeptVersion, err error) {
		err = r.Scan(&v.Version, millis{&v.ReplacedAt})
		return v, err
	}, `SELECT v.version, `+replacedAt+` AS since FROM versions v
		WHERE v.deployment = ? AND since <= ? ORDER BY v.version`, of, ms(until))
}

// KeptVersion returns a version of a Deployment with its sizes, false if the
// version is not retained.
func (tx *Tx) KeptVersion(of slipway.DeploymentID, v slipway.Version) (KeptVersion, bool, error) {
	return first(list(tx, "cost of version", func(r row) (v KeptVersion, err error) {
		err = r.Scan(&v.Version, millis{&v.ReplacedAt}, &v.Stored, &v.Frees)
		return v, err
	}, `SELECT v.version, `+replacedAt+`, v.stored,
			v.stored - COALESCE((SELECT w.counts ->> '$.NewBytes' FROM deploys w WHERE w.id = v.deploy), 0) +
			COALESCE((SELECT SUM(p.size) FROM pack_uses u JOIN packs p ON p.deployment = u.deployment AND p.sha256 = u.pack
				WHERE u.deploy = v.deploy AND NOT EXISTS (
					SELECT 1 FROM pack_uses o WHERE o.deployment = u.deployment AND o.pack = u.pack AND o.deploy <> u.deploy)), 0)
		FROM versions v WHERE v.deployment = ? AND v.version = ?`, of, v))
}

// LastVersions returns the last n versions of a Deployment by creation, and the
// last n by use. The two differ after a return.
func (tx *Tx) LastVersions(of slipway.DeploymentID, n int) ([]slipway.Version, error) {
	return list(tx, "last versions", scanVersionName, `
		SELECT version FROM (SELECT version FROM versions WHERE deployment = ?1 ORDER BY version DESC LIMIT ?2)
		UNION SELECT version FROM (SELECT version FROM versions WHERE deployment = ?1 ORDER BY position DESC LIMIT ?2)`, of, n)
}

// NeededVersions returns the versions of a Deployment named by unfinished
// deploys: new versions, versions to mount again, and bases of comparison.
func (tx *Tx) NeededVersions(of slipway.DeploymentID) ([]slipway.Version, error) {
	return list(tx, "needed versions", scanVersionName, `
		WITH open AS (
			SELECT version, base, after FROM deploys INDEXED BY deploys_queue
			WHERE deployment = ?1 AND status IN ('queued', 'deploying')
			UNION ALL
			SELECT version, base, after FROM deploys INDEXED BY deploys_open
			WHERE deployment = ?1 AND status IN ('initialized', 'staged'))
		SELECT version FROM open UNION SELECT base FROM open UNION SELECT COALESCE(after ->> '$.Version', '') FROM open`, of)
}

func scanVersionName(r row) (v slipway.Version, err error) {
	err = r.Scan(&v)
	return v, err
}

// DropVersion deletes the record of a version of a Deployment, and the claims
// of its deploy. After the commit, the caller removes the manifest, then the
// packs without a claim.
func (tx *Tx) DropVersion(of slipway.DeploymentID, v slipway.Version) error {
	err := tx.exec("release packs of version", `
		DELETE FROM pack_uses WHERE deploy IN (SELECT deploy FROM versions WHERE deployment = ? AND version = ?)`, of, v)
	if err != nil {
		return err
	}
	return tx.exec("drop version", `DELETE FROM versions WHERE deployment = ? AND version = ?`, of, v)
}

// SmallPacks returns how many packs below size a version of a Deployment needs.
func (tx *Tx) SmallPacks(of slipway.DeploymentID, v slipway.Version, size int64) (int, error) {
	return tx.count("small packs", `
		SELECT COUNT(*) FROM versions v
			JOIN pack_uses u ON u.deploy = v.deploy
			JOIN packs p ON p.deployment = u.deployment AND p.sha256 = u.pack
		WHERE v.deployment = ? AND v.version = ? AND p.size < ?`, of, v, size)
}

// MergedPacks returns the merged packs out of packs. Contents of a merged pack
// may lie elsewhere by now.
func (tx *Tx) MergedPacks(of slipway.DeploymentID, packs []string) (map[string]bool, error) {
	merged := map[string]bool{}
	stmt, err := tx.tx.PrepareContext(tx.ctx, `SELECT COUNT(*) FROM packs WHERE deployment = ? AND sha256 = ? AND merged = 1`)
	if err != nil {
		return nil, fmt.Errorf("merged packs: %w", err)
	}
	defer stmt.Close()
	for _, p := range packs {
		var n int
		if err := stmt.QueryRowContext(tx.ctx, of, p).Scan(&n); err != nil {
			return nil, fmt.Errorf("merged packs: %w", err)
		}
		if n > 0 {
			merged[p] = true
		}
	}
	return merged, nil
}

// AddMergedPack records the pack p as the new place of contents from the packs
// from, and claims p for the deploy of a version.
func (tx *Tx) AddMergedPack(of slipway.DeploymentID, v slipway.Version, p Pack, contents map[string]slipway.Place, from []string) error {
	if err := tx.AddPack(of, p, nil); err != nil {
		return err
	}
	if err := tx.moveContents(of, contents); err != nil {
		return err
	}
	for _, sum := range from {
		if err := tx.exec("mark merged pack", `UPDATE packs SET merged = 1 WHERE deployment = ? AND sha256 = ?`, of, sum); err != nil {
			return err
		}
	}
	return tx.exec("claim merged pack", `
		INSERT INTO pack_uses (deployment, pack, deploy) SELECT deployment, ?, deploy FROM versions WHERE deployment = ? AND version = ?
		ON CONFLICT DO NOTHING`, p.SHA256, of, v)
}

// moveContents records where contents of a Deployment lie from now on.
func (tx *Tx) moveContents(of slipway.DeploymentID, contents map[string]slipway.Place) error {
	stmt, err := tx.tx.PrepareContext(tx.ctx, `
		INSERT INTO contents (deployment, sha256, pack, start, length) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (deployment, sha256) DO UPDATE SET pack = excluded.pack, start = excluded.start, length = excluded.length`)
	if err != nil {
		return fmt.Errorf("move contents: %w", err)
	}
	defer stmt.Close()
	for sum, at := range contents {
		key, err := hex.DecodeString(sum)
		if err != nil {
			return fmt.Errorf("content %q: %w", sum, err)
		}
		if _, err := stmt.ExecContext(tx.ctx, of, key, at.Pack, at.Offset, at.Length); err != nil {
			return fmt.Errorf("move content: %w", err)
		}
	}
	return nil
}
