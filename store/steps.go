package store

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"

	"slipway/internal/slipway"
)

// stepMax is the largest number of changed files recorded in a step. For more,
// comparing the manifests is faster.
const stepMax = 2000

// step is the change of the files of a Deployment by one deploy.
type step struct {
	base, version slipway.Version
	changes       []byte
}

func scanStep(r row) (s step, err error) {
	err = r.Scan(&s.base, &s.version, &s.changes)
	return s, err
}

// AddStep records the changes to files by w, which is live from now on.
func (tx *Tx) AddStep(w slipway.Deploy, changes []slipway.Change) error {
	packed, err := packChanges(changes)
	if err != nil {
		return fmt.Errorf("step of deploy %s: %w", w.ID, err)
	}
	return tx.exec("add step", `
		INSERT INTO steps (deployment, position, base, version, count, changes) VALUES (?, ?, ?, ?, ?, ?)`,
		w.Deployment, w.Position, w.Base, w.After.Version, len(changes), packed)
}

// namedMax is the largest number of changed files of a deploy whose names a list
// of deploys shows.
const namedMax = 100

// ChangedFiles returns the changes to files by the deploys at positions in the queue
// of a Deployment, by position. Deploys with more than namedMax changed files are
// left out.
func (tx *Tx) ChangedFiles(of slipway.DeploymentID, positions []int64) (map[int64][]slipway.Change, error) {
	all := map[int64][]slipway.Change{}
	_, err := list(tx, "named files", func(r row) (_ struct{}, err error) {
		var at int64
		var s step
		if err = r.Scan(&at, &s.changes); err == nil {
			all[at], err = s.unpack()
		}
		return struct{}{}, err
	}, namedSteps, of, asJSON(positions), namedMax)
	return all, err
}

// packChanges leaves out the places of contents, because merging packs changes
// places.
func packChanges(changes []slipway.Change) ([]byte, error) {
	if len(changes) > stepMax {
		return nil, nil
	}
	bare := make([]slipway.Change, len(changes))
	for i, c := range changes {
		c.Old.Place, c.New.Place = slipway.Place{}, slipway.Place{}
		bare[i] = c
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(z).Encode(bare); err != nil {
		return nil, err
	}
	err = z.Close()
	return b.Bytes(), err
}

func (s step) unpack() (changes []slipway.Change, err error) {
	z, err := gzip.NewReader(bytes.NewReader(s.changes))
	if err != nil {
		return nil, err
	}
	err = json.NewDecoder(z).Decode(&changes)
	return changes, err
}

// Steps returns the changes to files between two versions of a Deployment, for
// each deploy by path and without places. known is false if the records do not
// lead from one version to the other, or only by more than limit changes.
func (tx *Tx) Steps(of slipway.DeploymentID, from, to slipway.Version, limit int) (steps [][]slipway.Change, known bool, err error) {
	first, last, err := tx.stepRange(of, from, to)
	if err != nil || first == 0 && from != "" || first >= last {
		return nil, false, err
	}
	n, err := tx.changesBetween(of, first, last, limit)
	if err != nil || n > limit {
		return nil, false, err
	}
	all, err := list(tx, "steps", scanStep, stepsBetween, of, first, last)
	if err != nil {
		return nil, false, err
	}
	for _, s := range all {
		if s.base != from || s.changes == nil {
			return nil, false, nil // an unrecorded change came in between
		}
		changes, err := s.unpack()
		if err != nil {
			return nil, false, fmt.Errorf("step to %s: %w", s.version, err)
		}
		steps, from = append(steps, changes), s.version
	}
	return steps, from == to, nil
}

// stepRange returns the positions of the last deploys to make each of two
// versions the desired one; 0 for no version.
func (tx *Tx) stepRange(of slipway.DeploymentID, from, to slipway.Version) (first, last int64, err error) {
	if first, err = tx.wantedAt(of, from); err != nil {
		return 0, 0, err
	}
	last, err = tx.wantedAt(of, to)
	return first, last, err
}

func (tx *Tx) wantedAt(of slipway.DeploymentID, v slipway.Version) (int64, error) {
	return one(tx, "place of version", nil, func(r row) (n int64, err error) {
		err = r.Scan(&n)
		return n, err
	}, lastWanted, of, v)
}

// changesBetween counts the changes in the steps after first up to last, and a
// step itself as one; more than limit are not counted.
func (tx *Tx) changesBetween(of slipway.DeploymentID, first, last int64, limit int) (int, error) {
	return tx.count("changes between", countBetween, of, first, last, limit+1)
}

const (
	namedSteps = `SELECT position, changes FROM steps
		WHERE deployment = ? AND position IN (SELECT value FROM json_each(?)) AND count BETWEEN 1 AND ? AND changes IS NOT NULL`
	lastWanted   = `SELECT COALESCE(MAX(position), 0) FROM versions WHERE deployment = ? AND version = ?`
	countBetween = `SELECT COALESCE(SUM(count + 1), 0) FROM (
		SELECT count FROM steps WHERE deployment = ? AND position > ? AND position <= ? ORDER BY position LIMIT ?)`
	stepsBetween = `SELECT base, version, changes FROM steps
		WHERE deployment = ? AND position > ? AND position <= ? ORDER BY position`
)
