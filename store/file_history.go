package store

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"

	"slipway/internal/slipway"
)

// FileStep is the change of a file by a deploy that went live.
type FileStep struct {
	Deploy slipway.Deploy
	Op     slipway.Op
	SHA256 string // of the content afterwards; "" for a link or a removed file

	// Modes before and after, as git writes modes: "100755". "" for no file, and for
	// deploys of earlier releases.
	OldMode, Mode string
}

// with is a row with further columns behind the columns of its scan.
type with struct {
	row
	more []any
}

func (r with) Scan(dest ...any) error { return r.row.Scan(append(dest, r.more...)...) }

func scanFileStep(r row) (s FileStep, err error) {
	var sum []byte
	s.Deploy, err = scanDeploy(with{r, []any{&s.Op, &sum, &s.OldMode, &s.Mode}})
	s.SHA256 = hex.EncodeToString(sum)
	return s, err
}

// FileHistory returns up to limit deploys with a change of the file at path,
// newest first, with numbers below before; 0 for the newest.
func (tx *Tx) FileHistory(of slipway.DeploymentID, path string, before, limit int) ([]FileStep, error) {
	if before == 0 {
		before = math.MaxInt32
	}
	return list(tx, "file history", scanFileStep, fileStepsBefore, of, path, before, limit)
}

// FileHistoryAfter returns up to limit deploys with a change of the file at
// path and numbers above after, newest first: the page before.
func (tx *Tx) FileHistoryAfter(of slipway.DeploymentID, path string, after, limit int) ([]FileStep, error) {
	steps, err := list(tx, "file history after", scanFileStep, fileStepsAfter, of, path, after, limit)
	if err != nil {
		return nil, err
	}
	slices.Reverse(steps)
	return steps, nil
}

// FileStep returns the change of the file at path by deploy number.
func (tx *Tx) FileStep(of slipway.DeploymentID, path string, number int) (FileStep, error) {
	return one(tx, "file step", slipway.Errorf(slipway.NotFound, "Deploy #%d did nothing to the file %q.", number, path), scanFileStep,
		fileStepAt, of, path, number)
}

// SameBefore returns the newest deploy that brought the content sum to path,
// false for none. Only deploys with a position below position count; 0 for all.
func (tx *Tx) SameBefore(of slipway.DeploymentID, path, sum string, position int64) (slipway.Deploy, bool, error) {
	key, err := hex.DecodeString(sum)
	if err != nil {
		return slipway.Deploy{}, false, fmt.Errorf("content %q: %w", sum, err)
	}
	return first(list(tx, "same content before", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w JOIN file_changes c ON c.deployment = w.deployment AND c.number = w.number
		WHERE c.deployment = ?1 AND c.path = ?2 AND c.sha256 = ?3 AND c.op <> 'removed' AND (?4 = 0 OR w.position < ?4)
		ORDER BY w.position DESC LIMIT 1`, of, path, key, position))
}

// A file's steps lie side by side in the table, by number. CROSS JOIN keeps the
// tables in the order written here.
var (
	fileSteps = `
		SELECT ` + deployColumns + `, c.op, c.sha256, c.mode_before, c.mode
		FROM file_changes c CROSS JOIN deploys w ON w.deployment = c.deployment AND w.number = c.number
		WHERE c.deployment = ? AND c.path = ? AND `
	fileStepsBefore = fileSteps + `c.number < ? ORDER BY c.number DESC LIMIT ?`
	fileStepsAfter  = fileSteps + `c.number > ? ORDER BY c.number LIMIT ?`
	fileStepAt      = fileSteps + `c.number = ?`
)
