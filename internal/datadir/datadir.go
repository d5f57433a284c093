// Package datadir names the files and folders of a portal's data folder.
package datadir

// The entries of a data folder. docs/operations.md describes each entry, and
// the parts of a backup.
const (
	Database  = "slipway.db"      // SQLite, with its -wal and -shm
	Bundles   = "bundles"         // manifests: <namespace>/<version>.json.zst
	Packs     = "packs"           // contents: <namespace>/<sha256>.tar.zst
	Registry  = "registry"        // images, in the layout of the distribution registry
	SecretKey = "secret.key"      // seals registry passwords in the database
	NextKey   = "secret.key.next" // the key after a rotation, until the records name it
	Uploads   = "uploads"         // archives during upload, or waiting to be staged
	Mounts    = "mounts"          // the embedded agent's folders for Airflow
	InUse     = "in-use"          // in a folder of Mounts: the marks of Airflow
	Spool     = "spool"           // packs on the way to or from a bucket
)
