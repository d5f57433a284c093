package store

import (
	"crypto/rand"
	"time"

	"slipway/internal/slipway"
)

// LeaseLife is the life of a lease without renewal.
const LeaseLife = 2 * time.Minute

// TakeLease forbids every removal of files named by records, until the lease
// expires or ends. holder describes the reader, for people.
func (tx *Tx) TakeLease(holder string, life time.Duration) (id string, err error) {
	if err := tx.exec("drop expired leases", `DELETE FROM leases WHERE expires_at <= ?`, ms(tx.Now)); err != nil {
		return "", err
	}
	id = rand.Text()
	return id, tx.exec("take lease", `INSERT INTO leases (id, holder, expires_at) VALUES (?, ?, ?)`, id, holder, ms(tx.Now.Add(life)))
}

// RenewLease prolongs a lease. An expired lease cannot be renewed: files may
// have been removed since.
func (tx *Tx) RenewLease(id string, life time.Duration) error {
	n, err := tx.changed("renew lease", `UPDATE leases SET expires_at = ? WHERE id = ? AND expires_at > ?`,
		ms(tx.Now.Add(life)), id, ms(tx.Now))
	if err == nil && n == 0 {
		return slipway.Errorf(slipway.Conflict, "This process was held up for so long that its claim on the stored files has run out. Run it again.")
	}
	return err
}

// EndLease ends a lease.
func (tx *Tx) EndLease(id string) error {
	return tx.exec("end lease", `DELETE FROM leases WHERE id = ?`, id)
}

// Leased reports whether a process holds a lease: meanwhile no pack, manifest
// or Deployment may be removed, nor its record.
func (tx *Tx) Leased() (bool, error) {
	n, err := tx.count("leases", `SELECT EXISTS (SELECT 1 FROM leases WHERE expires_at > ?)`, ms(tx.Now))
	return n > 0, err
}
