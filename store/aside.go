package store

import "slipway/internal/slipway"

// Asides returns what is set aside, by namespace.
func (tx *Tx) Asides() ([]slipway.Aside, error) {
	return list(tx, "what is set aside", func(r row) (a slipway.Aside, err error) {
		err = r.Scan(&a.Namespace, millis{&a.Since})
		return a, err
	}, `SELECT namespace, since FROM set_aside ORDER BY namespace`)
}

// SetAside notes that a namespace, or Everything, is set aside from now on. What
// is set aside already stays so since then.
func (tx *Tx) SetAside(namespace string) error {
	return tx.exec("set aside", `INSERT INTO set_aside (namespace, since) VALUES (?, ?) ON CONFLICT DO NOTHING`, namespace, ms(tx.Now))
}

// DropAside forgets that a namespace, or Everything, is set aside.
func (tx *Tx) DropAside(namespace string) error {
	return tx.exec("drop what is set aside", `DELETE FROM set_aside WHERE namespace = ?`, namespace)
}

// Held reports whether Everything is set aside: nothing expires then, and
// nothing is deleted that no record names.
func (tx *Tx) Held() (bool, error) {
	all, err := tx.Asides()
	if err != nil || len(all) == 0 || all[0].Namespace != slipway.Everything {
		return false, err
	}
	return !all[0].Over(tx.Now), nil
}

// isAside reports whether a namespace is set aside.
func (tx *Tx) isAside(namespace string) (bool, error) {
	n, err := tx.count("set aside", `SELECT COUNT(*) FROM set_aside WHERE namespace = ?`, namespace)
	return n > 0, err
}

// MintedFor returns the deploy that a version of a Deployment was minted for,
// and whether there is one.
func (tx *Tx) MintedFor(of slipway.DeploymentID, v slipway.Version) (slipway.Deploy, bool, error) {
	return first(list(tx, "deploy of version", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w WHERE w.deployment = ? AND w.version = ? AND w.return_to = 0 LIMIT 1`, of, v))
}
