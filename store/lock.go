package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"slipway/internal/slipway"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrLocked is the refusal while another program holds a lock of the database: a
// backup tool, or somebody's sqlite3. Nothing was written, and the same request
// may go well later.
var ErrLocked = slipway.Errorf(slipway.Unavailable,
	"The records are locked by another program. Try again in a minute; if that does not help, ask the administrator which program has slipway.db open.")

// lockWait is how long a query waits for a lock of another program.
const lockWait = 10 * time.Second

func busyTimeout(wait time.Duration) string {
	return fmt.Sprintf("busy_timeout(%d)", wait.Milliseconds())
}

// isLocked reports whether another program's lock is the cause of err.
func isLocked(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return errors.Is(err, ErrLocked)
	}
	code := e.Code() & 0xff
	return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED || code == sqlite3.SQLITE_PROTOCOL
}

// foreignLock is what is known about locks of other programs.
type foreignLock struct {
	wait time.Duration // of each query
	seen atomic.Int64  // Unix nanoseconds of the last write that waited in vain; 0 after a write
}

// note notes the outcome of the begin of a write transaction.
func (l *foreignLock) note(err error) {
	switch {
	case err == nil:
		l.seen.Store(0)
	case isLocked(err):
		l.seen.Store(time.Now().UnixNano())
	}
}

// held reports whether another program held the lock at the last try to write,
// and the try was not long ago.
func (l *foreignLock) held() bool {
	at := l.seen.Load()
	return at > 0 && time.Since(time.Unix(0, at)) < 2*l.wait
}

// Locked returns ErrLocked while another program holds the lock, as far as known
// from the last write.
func (s *Store) Locked() error {
	if s.lock.held() {
		return ErrLocked
	}
	return nil
}

type patientKey struct{}

// patience is the value of a Patient context.
type patience struct {
	end     <-chan struct{}
	waiting func()
}

// Patient returns a context for work in the background: transactions wait for
// the lock of another program as long as needed, but not longer than ctx, also
// under a context.WithoutCancel of the result. waiting is called again and again
// during a wait.
func Patient(ctx context.Context, waiting func()) context.Context {
	return context.WithValue(ctx, patientKey{}, patience{ctx.Done(), waiting})
}

// mayWait reports whether work with ctx is to try again for a lock.
func mayWait(ctx context.Context) bool {
	p, is := ctx.Value(patientKey{}).(patience)
	if !is || ctx.Err() != nil {
		return false
	}
	p.waiting()
	select {
	case <-p.end:
		return false
	default:
		return true
	}
}

// beginUpdate begins a transaction that writes. The lock of SQLite is taken at
// the beginning, so that only the begin meets locks of others.
func (s *Store) beginUpdate(ctx context.Context) (tx *sql.Tx, free func() error, err error) {
	for {
		tx, free, err = s.tryUpdate(ctx)
		if !isLocked(err) || !mayWait(ctx) {
			return tx, free, err
		}
	}
}

func (s *Store) tryUpdate(ctx context.Context) (*sql.Tx, func() error, error) {
	conn, err := s.writer(ctx)
	if err != nil {
		return nil, nil, err
	}
	tx, err := conn.BeginTx(ctx, nil)
	s.lock.note(err)
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return tx, conn.Close, nil
}

// writer returns the connection that writes. The connection may be in use for
// long by the portal itself; only while another program's lock stops the writes
// does a caller give up after the wait.
func (s *Store) writer(ctx context.Context) (*sql.Conn, error) {
	for {
		soon, cancel := context.WithTimeout(ctx, s.lock.wait)
		conn, err := s.write.Conn(soon)
		cancel()
		switch {
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return conn, err
		case s.lock.held():
			return nil, ErrLocked
		}
	}
}

// beginView begins a transaction that reads. Other programs seldom lock reading;
// patient work takes the snapshot at the beginning, so that only the begin meets
// such locks.
func (s *Store) beginView(ctx context.Context) (*sql.Tx, func() error, error) {
	free := func() error { return nil }
	for {
		tx, err := s.read.BeginTx(ctx, nil)
		if err != nil || ctx.Value(patientKey{}) == nil {
			return tx, free, err
		}
		var one int
		err = tx.QueryRowContext(ctx, `SELECT 1 FROM settings UNION SELECT 1`).Scan(&one)
		if err == nil {
			return tx, free, nil
		}
		err = errors.Join(err, tx.Rollback())
		if !isLocked(err) || !mayWait(ctx) {
			return nil, nil, err
		}
	}
}

// probeWait is how long probeLock waits for a lock.
const probeWait = time.Second

// probeLock returns ErrLocked while another program stops the writes. Long
// writes of the portal itself are no error.
func (s *Store) probeLock(ctx context.Context) error {
	soon, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	conn, err := s.write.Conn(soon)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && s.lock.held():
		return ErrLocked
	case errors.Is(err, context.DeadlineExceeded):
		return nil // the portal writes
	case err != nil:
		return err
	}
	ctx = context.WithoutCancel(ctx) // a BEGIN that was cancelled late may have begun, and hold the lock
	_, err = conn.ExecContext(ctx, "PRAGMA "+busyTimeout(min(probeWait, s.lock.wait)))
	if err == nil {
		_, err = conn.ExecContext(ctx, `BEGIN IMMEDIATE`)
		s.lock.note(err)
		if err == nil {
			_, err = conn.ExecContext(ctx, `ROLLBACK`)
		}
	}
	_, back := conn.ExecContext(ctx, "PRAGMA "+busyTimeout(s.lock.wait))
	return outage(errors.Join(err, back, conn.Close()))
}
