package main

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/e2e/program"
)

// What a data folder without its database is told, by state.
const (
	lostHolds = "The data folder DATA holds bundles, packs, registry and mounts"
	lostGoOn  = "or restore a backup into an empty folder: slipway restore FILE --data NEW. To start anew instead, run slipway serve with --set-aside, which renames what is there and deletes nothing."
	lostPut   = "Put slipway.db back, " + lostGoOn
	lostLog   = "Put back the slipway.db that slipway.db-wal belongs to, " + lostGoOn
	lostRight = "Put the right file back, or restore a backup into an empty folder: slipway restore FILE --data NEW. " +
		"To start anew instead, move this file elsewhere and run slipway serve with --set-aside."
	lostNewer = "The database is of a newer Slipway than this program. Install that version again, or restore a backup of this one's."
)

var lostAndWAL = strings.Replace(lostHolds, " and mounts", ", mounts and slipway.db-wal", 1)

// What anybody finds who starts Slipway where the database is lost: a sentence,
// and nothing touched. With the file back, everything runs.
func TestLostDatabase(t *testing.T) {
	w := newWreck(t)
	for name, tt := range map[string]struct {
		keepWAL  bool
		harm     func(t *testing.T, path string) // what lies there instead; nil for nothing
		says     string                          // by whatever may make a database
		attached string                          // by what only reads one
	}{
		"removed": {says: lostHolds + ", but its database slipway.db is missing. " + lostPut,
			attached: "There is no database DATA/slipway.db. Name the data folder with --data, or put the file back."},
		"removed, its -wal left": {keepWAL: true, says: lostAndWAL + ", but its database slipway.db is missing. " + lostLog,
			attached: "The database DATA/slipway.db is missing. " + lostRight},
		"emptied": {harm: writes(nil), says: lostHolds + ", but its database slipway.db is empty. " + lostPut,
			attached: "The database DATA/slipway.db is empty. " + lostRight},
		"emptied, its -wal left": {keepWAL: true, harm: writes(nil), says: lostAndWAL + ", but its database slipway.db is empty. " + lostLog,
			attached: "The database DATA/slipway.db is empty. " + lostRight},
		"newer":                {harm: copies(w.newer), says: lostNewer, attached: lostNewer},
		"newer, its -wal left": {keepWAL: true, harm: copies(w.newer), says: lostNewer, attached: lostNewer},
		"noise": {harm: writes([]byte(rand.Text() + strings.Repeat("x", 8192))), says: "DATA/slipway.db is no database of SQLite. " + lostRight,
			attached: "DATA/slipway.db is no database of SQLite. " + lostRight},
		"noise, its -wal left": {keepWAL: true, harm: writes([]byte("x")), says: "DATA/slipway.db is no database of SQLite. " + lostRight,
			attached: "DATA/slipway.db is no database of SQLite. " + lostRight},
		"somebody else's": {harm: foreign, says: lostHolds + ", but its database slipway.db holds no records. " + lostPut,
			attached: "The database DATA/slipway.db holds no records. " + lostRight},
	} {
		t.Run(name, func(t *testing.T) {
			c := w.copied(t)
			if !tt.keepWAL {
				remove(t, c.database()+"-wal")
				remove(t, c.database()+"-shm")
			}
			remove(t, c.database())
			if tt.harm != nil {
				tt.harm(t, c.database())
			}
			c.refuses(t, tt.says, program.ServeArgs("", c.Data)[1:]...)
			for _, argv := range [][]string{{"user", "list"}, {"token", "list", "--deployment", string(c.DeploymentID)}} {
				c.refuses(t, tt.says, append(argv, "--data", c.Data)...)
			}
			c.refuses(t, tt.attached, "fsck", "--data", c.Data)
			c.refuses(t, tt.attached, "backup", filepath.Join(t.TempDir(), "b"), "--data", c.Data)
			if _, err := call(t, password, "init", "--data", c.Data, "--email", "a@b.cd", "--workspace", "W", "--deployment", "D", "--password-stdin"); err == nil ||
				strings.ReplaceAll(err.Error(), c.Data, "DATA") != tt.says {
				t.Errorf("init says %v", err)
			}
			c.restores(t)
			c.runs(t)
		})
	}
}

func writes(b []byte) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func copies(from string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		if err := program.CopyFile(from, path); err != nil {
			t.Fatal(err)
		}
	}
}

// foreign makes a database that was never Slipway's.
func foreign(t *testing.T, path string) {
	execute(t, path, `CREATE TABLE anything (a TEXT)`)
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
