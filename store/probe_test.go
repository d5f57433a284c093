package store_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/store"
	"slipway/store/storetest"
)

// killed returns the files of a database as a kill leaves them while it is open.
func killed(t *testing.T, fill func(path string) (close func() error)) (db, wal []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "slipway.db")
	closes := fill(path)
	db, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wal, err = os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if err := closes(); err != nil {
		t.Fatal(err)
	}
	return db, wal
}

// opened opens a database in which nothing has gone from the -wal to the file.
func opened(t *testing.T, statements ...string) func(path string) func() error {
	return func(path string) func() error {
		db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range statements {
			if _, err := db.ExecContext(context.Background(), s); err != nil {
				t.Fatal(err)
			}
		}
		return db.Close
	}
}

// lookCase is a database and the -wal beside it, nil for no file.
type lookCase struct {
	db, wal []byte
	want    store.ProbeResult
	says    string
}

// lookCases are what can lie at the path of a database.
func lookCases(t *testing.T) map[string]lookCase {
	t.Helper()
	first, firstWAL := killed(t, func(path string) func() error {
		st, err := store.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		storetest.Seed(t, st)
		return st.Close
	})
	other, otherWAL := killed(t, opened(t, `CREATE TABLE a (b)`, `INSERT INTO a VALUES (1)`))
	newer := opened(t, `CREATE TABLE goose_db_version (version_id)`, `INSERT INTO goose_db_version VALUES (99999)`)
	_, newerWAL := killed(t, newer)
	newerFile := filepath.Join(t.TempDir(), "newer.db")
	if err := newer(newerFile)(); err != nil { // all is in the file
		t.Fatal(err)
	}
	whole, err := os.ReadFile(newerFile)
	if err != nil {
		t.Fatal(err)
	}
	half := len(firstWAL) / 2
	return map[string]lookCase{
		"nothing":                             {want: store.ProbeResult{State: store.Missing}},
		"a -wal alone":                        {wal: firstWAL, want: store.ProbeResult{State: store.Missing, Log: true}},
		"no bytes":                            {db: []byte{}, want: store.ProbeResult{State: store.Empty}},
		"no bytes, and a -wal":                {db: []byte{}, wal: firstWAL, want: store.ProbeResult{State: store.Empty, Log: true}},
		"killed in its first start":           {db: first, wal: firstWAL},
		"cut off in its first start":          {db: first, wal: firstWAL[:half]},
		"no table yet":                        {db: first, wal: []byte{}, want: store.ProbeResult{State: store.Blank}},
		"no commit yet":                       {db: first, wal: firstWAL[:1000], want: store.ProbeResult{State: store.Blank}},
		"of others":                           {db: other, wal: otherWAL, want: store.ProbeResult{State: store.Blank, Log: true}},
		"newer":                               {db: whole, says: "is of a newer Slipway"},
		"newer, and an old -wal":              {db: whole, wal: firstWAL, says: "is of a newer Slipway"},
		"newer by its -wal":                   {db: first, wal: newerWAL, says: "is of a newer Slipway"},
		"text":                                {db: []byte("hello"), says: "is no database of SQLite. Put the right file back, or restore a backup"},
		"text, and a -wal":                    {db: []byte(strings.Repeat("hello", 2000)), wal: firstWAL, says: "is no database of SQLite"},
		"cut off after its first page's head": {db: whole[:50], says: "is damaged: "},
	}
}

func TestLook(t *testing.T) {
	for name, tt := range lookCases(t) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "slipway.db")
			for suffix, b := range map[string][]byte{"": tt.db, "-wal": tt.wal} {
				if b == nil {
					continue
				}
				if err := os.WriteFile(path+suffix, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := store.Probe(t.Context(), path, 0)
			if tt.says == "" && (err != nil || got != tt.want) || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("found %+v, %v; want %+v, %q", got, err, tt.want, tt.says)
			}
			for suffix, want := range map[string][]byte{"": tt.db, "-wal": tt.wal} {
				b, err := os.ReadFile(path + suffix)
				if want == nil && !errors.Is(err, os.ErrNotExist) || want != nil && string(b) != string(want) {
					t.Errorf("slipway.db%s has changed: %d bytes, %v; want %d", suffix, len(b), err, len(want))
				}
			}
		})
	}
}

// Whoever opens a newer database is refused before anything is changed in it.
func TestOpenRefusesANewerSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slipway.db")
	closes := opened(t, `CREATE TABLE goose_db_version (version_id)`, `INSERT INTO goose_db_version VALUES (99999)`)(path)
	if err := closes(); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), path)
	if err == nil || !strings.Contains(err.Error(), "The database is of a newer Slipway than this program.") {
		t.Errorf("Open: %v", err)
	}
	_, err = store.Attach(t.Context(), path)
	if err == nil || !strings.Contains(err.Error(), "The database is of a newer Slipway than this program.") {
		t.Errorf("Attach: %v", err)
	}
}

// A log that cannot be read may hold records, so the database is not taken for one
// without.
func TestLogThatCannotBeRead(t *testing.T) {
	for name, harm := range map[string]func(wal string) error{
		"a folder":          func(wal string) error { return os.Mkdir(wal, 0o700) },
		"a circle of links": func(wal string) error { return os.Symlink(wal, wal) },
	} {
		for _, db := range [][]byte{nil, {}} {
			t.Run(name, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "slipway.db")
				if db != nil {
					if err := os.WriteFile(path, db, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if err := harm(path + "-wal"); err != nil {
					t.Fatal(err)
				}
				got, err := store.Probe(t.Context(), path, 0)
				if err == nil && !got.Log {
					t.Errorf("Probe: %+v, want an error, or that there may be records", got)
				}
			})
		}
	}
}
