package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
)

// another opens a database file as another program does, with its own settings.
func another(t *testing.T, path string, statements ...string) *sql.Conn {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(conn.Close(), db.Close()) }) // may be closed by the test
	for _, s := range statements {
		if _, err := conn.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

func waiting(t *testing.T, wait time.Duration) (*store.Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "slipway.db")
	st, err := store.OpenWaiting(t.Context(), path, wait)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st, path
}

func writeSomething(tx *store.Tx) error { return tx.SetSetting("a", []byte("b")) }

func wantLocked(t *testing.T, what string, err error) {
	t.Helper()
	if kind, text := slipway.Explain(err); kind != slipway.Unavailable || !strings.HasPrefix(text, "The records are locked by another program.") {
		t.Errorf("%s: %v, want that the records are locked", what, err)
	}
}

// Whatever lock another program holds, everything that meets the lock says so,
// and everything goes well afterwards.
func TestLocksOfOthers(t *testing.T) {
	for name, tt := range map[string]struct {
		lock  []string
		reads bool // reading goes on
	}{
		"a writer":              {[]string{"BEGIN IMMEDIATE"}, true},
		"a writer that wrote":   {[]string{"BEGIN", "DELETE FROM leases"}, true},
		"an exclusive writer":   {[]string{"BEGIN EXCLUSIVE"}, true},
		"the file for one only": {[]string{"PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE", "DELETE FROM leases"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "slipway.db")
			made, err := store.Open(t.Context(), path)
			if err := errors.Join(err, made.Close()); err != nil {
				t.Fatal(err)
			}
			other := another(t, path, tt.lock...)
			if !tt.reads {
				_, err := store.OpenWaiting(t.Context(), path, 50*time.Millisecond)
				wantLocked(t, "open", err)
				return
			}
			st, err := store.OpenWaiting(t.Context(), path, 50*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			wantLocked(t, "ping", st.Ping(t.Context()))
			wantLocked(t, "update", st.Update(t.Context(), writeSomething))
			_, _, err = st.CountRound(t.Context())
			wantLocked(t, "count", err)
			if err := st.View(t.Context(), func(tx *store.Tx) error { _, err := tx.Setting("a"); return err }); err != nil {
				t.Errorf("view: %v", err)
			}
			if _, err := other.ExecContext(t.Context(), "ROLLBACK"); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(st.Update(t.Context(), writeSomething), st.Ping(t.Context())); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// Many requests under a lock are all told within little more than one wait.
func TestManyRequestsUnderALock(t *testing.T) {
	const wait = 300 * time.Millisecond
	st, path := waiting(t, wait)
	another(t, path, "BEGIN IMMEDIATE")
	began := time.Now()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { wantLocked(t, "update", st.Update(t.Context(), writeSomething)) })
	}
	wg.Wait()
	if took := time.Since(began); took > 10*wait {
		t.Errorf("took %v", took)
	}
}

// A long write of the portal itself is no lock of another.
func TestOwnWritesAreWaitedFor(t *testing.T) {
	st, _ := waiting(t, 50*time.Millisecond)
	began := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := st.Update(t.Context(), func(tx *store.Tx) error {
			close(began)
			time.Sleep(400 * time.Millisecond)
			return writeSomething(tx)
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-began
	if err := errors.Join(st.Ping(t.Context()), st.Update(t.Context(), writeSomething)); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

// Work in the background waits for the lock, and for no longer than it may run.
func TestPatientWork(t *testing.T) {
	st, path := waiting(t, 50*time.Millisecond)
	other := another(t, path, "BEGIN IMMEDIATE")
	var waits atomic.Int64
	ctx, stop := context.WithCancel(store.Patient(t.Context(), func() { waits.Add(1) }))
	defer stop()
	done := make(chan error, 1)
	go func() { done <- st.Update(context.WithoutCancel(ctx), writeSomething) }()
	select {
	case err := <-done:
		t.Fatalf("ended under the lock: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	if waits.Load() < 2 {
		t.Errorf("told %d times of the wait", waits.Load())
	}
	if _, err := other.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("afterwards: %v", err)
	}

	if _, err := other.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	life, end := context.WithCancel(t.Context())
	go func() { done <- st.Update(context.WithoutCancel(store.Patient(life, func() {})), writeSomething) }()
	time.Sleep(100 * time.Millisecond)
	end()
	select {
	case err := <-done:
		wantLocked(t, "at the end", err)
	case <-time.After(5 * time.Second):
		t.Error("waits after the end")
	}
}

// A reader makes the -wal grow; afterwards the -wal is small again.
func TestLogOfWritesShrinks(t *testing.T) {
	st, path := waiting(t, time.Second)
	reader := another(t, path, "BEGIN")
	var n int
	if err := reader.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM settings").Scan(&n); err != nil {
		t.Fatal(err)
	}
	write := func(size int, text byte) {
		t.Helper()
		err := st.Update(t.Context(), func(tx *store.Tx) error { return tx.SetSetting("a", bytes.Repeat([]byte{text}, size)) })
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range byte(40) {
		write(1<<20, i)
	}
	size := func() int64 {
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	if size() < 30<<20 {
		t.Fatalf("the -wal has %d bytes only", size())
	}
	if _, err := reader.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	for i := range byte(3) {
		write(10, i)
	}
	if size() > 9<<20 {
		t.Errorf("the -wal stays at %d bytes", size())
	}
}
