package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/e2e/program"

	"slipway/internal/datadir"
)

// An older database is served, as it is whole. But it does not name what was
// deployed since, and that is there when the right one is put back: packs,
// manifests and images, however often the older one was started, and although
// all of them are old enough to be leftovers of a crash.
func TestOlderDatabase(t *testing.T) {
	w := newWreck(t)
	for name, suffixes := range map[string][]string{"alone": {"-wal", "-shm"}, "its lock gone, too": {"-wal", "-shm", "/../lock"}} {
		t.Run(name, func(t *testing.T) {
			c := w.copied(t)
			for _, suffix := range suffixes {
				remove(t, filepath.Clean(c.database()+suffix))
			}
			copies(w.older)(t, c.database())
			c.ages(t)
			before := c.kept(t)
			for range 2 {
				c.Start(t, "http", []string{"--reserve", "0", "--retain-every", "50ms", "--leftover-age", "0"})
				if text := c.Process.Output.String(); !strings.Contains(text, "is not the database that this data folder was served with last") || strings.Contains(text, "/setup/") {
					t.Errorf("it says\n%s", text)
				}
				program.Until(t, "the older version is current", func() bool {
					b, err := os.ReadFile(filepath.Join(c.Data, "mounts", c.Namespace, "current", "dags", "sales.py"))
					return err == nil && strings.Contains(string(b), "# 1\n")
				})
				c.expires(t)
				c.Process.Kill()
			}
			wantSameFiles(t, before, c.kept(t))
			c.restores(t)
			c.runs(t)
		})
	}
}

// A copy that was made while the portal ran, and put back after a stop or after
// rounds of deletion, is an older one, too: what was only uploaded since, or is
// only an image, leaves no manifest that would tell.
func TestCopyOfTheSameStart(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		stop func(t *testing.T, w *wreck)
	}{
		"put back after a stop": {nil, func(t *testing.T, w *wreck) { w.Process.Terminate(t) }},
		"put back after rounds, and a kill": {[]string{"--retain-every", "50ms"}, func(t *testing.T, w *wreck) {
			w.expires(t)
			w.Process.Kill()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := &wreck{Installation: *program.Install(t, "http", append([]string{"--reserve", "0"}, tt.args...)...)}
			c.deployDAG(t, "from airflow import DAG  # 1\n")
			copied := filepath.Join(t.TempDir(), "copied.db")
			execute(t, c.database(), `VACUUM INTO '`+copied+`'`)
			c.deployImage(t, "1")
			c.deployImage(t, "2")
			tt.stop(t, c)
			for _, suffix := range []string{"", "-wal"} {
				_ = os.Remove(c.database() + suffix) // a stop leaves no -wal
			}
			copies(copied)(t, c.database())
			c.ages(t)
			before := c.kept(t)
			c.Start(t, "http", []string{"--reserve", "0", "--retain-every", "50ms", "--leftover-age", "0"})
			if text := c.Process.Output.String(); !strings.Contains(text, "is not the database that this data folder was served with last") {
				t.Errorf("it says\n%s", text)
			}
			c.expires(t)
			c.Process.Kill()
			wantSameFiles(t, before, c.kept(t))
		})
	}
}

// expires waits for some rounds in which a running portal deletes what expired:
// each counts up in the lock before it begins.
func (w *wreck) expires(t *testing.T) {
	t.Helper()
	count := func() int64 {
		n, err := sharedLastStart(w.Data)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count()
	program.Until(t, "four rounds begin, so that three have ended", func() bool { return count() >= before+4 })
}

// kept is the listing of what records name, but for what each start writes.
func (w *wreck) kept(t *testing.T) map[string]string {
	t.Helper()
	all := w.listing(t)
	maps.DeleteFunc(all, func(name, _ string) bool {
		return strings.HasPrefix(name, "mounts") || strings.HasPrefix(name, datadir.Database)
	})
	return all
}

// ages makes all that is kept two days old: longer than a crash's leftovers and
// than what was used lately in the registry.
func (w *wreck) ages(t *testing.T) {
	t.Helper()
	then := time.Now().Add(-48 * time.Hour)
	for name := range w.kept(t) {
		if err := os.Chtimes(filepath.Join(w.Data, name), then, then); err != nil {
			t.Fatal(err)
		}
	}
}

// The rests of a database of which a part is older are not taken for a whole.
func TestDatabaseWithTheLogOfAnother(t *testing.T) {
	w := newWreck(t)
	c := w.copied(t)
	for n := range 3 { // more and more of it is in the file, and not in the -wal
		c.Start(t, "http", []string{"--reserve", "0"})
		for i := range 3 {
			c.deployDAG(t, fmt.Sprintf("from airflow import DAG  # %d %d\n", n, i))
		}
		if n < 2 {
			c.Process.Terminate(t)
		}
	}
	c.Process.Kill()
	saved := t.TempDir()
	for _, suffix := range []string{"", "-wal"} {
		copies(c.database()+suffix)(t, filepath.Join(saved, datadir.Database+suffix))
	}
	copies(w.older)(t, c.database())
	says := "The database DATA/slipway.db and the file DATA/slipway.db-wal beside it do not fit together: "
	before := c.listing(t)
	p := program.Launch(t, t.TempDir(), program.ServeArgs(program.Build(t, "slipway"), c.Data)...)
	if p.Ready() != "" || !strings.Contains(strings.ReplaceAll(p.Tail(), c.Data, "DATA"), "slipway: "+says) {
		t.Errorf("it says\n%s", p.Tail())
	}
	wantSameFiles(t, before, c.listing(t))
	for _, suffix := range []string{"", "-wal"} {
		copies(filepath.Join(saved, datadir.Database+suffix))(t, c.database()+suffix)
	}
	c.last = "from airflow import DAG  # 2 2\n"
	c.runs(t)
}
