// Package backup writes, restores and checks all data of a portal: the database
// with every recorded file, and the registry. A portal may run meanwhile.
package backup
