package store

import "slipway/internal/slipway"

// OrphanedNamespaces returns the orphaned namespaces, by name.
func (tx *Tx) OrphanedNamespaces() ([]slipway.OrphanedNamespace, error) {
	return list(tx, "orphaned namespaces", func(r row) (a slipway.OrphanedNamespace, err error) {
		err = r.Scan(&a.Namespace, millis{&a.Since})
		return a, err
	}, `SELECT namespace, since FROM set_aside ORDER BY namespace`)
}

// AddOrphanedNamespace records a namespace, or Everything, as orphaned from now
// on. An earlier record keeps its time.
func (tx *Tx) AddOrphanedNamespace(namespace string) error {
	return tx.exec("add orphaned namespace", `INSERT INTO set_aside (namespace, since) VALUES (?, ?) ON CONFLICT DO NOTHING`, namespace, ms(tx.Now))
}

// DropOrphanedNamespace removes the record of an orphaned namespace, or of
// Everything.
func (tx *Tx) DropOrphanedNamespace(namespace string) error {
	return tx.exec("drop orphaned namespace", `DELETE FROM set_aside WHERE namespace = ?`, namespace)
}

// EverythingOrphaned reports whether Everything is orphaned: meanwhile no
// record expires, and no file without a record is deleted.
func (tx *Tx) EverythingOrphaned() (bool, error) {
	all, err := tx.OrphanedNamespaces()
	if err != nil || len(all) == 0 || all[0].Namespace != slipway.Everything {
		return false, err
	}
	return !all[0].Over(tx.Now), nil
}

// isOrphaned reports whether a namespace is orphaned.
func (tx *Tx) isOrphaned(namespace string) (bool, error) {
	n, err := tx.count("orphaned namespace", `SELECT COUNT(*) FROM set_aside WHERE namespace = ?`, namespace)
	return n > 0, err
}

// MintedFor returns the deploy for which a version of a Deployment was minted,
// false for none.
func (tx *Tx) MintedFor(of slipway.DeploymentID, v slipway.Version) (slipway.Deploy, bool, error) {
	return first(list(tx, "deploy of version", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w WHERE w.deployment = ? AND w.version = ? AND w.return_to = 0 LIMIT 1`, of, v))
}
