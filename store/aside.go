package store

import "slipway/internal/slipway"

// Asides returns the orphaned namespaces, by name.
func (tx *Tx) Asides() ([]slipway.Aside, error) {
	return list(tx, "what is set aside", func(r row) (a slipway.Aside, err error) {
		err = r.Scan(&a.Namespace, millis{&a.Since})
		return a, err
	}, `SELECT namespace, since FROM set_aside ORDER BY namespace`)
}

// SetAside records a namespace, or Everything, as orphaned from now on. An
// earlier record keeps its time.
func (tx *Tx) SetAside(namespace string) error {
	return tx.exec("set aside", `INSERT INTO set_aside (namespace, since) VALUES (?, ?) ON CONFLICT DO NOTHING`, namespace, ms(tx.Now))
}

// DropAside removes the record of an orphaned namespace, or of Everything.
func (tx *Tx) DropAside(namespace string) error {
	return tx.exec("drop what is set aside", `DELETE FROM set_aside WHERE namespace = ?`, namespace)
}

// Held reports whether Everything is orphaned: meanwhile no record expires, and
// no file without a record is deleted.
func (tx *Tx) Held() (bool, error) {
	all, err := tx.Asides()
	if err != nil || len(all) == 0 || all[0].Namespace != slipway.Everything {
		return false, err
	}
	return !all[0].Over(tx.Now), nil
}

// isAside reports whether a namespace is orphaned.
func (tx *Tx) isAside(namespace string) (bool, error) {
	n, err := tx.count("set aside", `SELECT COUNT(*) FROM set_aside WHERE namespace = ?`, namespace)
	return n > 0, err
}

// MintedFor returns the deploy for which a version of a Deployment was minted,
// false for none.
func (tx *Tx) MintedFor(of slipway.DeploymentID, v slipway.Version) (slipway.Deploy, bool, error) {
	return first(list(tx, "deploy of version", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w WHERE w.deployment = ? AND w.version = ? AND w.return_to = 0 LIMIT 1`, of, v))
}
