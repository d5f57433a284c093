package store

import (
	"crypto/rand"
	"time"

	"slipway/internal/slipway"
)

// LeaseLife is how long a lease lasts unless its holder renews it.
const LeaseLife = 2 * time.Minute

// TakeLease holds back, until it expires or is given back, the removal of
// everything that records name. holder says who reads it, for people.
func (tx *Tx) TakeLease(holder string, life time.Duration) (id string, err error) {
	if err := tx.exec("drop expired leases", `DELETE FROM leases WHERE expires_at <= ?`, ms(tx.Now)); err != nil {
		return "", err
	}
	id = rand.Text()
	return id, tx.exec("take lease", `INSERT INTO leases (id, holder, expires_at) VALUES (?, ?, ?)`, id, holder, ms(tx.Now.Add(life)))
}

// RenewLease prolongs a lease. One that has run out cannot be: something may
// have been removed since.
func (tx *Tx) RenewLease(id string, life time.Duration) error {
	n, err := tx.changed("renew lease", `UPDATE leases SET expires_at = ? WHERE id = ? AND expires_at > ?`,
		ms(tx.Now.Add(life)), id, ms(tx.Now))
	if err == nil && n == 0 {
		return slipway.Errorf(slipway.Conflict, "This process was held up for so long that its claim on the stored files has run out. Run it again.")
	}
	return err
}

// EndLease gives a lease back.
func (tx *Tx) EndLease(id string) error {
	return tx.exec("end lease", `DELETE FROM leases WHERE id = ?`, id)
}

// Leased reports whether somebody reads what records name: then no pack, no
// manifest and no Deployment may be removed, nor forgotten by its record.
func (tx *Tx) Leased() (bool, error) {
	n, err := tx.count("leases", `SELECT EXISTS (SELECT 1 FROM leases WHERE expires_at > ?)`, ms(tx.Now))
	return n > 0, err
}
