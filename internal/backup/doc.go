// Package backup writes, reads and checks the whole of a portal's data: the
// database with every file it records, and the registry. All of it works beside
// a running portal.
package backup
