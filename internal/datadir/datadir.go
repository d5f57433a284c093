// Package datadir names the files and folders of a portal's data folder.
package datadir

// The entries of a data folder. docs/operations.md says who may read them and
// which of them a backup holds.
const (
	Database  = "slipway.db" // SQLite, with its -wal and -shm
	Bundles   = "bundles"    // manifests: <namespace>/<version>.json.zst
	Packs     = "packs"      // contents: <namespace>/<sha256>.tar.zst
	Registry  = "registry"   // images, as the distribution registry lays them out
	SecretKey = "secret.key" // seals registry passwords in the database
	Uploads   = "uploads"    // archives that arrive or wait to be staged
	Mounts    = "mounts"     // the embedded agent's folders for Airflow
	Spool     = "spool"      // temporary files of requests
)
