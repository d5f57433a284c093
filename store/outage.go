package store

import (
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"slipway/internal/slipway"
)

// outage says to people what is wrong when nothing can be recorded because of
// the disk. The cause stays for the log.
func outage(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch e.Code() & 0xff { // the rest says more of the same
	case sqlite3.SQLITE_FULL:
		return errors.Join(slipway.Errorf(slipway.NoSpace, "The disk of the portal is full: nothing was changed. Ask the administrator for space."), err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
		return errors.Join(slipway.Errorf(slipway.NoSpace, "The disk of the portal cannot be written to: nothing was changed. Ask the administrator to look at it."), err)
	}
	return err
}
