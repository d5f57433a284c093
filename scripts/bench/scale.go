package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// crowd is how much of everything an installation has.
type crowd struct{ deployments, people, tokens, workspaces, events int }

// few fills one page of each list; many is a large installation.
var (
	few  = crowd{deployments: 50, people: 50, tokens: 50, workspaces: 50, events: 1_000}
	many = crowd{deployments: 1_000, people: 1_000, tokens: 5_000, workspaces: 500, events: 1_000_000}
)

// scale measures the lists of a large installation against those of one that
// fills a page of each.
func (b *bench) scale(ctx context.Context) (err error) {
	large, err := b.crowded(ctx, "many", many)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, large.stop()) }()
	small, err := b.crowded(ctx, "few", few)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, small.stop()) }()
	for _, name := range slices.Sorted(maps.Keys(large.pages)) {
		ours, base, err := b.views(ctx, large, small, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b.compare(name+", ms, a large installation against a page of each list", "%.1f", ours, base, 1.5)
	}
	return nil
}

// crowded starts a portal with so much of everything.
func (b *bench) crowded(ctx context.Context, name string, n crowd) (*side, error) {
	data, err := b.fresh(ctx, name)
	if err != nil {
		return nil, err
	}
	p, err := b.serve(ctx, data)
	if err != nil {
		return nil, err
	}
	s := &side{portal: p}
	if err := errors.Join(s.fill(ctx, b, 1_000), p.stop()); err != nil {
		return nil, err
	}
	if err := s.seedCrowd(ctx, n); err != nil {
		return nil, err
	}
	if s.portal, err = b.serve(ctx, data); err != nil {
		return nil, err
	}
	return s, s.findLists()
}

// seedCrowd copies what init and the first deploys made, until there is so much.
func (s *side) seedCrowd(ctx context.Context, n crowd) (err error) {
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
	each := func(text string) string { return fmt.Sprintf(`printf(%q, i.n)`, text) }
	for _, c := range []struct {
		table  string
		rows   int
		values map[string]string // SQL by column; other columns are copied
		from   string
	}{
		{"deployments", n.deployments, map[string]string{"id": each("copy-%d"), "name": each("airflow-%04d"), "namespace": each("copy-%d"), "here": "0"}, "t.id = '" + s.of + "'"},
		{"deploys", n.deployments, map[string]string{"id": each("copied-%d"), "deployment": each("copy-%d"), "tag": "''"}, "t.number = 2 AND t.deployment = '" + s.of + "'"},
		{"users", n.people, map[string]string{"id": each("person-%d"), "email": each("person%04d@example.com"), "admin": "0"}, "t.admin"},
		{"members", n.people, map[string]string{"user": each("person-%d"), "role": "1"}, "t.role = 4"},
		{"workspaces", n.workspaces, map[string]string{"id": each("team-%d"), "name": each("Team %04d")}, "t.name = 'Bench'"},
		{"tokens", n.tokens, map[string]string{"id": each("token-%d"), "secret": each("secret-%d"), "name": each("ci-%04d"), "created_at": "t.created_at - i.n"}, "t.kind = 'api'"},
		{"audit", n.events, map[string]string{"id": "100 + i.n", "at": "t.at + i.n"}, "t.id = (SELECT MIN(id) FROM audit WHERE workspace <> '')"},
	} {
		if err := copyRows(ctx, db, c.table, c.rows, c.values, c.from); err != nil {
			return fmt.Errorf("copy %s: %w", c.table, err)
		}
	}
	_, err = db.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`)
	return err
}

// copyRows adds copies of the one row of a table that a condition on t names.
func copyRows(ctx context.Context, db *sql.DB, table string, rows int, values map[string]string, where string) error {
	columns, err := columnsOf(ctx, db, table)
	if err != nil {
		return err
	}
	var from []string
	for _, c := range columns {
		if value, changes := values[c]; changes {
			from = append(from, value)
		} else {
			from = append(from, "t."+c)
		}
	}
	made, err := db.ExecContext(ctx, `WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < ?)
		INSERT INTO `+table+` (`+strings.Join(columns, ", ")+`)
		SELECT `+strings.Join(from, ", ")+` FROM (SELECT * FROM `+table+` t WHERE `+where+` LIMIT 1) t, i`, rows)
	if err != nil {
		return err
	}
	if n, err := made.RowsAffected(); err != nil || n != int64(rows) {
		return fmt.Errorf("%d rows, want %d: %w", n, rows, err)
	}
	return nil
}

// findLists says where the lists are.
func (s *side) findLists() error {
	text, err := os.ReadFile(s.data + ".json")
	if err != nil {
		return err
	}
	var made struct{ OrganizationID, Token string }
	if err := json.Unmarshal(text, &made); err != nil {
		return err
	}
	api := "/v1/organizations/" + made.OrganizationID
	s.token = made.Token
	s.pages = map[string]string{
		"list of Deployments":    s.workspace,
		"People":                 s.workspace + "/people",
		"accounts":               "/admin/people",
		"API tokens":             s.workspace + "/tokens",
		"Workspaces":             "/workspaces",
		"audit log":              s.workspace + "/audit",
		"audit log, its oldest":  s.workspace + "/audit?before=100",
		"Deployments in the API": api + "/deployments?limit=1",
		"tokens in the API":      api + "/tokens?limit=1",
	}
	return nil
}
