package store

import (
	"time"

	"slipway/internal/slipway"
)

// Ended is a finished deploy for the metrics.
type Ended struct {
	ID       slipway.DeployID
	Kind     slipway.DeployKind
	Status   slipway.Status
	QueuedAt time.Time
	EndedAt  time.Time
}

// EndedSince returns the deploys finished at a time or later.
func (tx *Tx) EndedSince(t time.Time) ([]Ended, error) {
	return list(tx, "ended deploys", func(r row) (e Ended, err error) {
		err = r.Scan(&e.ID, &e.Kind, &e.Status, millis{&e.QueuedAt}, millis{&e.EndedAt})
		return e, err
	}, `SELECT id, kind, status, queued_at, ended_at FROM deploys WHERE ended_at >= ? AND ended_at > 0 ORDER BY ended_at`, ms(t))
}

// OpenDeploys is the number of unfinished deploys of a kind with a status.
type OpenDeploys struct {
	Kind   slipway.DeployKind
	Status slipway.Status
	Number int
}

// CountOpen counts the unfinished deploys.
func (tx *Tx) CountOpen() ([]OpenDeploys, error) {
	return list(tx, "open deploys", func(r row) (o OpenDeploys, err error) {
		err = r.Scan(&o.Kind, &o.Status, &o.Number)
		return o, err
	}, `SELECT kind, status, COUNT(*) FROM deploys WHERE status IN ('queued', 'deploying') GROUP BY kind, status
		UNION ALL
		SELECT kind, status, COUNT(*) FROM deploys WHERE status IN ('initialized', 'staged') GROUP BY kind, status`)
}

// Measure has the figures of a Deployment.
type Measure struct {
	Queue    int   // running or waiting deploys
	Versions int   // retained
	Packs    int   // retained
	Stored   int64 // bytes of packs
}

// Measures returns the figures of a Deployment.
func (tx *Tx) Measures(of slipway.DeploymentID) (Measure, error) {
	return one(tx, "measure deployment", nil, func(r row) (m Measure, err error) {
		err = r.Scan(&m.Queue, &m.Versions, &m.Packs, &m.Stored)
		return m, err
	}, `SELECT (SELECT COUNT(*) FROM deploys INDEXED BY deploys_queue WHERE deployment = ?1 AND status IN ('queued', 'deploying')),
		(SELECT COUNT(*) FROM versions WHERE deployment = ?1), COUNT(*), COALESCE(SUM(size), 0) FROM packs WHERE deployment = ?1`, of)
}

// Stored is the space that the packs of a Deployment take.
type Stored struct {
	Packs int
	Bytes int64
}

// StoredSums returns the space of every Deployment with packs, from sums that
// the database keeps.
func (tx *Tx) StoredSums() (map[slipway.DeploymentID]Stored, error) {
	type sum struct {
		of slipway.DeploymentID
		Stored
	}
	all, err := list(tx, "stored sums", func(r row) (s sum, err error) {
		err = r.Scan(&s.of, &s.Packs, &s.Bytes)
		return s, err
	}, `SELECT deployment, packs, bytes FROM stored`)
	of := map[slipway.DeploymentID]Stored{}
	for _, s := range all {
		of[s.of] = s.Stored
	}
	return of, err
}

// Size returns the size of the database in bytes, without the -wal.
func (tx *Tx) Size() (n int64, err error) {
	return one(tx, "size of the database", nil, func(r row) (n int64, err error) {
		err = r.Scan(&n)
		return n, err
	}, `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`)
}
