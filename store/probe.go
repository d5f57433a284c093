package store

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"

	"slipway/internal/slipway"
)

// State is the state of a database file.
type State int

// The states. Only Records has records.
const (
	Records State = iota // a database with records
	Missing              // no file
	Empty                // a file of no bytes
	Blank                // a database of SQLite without the table of schema versions
)

// String returns the state in words, to follow the name of the file in a
// sentence.
func (s State) String() string {
	return [...]string{"holds records", "is missing", "is empty", "holds no records"}[s]
}

// ProbeResult is the result of Probe.
type ProbeResult struct {
	State State
	Log   bool // without records: the -wal beside the file may have some
}

// Probe returns the state of the database file at path. Probe writes nothing, so
// that people can still put a lost database back: SQLite itself deletes the
// -wal beside an empty file, and applies a -wal to any database file beside the
// -wal. A database unusable for this program is an error.
//
// starts is the number, from CountStart, of the start before the beginning of
// the -wal, or 0 if unknown. Probe uses the number to detect the -wal of another
// file.
func Probe(ctx context.Context, path string, starts int64) (ProbeResult, error) {
	log, err := sizeOf(path + walSuffix)
	if err != nil {
		return ProbeResult{}, fmt.Errorf("look at the database: %w", err)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ProbeResult{State: Missing, Log: log > 0}, nil
	case err != nil:
		return ProbeResult{}, fmt.Errorf("look at the database: %w", err)
	case info.Mode().IsRegular() && info.Size() == 0:
		return ProbeResult{State: Empty, Log: log > 0}, nil
	}
	if err := checkFormat(path); err != nil {
		return ProbeResult{}, err
	}
	file, err := peek(ctx, path, "mode=ro&immutable=1") // without the -wal
	switch {
	case err == nil && file.newer():
		return ProbeResult{}, newerSchema()
	case log > 0:
		return probeWithLog(ctx, path, err == nil && file.made && file.starts >= starts)
	case err != nil:
		return ProbeResult{}, unreadable(path, err)
	case !file.made:
		return ProbeResult{State: Blank}, nil
	}
	return ProbeResult{}, nil
}

// probeWithLog is Probe for a file with a -wal. fits is true if the two files
// are known to belong together.
func probeWithLog(ctx context.Context, path string, fits bool) (ProbeResult, error) {
	now, err := peek(ctx, path, "mode=ro")
	switch {
	case err != nil:
		return ProbeResult{}, foreignLog(path, err)
	case now.newer():
		return ProbeResult{}, newerSchema()
	case !now.made:
		log, err := committed(path + walSuffix)
		return ProbeResult{State: Blank, Log: log}, err
	case fits:
		return ProbeResult{}, nil
	}
	if err := checkSound(ctx, path); err != nil {
		return ProbeResult{}, foreignLog(path, err)
	}
	return ProbeResult{}, nil
}

// walSuffix ends the name of the -wal, where SQLite keeps the last commits
// until a checkpoint moves the pages to the database.
const walSuffix = "-wal"

// sizeOf returns the bytes of a file, 0 without the file.
func sizeOf(path string) (int64, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// sqliteMagic is the beginning of every database file of SQLite.
const sqliteMagic = "SQLite format 3\x00"

func checkFormat(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("look at the database: %w", err)
	}
	defer f.Close()
	var head [len(sqliteMagic)]byte
	if _, err := io.ReadFull(f, head[:]); err != nil || string(head[:]) != sqliteMagic {
		return slipway.Errorf(slipway.Invalid, "%s is no database of SQLite. "+putBack, path)
	}
	return nil
}

// putBack tells people how to go on without the right database.
const putBack = "Put the right file back, or restore a backup into an empty folder: slipway restore FILE --data NEW. " +
	"To start anew instead, move this file elsewhere and run slipway serve with --set-aside."

func unreadable(path string, err error) error {
	return slipway.Errorf(slipway.Invalid, "The database %s is damaged: %v. "+putBack, path, err)
}

func foreignLog(path string, err error) error {
	return slipway.Errorf(slipway.Invalid, "The database %s and the file %s beside it do not fit together: %v. "+
		"Put the file back that was there with it, or move %[2]s elsewhere if the database came from a copy without it.", path, path+walSuffix, err)
}

// peeked holds the facts about a database file, as recorded inside.
type peeked struct {
	made   bool  // the table of schema versions exists
	schema int64 // newest schema version in the file
	known  int64 // newest schema version known to this program
	starts int64 // as CountStart counts
}

func (p peeked) newer() bool { return p.schema > p.known }

// peek reads from the file at path over a read-only connection.
func peek(ctx context.Context, path, mode string) (p peeked, err error) {
	if p.known, err = knownSchema(); err != nil {
		return p, err
	}
	err = reading(path, mode, func(db *sql.DB) (err error) {
		p.schema, p.made, err = schemaOf(ctx, db)
		if err != nil || p.schema == 0 || p.newer() {
			return err // no settings yet, or settings of another form
		}
		return db.QueryRowContext(ctx, `SELECT COALESCE(MAX(n), 0) FROM (
			SELECT CAST(CAST(value AS TEXT) AS INTEGER) AS n FROM settings WHERE name = ?)`, startsSetting).Scan(&p.starts)
	})
	return p, err
}

// reading runs fn on a connection to the file at path.
func reading(path, mode string, fn func(*sql.DB) error) error {
	db, err := sql.Open("sqlite", fileURI(path)+"?"+mode+"&_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	return errors.Join(fn(db), db.Close())
}

func fileURI(path string) string {
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}).String()
}

// checkSound returns an error unless all of a database fits together.
func checkSound(ctx context.Context, path string) error {
	return reading(path, "mode=ro", func(db *sql.DB) error {
		var first string
		err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&first)
		if err == nil && first != "ok" {
			err = errors.New(string(bytes.ToLower([]byte(first[:1]))) + first[1:])
		}
		return err
	})
}

// The layout of a -wal, by SQLite's description of the file format: a header,
// then frames, each with a head and a page.
const (
	walHeader    = 32
	walFrameHead = 24
	walPageSize  = 8  // where the header has the size of a page
	walSalt      = 16 // offset in the header of the salt repeated by valid frames
	frameCommit  = 4  // offset in a frame's head of the size of the database; 0 unless a transaction ends here
	frameSalt    = 8
	saltBytes    = 8
)

// committed reports whether a transaction has ended in the -wal at path. Frames
// before the first end have no effect on the database.
func committed(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the database: %w", err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<16)
	var head [walHeader]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return false, unlessCutOff(err) // without a whole header
	}
	salt := head[walSalt : walSalt+saltBytes]
	page := int(binary.BigEndian.Uint32(head[walPageSize:]))
	for {
		var frame [walFrameHead]byte
		if _, err := io.ReadFull(in, frame[:]); err != nil {
			return false, unlessCutOff(err)
		}
		if string(frame[frameSalt:frameSalt+saltBytes]) != string(salt) {
			return false, nil
		}
		if _, err := in.Discard(page); err != nil {
			return false, unlessCutOff(err)
		}
		if binary.BigEndian.Uint32(frame[frameCommit:]) != 0 {
			return true, nil
		}
	}
}

// unlessCutOff returns the error of reading a log, and nil at the end of the file: a
// log that was cut off holds no more commits, while one that cannot be read may.
func unlessCutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return fmt.Errorf("look at the database: %w", err)
}
