package store

import (
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"slipway/internal/slipway"
)

// BundleVersion is a retained DAG bundle version.
type BundleVersion struct {
	Version   slipway.Version
	Deploy    slipway.DeployID // that brought the version
	Number    int              // of the deploy
	Files     int
	Size      int64 // of the files, bytes
	Stored    int64 // bytes of the manifest and of the version's own pack
	CreatedAt time.Time
}

const versionColumns = `v.version, v.deploy, v.number, v.files, v.size, v.stored, v.created_at`

func scanVersion(r row) (v BundleVersion, err error) {
	err = r.Scan(&v.Version, &v.Deploy, &v.Number, &v.Files, &v.Size, &v.Stored, millis{&v.CreatedAt})
	return v, err
}

// AddVersion records a version of a Deployment that is complete on disk. A
// second record is ignored: after a crash, the same deploy runs again.
func (tx *Tx) AddVersion(of slipway.DeploymentID, v BundleVersion) error {
	return tx.exec("add version", `
		INSERT INTO versions (deployment, version, deploy, number, files, size, stored, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		of, v.Version, v.Deploy, v.Number, v.Files, v.Size, v.Stored, ms(tx.Now))
}

// BundleVersion returns a version of a Deployment.
func (tx *Tx) BundleVersion(of slipway.DeploymentID, v slipway.Version) (BundleVersion, error) {
	return one(tx, "version", slipway.Errorf(slipway.NotFound, "There is no DAG bundle version %s, or it is no longer kept.", v), scanVersion,
		`SELECT `+versionColumns+` FROM versions v WHERE v.deployment = ? AND v.version = ?`, of, v)
}

// Retained reports whether a version of a Deployment is kept.
func (tx *Tx) Retained(of slipway.DeploymentID, v slipway.Version) (bool, error) {
	n, err := tx.count("retained", `SELECT COUNT(*) FROM versions WHERE deployment = ? AND version = ?`, of, v)
	return n > 0, err
}

// RetainedOf returns the retained versions of a Deployment out of versions.
func (tx *Tx) RetainedOf(of slipway.DeploymentID, versions []slipway.Version) (map[slipway.Version]bool, error) {
	kept, err := list(tx, "retained versions", scanText, `
		SELECT version FROM versions WHERE deployment = ? AND version IN (SELECT value FROM json_each(?))`, of, asJSON(versions))
	if err != nil {
		return nil, err
	}
	all := make(map[slipway.Version]bool, len(kept))
	for _, v := range kept {
		all[slipway.Version(v)] = true
	}
	return all, nil
}

// BundleVersions returns up to limit versions of a Deployment, newest deploy
// first, with numbers below before; 0 for the newest.
func (tx *Tx) BundleVersions(of slipway.DeploymentID, before, limit int) ([]BundleVersion, error) {
	return list(tx, "versions", scanVersion, `
		SELECT `+versionColumns+` FROM versions v
		WHERE v.deployment = ?1 AND (?2 = 0 OR v.number < ?2) ORDER BY v.version DESC LIMIT ?3`, of, before, limit)
}

// CountVersions counts the retained DAG bundle versions of a Deployment.
func (tx *Tx) CountVersions(of slipway.DeploymentID) (int, error) {
	return tx.count("versions", `SELECT COUNT(*) FROM versions WHERE deployment = ?`, of)
}

// UsesOf returns the numbers of up to limit deploys that made a version the
// desired one of a Deployment, newest first.
func (tx *Tx) UsesOf(of slipway.DeploymentID, v slipway.Version, limit int) ([]int, error) {
	return list(tx, "uses of version", scanCount, `
		SELECT number FROM deploys INDEXED BY deploys_version WHERE deployment = ? AND version = ? AND live_at > 0 ORDER BY number DESC LIMIT ?`, of, v, limit)
}

// Pack is a file with the new contents of a deploy.
type Pack struct {
	SHA256    string
	Size      int64
	CreatedAt time.Time
}

// AddPack records a pack of a Deployment, and the place of each content by
// sha256.
func (tx *Tx) AddPack(of slipway.DeploymentID, p Pack, contents map[string]slipway.Place) error {
	err := tx.exec("add pack", `INSERT INTO packs (deployment, sha256, size, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		of, p.SHA256, p.Size, ms(tx.Now))
	if err != nil {
		return err
	}
	stmt, err := tx.tx.PrepareContext(tx.ctx, `
		INSERT INTO contents (deployment, sha256, pack, start, length) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`)
	if err != nil {
		return fmt.Errorf("add contents: %w", err)
	}
	defer stmt.Close()
	for _, sum := range slices.Sorted(maps.Keys(contents)) { // in the order of the table
		at := contents[sum]
		key, err := hex.DecodeString(sum)
		if err != nil {
			return fmt.Errorf("content %q: %w", sum, err)
		}
		if _, err := stmt.ExecContext(tx.ctx, of, key, at.Pack, at.Offset, at.Length); err != nil {
			return fmt.Errorf("add content: %w", err)
		}
	}
	return nil
}

// HasContents reports whether any content of a Deployment is stored.
func (tx *Tx) HasContents(of slipway.DeploymentID) (bool, error) {
	n, err := tx.count("has contents", `SELECT EXISTS (SELECT 1 FROM contents WHERE deployment = ?)`, of)
	return n > 0, err
}

// Content returns the place of a content of a Deployment, false if the content
// is not stored.
func (tx *Tx) Content(of slipway.DeploymentID, sum string) (slipway.Place, bool, error) {
	key, err := hex.DecodeString(sum)
	if err != nil {
		return slipway.Place{}, false, fmt.Errorf("content %q: %w", sum, err)
	}
	return first(list(tx, "content", func(r row) (p slipway.Place, err error) {
		err = r.Scan(&p.Pack, &p.Offset, &p.Length)
		return p, err
	}, `SELECT pack, start, length FROM contents WHERE deployment = ? AND sha256 = ?`, of, key))
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

// Place returns the place of a content, and false for a content that is not
// stored. After an error Place always returns false; Close returns the error.
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

// Close ends the look-up and returns the first error of Place.
func (c *Contents) Close() error { return errors.Join(c.err, c.stmt.Close()) }

// ClaimPacks records packs as needed by a deploy.
func (tx *Tx) ClaimPacks(w slipway.Deploy, packs []string) error {
	for _, p := range packs {
		err := tx.exec("claim pack", `INSERT INTO pack_uses (deployment, pack, deploy) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			w.Deployment, p, w.ID)
		if err != nil {
			return err
		}
	}
	return nil
}

// DropUnusedPacks deletes the records of the packs of a Deployment without a
// claim, and returns the packs.
func (tx *Tx) DropUnusedPacks(of slipway.DeploymentID) (unused []string, err error) {
	unused, err = list(tx, "drop unused packs", scanText, `
		DELETE FROM packs INDEXED BY packs_loose WHERE deployment = ?1 AND loose = 1 AND NOT EXISTS (
			SELECT 1 FROM pack_uses u WHERE u.deployment = ?1 AND u.pack = packs.sha256)
		RETURNING sha256`, of)
	if err != nil {
		return nil, err
	}
	return unused, tx.exec("note claimed packs", `UPDATE packs INDEXED BY packs_loose SET loose = 0 WHERE deployment = ? AND loose = 1`, of)
}

// Packs returns the packs of a Deployment.
func (tx *Tx) Packs(of slipway.DeploymentID) ([]Pack, error) {
	return list(tx, "packs", func(r row) (p Pack, err error) {
		err = r.Scan(&p.SHA256, &p.Size, millis{&p.CreatedAt})
		return p, err
	}, `SELECT sha256, size, created_at FROM packs WHERE deployment = ? ORDER BY created_at, sha256`, of)
}

// AddChanges records the changes to files by a deploy.
func (tx *Tx) AddChanges(w slipway.Deploy, changes []slipway.Change) error {
	stmt, err := tx.tx.PrepareContext(tx.ctx, `
		INSERT INTO file_changes (deployment, path, number, op, sha256, mode_before, mode) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`)
	if err != nil {
		return fmt.Errorf("add changes: %w", err)
	}
	defer stmt.Close()
	for _, c := range changes {
		sum, err := hex.DecodeString(c.New.SHA256)
		if err != nil {
			return fmt.Errorf("change of %s: %w", c.Path, err)
		}
		if _, err := stmt.ExecContext(tx.ctx, w.Deployment, c.Path, w.Number, c.Op, append([]byte{}, sum...), c.Old.Mode(), c.New.Mode()); err != nil {
			return fmt.Errorf("add change: %w", err)
		}
	}
	return nil
}
