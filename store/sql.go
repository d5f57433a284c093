package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"slipway/internal/slipway"

	"github.com/oklog/ulid/v2"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// addFunctions adds to SQLite's functions small(text): the text in small letters, all of
// Unicode's, where lower() knows those of ASCII.
var addFunctions = sync.OnceValue(func() error {
	return sqlite.RegisterDeterministicScalarFunction("small", 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		if text, ok := args[0].(string); ok {
			return strings.ToLower(text), nil
		}
		return args[0], nil
	})
})

// millis scans an INTEGER column of Unix milliseconds, 0 for the zero time.
type millis struct{ *time.Time }

func (m millis) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("store: %T is not Unix milliseconds", v)
	}
	*m.Time = time.Time{}
	if n != 0 {
		*m.Time = time.UnixMilli(n).UTC()
	}
	return nil
}

// Value implements driver.Valuer.
func (m millis) Value() (driver.Value, error) { return ms(*m.Time), nil }

// ms returns t in the form for millis.
func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// jsonText scans a TEXT column of JSON; "" leaves the value alone.
type jsonText struct{ v any }

func (j jsonText) Scan(v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("store: %T is not JSON text", v)
	}
	if s == "" {
		return nil
	}
	return json.Unmarshal([]byte(s), j.v)
}

// Value implements driver.Valuer. A nil pointer is "".
func (j jsonText) Value() (driver.Value, error) {
	if v := reflect.ValueOf(j.v).Elem(); v.Kind() == reflect.Pointer && v.IsNil() {
		return "", nil
	}
	return asJSON(j.v), nil
}

// asJSON returns v in the form for jsonText. Callers pass plain structs of this
// program, which always marshal.
func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// isUnique reports whether err is a broken UNIQUE constraint.
func isUnique(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE
}

// newID returns an id. Ids sort by time.
func (tx *Tx) newID() string {
	return strings.ToLower(ulid.MustNew(ulid.Timestamp(tx.Now), rand.Reader).String())
}

// queries runs the queries of a transaction, and shows each to seen.
type queries struct {
	tx   *sql.Tx
	seen func(query string)
}

// shown returns the transaction, after the query was shown.
func (q queries) shown(query string) *sql.Tx {
	if q.seen != nil {
		q.seen(query)
	}
	return q.tx
}

func (q queries) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return q.shown(query).QueryContext(ctx, query, args...)
}

func (q queries) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return q.shown(query).QueryRowContext(ctx, query, args...)
}

func (q queries) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return q.shown(query).ExecContext(ctx, query, args...)
}

func (q queries) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	return q.shown(query).PrepareContext(ctx, query)
}

type row interface{ Scan(...any) error }

// list returns the results of scan over all rows of a query.
func list[T any](tx *Tx, what string, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return all, nil
}

// one returns the result of scan for the only row of a query, or the error
// missing for none.
func one[T any](tx *Tx, what string, missing error, scan func(row) (T, error), query string, args ...any) (T, error) {
	v, err := scan(tx.tx.QueryRowContext(tx.ctx, query, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return v, missing
	}
	if err != nil {
		return v, fmt.Errorf("%s: %w", what, err)
	}
	return v, nil
}

func (tx *Tx) exec(what, query string, args ...any) error {
	_, err := tx.tx.ExecContext(tx.ctx, query, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// changed is exec, and returns the number of changed rows.
func (tx *Tx) changed(what, query string, args ...any) (int64, error) {
	res, err := tx.tx.ExecContext(tx.ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	return res.RowsAffected()
}

// outage turns an error of the disk, or about a lock, into a sentence for people.
// The cause stays in the error, for the log.
func outage(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch e.Code() & 0xff { // extended codes give details only
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		return errors.Join(ErrLocked, err)
	case sqlite3.SQLITE_FULL:
		return slipway.DiskFull(err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
		return slipway.DiskReadOnly(err)
	}
	return err
}
