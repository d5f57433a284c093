package storetest

import (
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"slipway/store"
)

// judged has the queries whose plans were looked at in this process.
var judged sync.Map

// checkPlans looks, after the test, at SQLite's plan for each query that the test
// has sent to st: none may read a table as a whole, unless wholeTables says why.
func checkPlans(t testing.TB, st *store.Store) {
	var mu sync.Mutex
	var queries []string
	st.Seen = func(query string) {
		if _, known := judged.LoadOrStore(query, true); !known && !strings.HasPrefix(query, "PRAGMA") {
			mu.Lock()
			defer mu.Unlock()
			queries = append(queries, query)
		}
	}
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		if len(queries) == 0 {
			return
		}
		db := plansDB(t)
		for _, query := range queries {
			steps, err := readsWhole(db, query)
			if err != nil {
				t.Errorf("the plan of %s: %v", query, err)
			}
			if len(steps) > 0 && !mayReadWhole(query) {
				t.Errorf("this query reads a whole table (%s):\n%s", strings.Join(steps, "; "), query)
			}
		}
	})
}

// plansDB returns an empty database with the schema of the store. The plans of a
// small database are those of a large one: nothing runs ANALYZE.
func plansDB(t testing.TB) *sql.DB {
	t.Helper()
	text, err := empty()
	path := filepath.Join(t.TempDir(), "plans.db")
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // nothing was written
	return db
}

// parameters is more than any query has.
const parameters = 256

// readsWhole returns the steps of the plan of a query that read a whole table.
func readsWhole(db *sql.DB, query string) (steps []string, err error) {
	rows, err := db.Query("EXPLAIN QUERY PLAN "+query, make([]any, parameters)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			return nil, err
		}
		inOrder := strings.Contains(query, "LIMIT ?") && slices.ContainsFunc(ordered, func(index string) bool { return strings.HasSuffix(detail, " "+index) })
		if isWhole(detail) && !inOrder {
			steps = append(steps, detail)
		}
	}
	return steps, rows.Err()
}

// isWhole reports whether a step of a plan reads a whole table or index, or
// makes an index over one.
func isWhole(detail string) bool {
	if strings.Contains(detail, "AUTOMATIC") {
		return true
	}
	source, scans := strings.CutPrefix(detail, "SCAN ")
	if !scans {
		return false
	}
	// The last two are recursive: a row for each Runtime version.
	none := []string{"CONSTANT ROW", "json_each", "(subquery", "(join", "sqlite_schema", "used", "kept"}
	return !strings.Contains(source, "VIRTUAL TABLE INDEX") &&
		!slices.ContainsFunc(none, func(begin string) bool { return strings.HasPrefix(source, begin) }) &&
		!slices.ContainsFunc(waiting, func(index string) bool { return strings.HasSuffix(source, " "+index) })
}

// waiting are the indexes of rows that wait for something, such as deploys that
// nobody has confirmed: they do not grow with the history.
var waiting = []string{"deploys_unfinished", "deploys_queue", "blobs_kept", "deployments_deleted", "users_admins"}

// ordered are the indexes that the lists of an admin, who sees everything, read in
// their order, up to the limit.
var ordered = []string{"deployments_by_name", "tokens_newest"}

// mayReadWhole reports whether wholeTables has a reason for a query.
func mayReadWhole(query string) bool {
	query = strings.Join(strings.Fields(query), " ")
	for part := range wholeTables {
		if strings.Contains(query, part) {
			return true
		}
	}
	return false
}

// wholeTables has, by a part of the query, why a query may read a whole table.
var wholeTables = map[string]string{
	"FROM insights_changed":                "deploys that wait to be counted, up to a limit",
	"FROM insights_fill":                   "a row for each Deployment until its deploys are counted, once after an update",
	"CROSS JOIN insights s ON":             "the page of the installation sums up all Deployments",
	"CROSS JOIN deployers n ON":            "the page of the installation names all who deployed",
	"AND w.live_at + 0 < j.value ORDER BY": "the 20 rows of the inner query",

	"FROM deployments d WHERE d.deleted_at = 0 ORDER BY d.id": "at the start, for metrics, fsck and backups, all Deployments have a turn",
	"FROM uploads ORDER BY id":                                "at the start, each upload is compared with its file",
	"FROM registry_logins ORDER BY workspace, host":           "at the start and for new keys, each password is unsealed",
	"FROM set_aside":                      "a few namespaces, looked at in the background",
	"FROM leases":                         "a few backups",
	"FROM images i JOIN deployments d":    "the registry is swept in the background",
	"FROM users u ORDER BY u.email LIMIT": "read in the order of the index, up to the limit",
	"FROM stored":                         "a row for each Deployment: the admin's pages add up all",
	"FROM users ORDER BY email":           "the command that lists people, and the filter of the installation's audit log",
	"SELECT COUNT(*) FROM users":          "counted in an index",
	"SELECT COUNT(*) FROM workspaces w":   "an admin sees all; counted in an index",
	"SELECT COUNT(*) FROM deployments d WHERE d.deleted_at = 0": "an admin sees all; counted in an index",
	"SELECT COUNT(*) FROM tokens WHERE kind = 'api'":            "an admin sees all; counted in an index",
	"FROM workspaces w ORDER BY w.name":                         "the menu of an admin names all Workspaces",
	"LIKE ? ESCAPE":                                             "a part of a word is looked for in each row that one sees",
}
