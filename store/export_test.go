package store

import "io/fs"

// Migrations are the steps of the schema, for tests of one of them.
func Migrations() fs.FS {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // they are embedded
	}
	return files
}
