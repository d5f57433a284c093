package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// longPast fills a Deployment's history up with n deploys, of which the oldest
// alone are images, one in a thousand failed, and one tells of a unicorn.
func longPast(b *testing.B, n int) (*store.Store, slipway.DeploymentID) {
	b.Helper()
	dir := b.TempDir()
	st := storetest.OpenAt(b, filepath.Join(dir, "slipway.db"))
	w := storetest.Seed(b, st)
	_, err := openRaw(b, dir).ExecContext(context.Background(), `
		PRAGMA synchronous = OFF;
		PRAGMA journal_mode = WAL;
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
		INSERT INTO deploys (id, deployment, number, kind, status, reason, note, description,
			by_user, by_token, by_name, by_via, by_ip, confirmed_by, git,
			version, merge, upload, bytes, resumes, base, return_to, undone_by, after, counts, position,
			created_at, uploaded_at, staged_at, queued_at, deploying_at, stored_at, live_at, ended_at)
		SELECT 'd' || i, ?1, i, IIF(i <= ?2 / 3, 'IMAGE_ONLY', 'DAG_ONLY'), IIF(i % 1000 = 0, 'failed', 'deployed'), '', '',
			'Nightly sync of ' || IIF(i % 2, 'orders', 'sales') || IIF(i = 7, ' unicorn', ''),
			'u' || (i % 5), IIF(i % 3, 't' || (i % 3), ''), 'Somebody', 'API', '127.0.0.1', '{"Name":"Somebody"}', '{"Commit":"' || printf('%08x', i * 2654435761 % 4294967296) || '","Branch":"main"}',
			'v' || i, 'replace', 'dags.tar.gz', 1000, 0, 'v' || (i - 1), 0, 0, '{"Version":"v' || i || '"}', '{}', i,
			i * 60000, i * 60000, i * 60000, i * 60000, i * 60000, i * 60000, i * 60000, i * 60000 FROM n`, w.Sales.ID, n)
	if err != nil {
		b.Fatal(err)
	}
	return st, w.Sales.ID
}

// BenchmarkHistory looks for deploys in a short and in a long history. Each
// pair of results should differ by a fifth at most:
//
//	go test ./store -run '^$' -bench History
func BenchmarkHistory(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		st, of := longPast(b, n)
		day := time.UnixMilli(int64(n/2) * 60000)
		for name, f := range map[string]store.DeployFilter{
			"all": {}, "kind": {Kind: slipway.ImageOnly}, "status": {Status: slipway.Deployed}, "by": {By: "t1"}, "kind,status,by": {Kind: slipway.DAGOnly, Status: slipway.Deployed, By: "t2"},
			"common word": {Text: "nightly"}, "beginning": {Text: "nig"}, "two words": {Text: "nightly orders"}, "rare word": {Text: "unicorn"}, "no word": {Text: "absent"},
			"word,kind": {Text: "sync", Kind: slipway.ImageOnly}, "number": {Text: "#77"}, "commit": {Commit: "9e3779b1"}, "since": {From: day}, "until": {Until: day},
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					err := st.View(b.Context(), func(tx *store.Tx) error {
						_, err := tx.FindDeploys(of, f, 0, 51)
						return err
					})
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
