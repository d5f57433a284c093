package store

import (
	"time"

	"slipway/internal/slipway"
)

// LogLine is a line of what a deploy's rollout said.
type LogLine struct {
	Line int // counts from 1
	At   time.Time
	Text string
}

// AddLog appends lines to the log of a deploy.
func (tx *Tx) AddLog(id slipway.DeployID, lines []string) error {
	for _, text := range lines {
		err := tx.exec("add log", `
			INSERT INTO deploy_log (deploy, line, at, text)
			SELECT ?1, COALESCE(MAX(line), 0) + 1, ?2, ?3 FROM deploy_log WHERE deploy = ?1`, id, ms(tx.Now), text)
		if err != nil {
			return err
		}
	}
	return nil
}

// Log returns up to limit lines of the log of a deploy, those after a line.
func (tx *Tx) Log(id slipway.DeployID, after, limit int) ([]LogLine, error) {
	return list(tx, "log", func(r row) (l LogLine, err error) {
		err = r.Scan(&l.Line, millis{&l.At}, &l.Text)
		return l, err
	}, `SELECT line, at, text FROM deploy_log WHERE deploy = ? AND line > ? ORDER BY line LIMIT ?`, id, after, limit)
}
