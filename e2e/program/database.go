package program

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	_ "modernc.org/sqlite" // the driver
)

// Integrity returns SQLite's findings on the database at path: none for a sound
// one.
func Integrity(t testing.TB, path string) []string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	wrong, err := findings(t.Context(), db, "integrity_check", 1)
	broken, err2 := findings(t.Context(), db, "foreign_key_check", 4)
	if err := errors.Join(err, err2); err != nil {
		wrong = append(wrong, err.Error())
	}
	return append(wrong, broken...)
}

// findings returns the first column of the rows of a checking pragma.
func findings(ctx context.Context, db *sql.DB, pragma string, columns int) (all []string, err error) {
	rows, err := db.QueryContext(ctx, "PRAGMA "+pragma)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		into := []any{&text, new(any), new(any), new(any)}
		if err := rows.Scan(into[:columns]...); err != nil {
			return all, err
		}
		if text != "ok" {
			all = append(all, pragma+": "+text)
		}
	}
	return all, rows.Err()
}
