package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// seed adds so many deploys to the history of a portal that does not run, as
// copies of its last one, spread over a year: to make them one by one would take days.
func (s *side) seed(ctx context.Context, deploys int) (err error) {
	found, err := filepath.Glob(filepath.Join(s.data, "*.db"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("the database in %s: found %v: %w", s.data, found, err)
	}
	db, err := sql.Open("sqlite", "file:"+found[0]+"?_pragma=synchronous(OFF)&_pragma=cache_size(-200000)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	columns, err := columnsOf(ctx, db, "deploys")
	if err != nil {
		return err
	}
	gap := year.Milliseconds() / int64(deploys)
	// What is there lies before what comes, by a gap for each deploy.
	for _, c := range columns {
		if strings.HasSuffix(c, "_at") {
			_, err = db.ExecContext(ctx, fmt.Sprintf(`UPDATE deploys SET %[1]s = %[1]s - ? * ? WHERE %[1]s > 0`, c), gap, deploys+1)
			if err != nil {
				return err
			}
		}
	}
	const chunk = 50_000
	for from := 0; from < deploys; from += chunk {
		if err := s.copies(ctx, db, columns, from, min(chunk, deploys-from), gap); err != nil {
			return err
		}
	}
	_, err = db.ExecContext(ctx, `
		UPDATE deployments SET last_number = last_number + ?1, last_position = last_position + ?1 WHERE id = ?2;
		PRAGMA wal_checkpoint(TRUNCATE)`, deploys, s.of)
	return err
}

// year is the time over which the deploys are spread.
const year = 365 * 24 * time.Hour

// columnsOf returns the columns of a table.
func columnsOf(ctx context.Context, db *sql.DB, table string) (all []string, err error) {
	rows, err := db.QueryContext(ctx, `SELECT name FROM pragma_table_info(?)`, table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c string
		if err := rows.Scan(&c); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// copies adds n copies of the deploy that init's Deployment had last, the
// first of which is the from-th, gap milliseconds apart. Each changed one file.
func (s *side) copies(ctx context.Context, db *sql.DB, columns []string, from, n int, gap int64) error {
	values := make([]string, len(columns))
	for i, c := range columns {
		values[i] = copied(c, gap)
	}
	with := `WITH RECURSIVE i (n) AS (SELECT ?1 + 1 UNION ALL SELECT n + 1 FROM i WHERE n < ?1 + ?2) `
	_, err := db.ExecContext(ctx, with+`
		INSERT INTO deploys (`+strings.Join(columns, ", ")+`)
		SELECT `+strings.Join(values, ", ")+` FROM deploys t, i WHERE t.deployment = ?3 AND t.number = 2 ORDER BY i.n`, from, n, s.of)
	if err != nil {
		return fmt.Errorf("copy deploys: %w", err)
	}
	_, err = db.ExecContext(ctx, with+`
		INSERT INTO file_changes (deployment, path, number, op, sha256)
		SELECT t.deployment, t.path, t.number + i.n, t.op, t.sha256 FROM file_changes t, i
		WHERE t.deployment = ?3 AND t.number = 2 ORDER BY i.n`, from, n, s.of)
	return err
}

// copied returns what a column of the i.n-th copy holds. Deploys take up to a minute
// more than the first one, and one in 20 failed.
func copied(column string, gap int64) string {
	switch {
	case column == "id":
		return `'copy-' || i.n`
	case column == "number", column == "position":
		return "t." + column + " + i.n"
	case column == "version":
		return `strftime('%Y-%m-%dT%H:%M:%S.0000000Z', t.created_at / 1000 + i.n, 'unixepoch')`
	case column == "description":
		return `IIF(i.n % 10 = 1, 'nightly load ', 'a change ') || i.n`
	case column == "status":
		return `IIF(i.n % 20 = 7, 'failed', t.status)`
	case column == "ended_at":
		return fmt.Sprintf("t.ended_at + %d * i.n + i.n * 7919 %% 60000", gap)
	case strings.HasSuffix(column, "_at"):
		return fmt.Sprintf("IIF(t.%[1]s = 0, 0, t.%[1]s + %[2]d * i.n)", column, gap)
	}
	return "t." + column
}
