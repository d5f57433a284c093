package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"slipway/e2e/program"

	"slipway/internal/datadir"
)

// whereAside finds the folder in what a start says.
var whereAside = regexp.MustCompile(`What was in the data folder is in (\S+) now; nothing was deleted\.`)

// startsAside starts the portal with --set-aside and returns the folder.
func (w *wreck) startsAside(t *testing.T) string {
	t.Helper()
	w.Start(t, "http", []string{"--reserve", "0", "--set-aside"})
	text := w.Process.Output.String()
	m := whereAside.FindStringSubmatch(text)
	if m == nil || !strings.Contains(text, "/setup/") {
		t.Fatalf("it says\n%s", text)
	}
	return m[1]
}

// movesBack puts everything of a folder back where it was.
func (w *wreck) movesBack(t *testing.T, aside string) {
	t.Helper()
	entries, err := os.ReadDir(aside)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(w.Data, e.Name())); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(aside, e.Name()), filepath.Join(w.Data, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	remove(t, aside)
}

// With --set-aside a start is a new one, and everything that was there is in one
// folder, from which it can be moved back.
func TestSetAside(t *testing.T) {
	w := newWreck(t)
	for name, tt := range map[string]struct{ wal bool }{"the database is gone": {}, "its -wal is left": {wal: true}} {
		t.Run(name, func(t *testing.T) {
			c := w.copied(t)
			remove(t, c.database())
			if !tt.wal {
				remove(t, c.database()+"-wal")
			}
			before := c.listing(t)
			aside := c.startsAside(t)
			wantSameFiles(t, before, listed(t, aside, datadir.Database+"-shm"))
			c.Process.Terminate(t)
			c.Start(t, "http", []string{"--set-aside"}) // on a sound folder it does nothing
			if whereAside.MatchString(c.Process.Output.String()) {
				t.Errorf("it says\n%s", c.Process.Tail())
			}
			c.Process.Terminate(t)
			remove(t, c.database())
			_, err := call(t, password, "init", "--data", c.Data, "--set-aside", "--email", "a@b.cd", "--workspace", "W", "--deployment", "D", "--password-stdin")
			if err != nil {
				t.Errorf("init: %v", err)
			}
			wantSameFiles(t, before, listed(t, aside, datadir.Database+"-shm"))
			c.movesBack(t, aside)
			c.restores(t)
			c.runs(t)
		})
	}
}

// Setting aside twice makes two folders; nothing gets the name of another.
func TestSetAsideTwice(t *testing.T) {
	w := newWreck(t)
	c := w.copied(t)
	remove(t, c.database())
	first := c.startsAside(t)
	c.Process.Kill()
	want := listed(t, first)
	for _, name := range []string{"", "-wal"} {
		remove(t, c.database()+name)
	}
	writeInto(t, c.Data, "packs/new/x", "of the second")
	second := c.startsAside(t)
	if first == second {
		t.Errorf("both are in %s", first)
	}
	wantSameFiles(t, want, listed(t, first))
	if got := readFrom(t, second, "packs/new/x"); got != "of the second" {
		t.Errorf("the second holds %q", got)
	}
}

// A start that is killed while it sets aside loses nothing: the next one goes on
// with it, and without the flag it says what to do.
func TestSetAsideCutOff(t *testing.T) {
	w := newWreck(t)
	all := quarantineEntries
	for cut := range len(all) + 1 {
		c := w.copied(t)
		remove(t, c.database())
		before := c.listing(t)
		half := filepath.Join(c.Data, quarantinePrefix+"20261122T140351Z"+quarantineSuffix)
		if err := os.Mkdir(half, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range all[:cut] {
			if err := os.Rename(filepath.Join(c.Data, name), filepath.Join(half, name)); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
		if cut%4 == 0 {
			c.refuses(t, "The data folder DATA was being set aside when Slipway was stopped: a part of it is in DATA/set-aside-20261122T140351Z.unfinished. "+
				"Start with --set-aside to go on, or move the contents of that folder back and remove it.", program.ServeArgs("", c.Data)[1:]...)
		}
		d, err := dataFlag{Data: c.Data}.own(t.Context(), asideFlag{SetAside: true}, t.Output())
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		wantSameFiles(t, before, listed(t, filepath.Join(c.Data, quarantinePrefix+"20261122T140351Z"), datadir.Database+"-shm"))
	}
}

// Whoever puts the database back while a part is still set aside is told so.
func TestDatabaseBackWhileHalfIsAside(t *testing.T) {
	w := newWreck(t)
	c := w.copied(t)
	half := filepath.Join(c.Data, quarantinePrefix+"20261122T140351Z"+quarantineSuffix)
	if err := os.Mkdir(half, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(c.Data, "packs"), filepath.Join(half, "packs")); err != nil {
		t.Fatal(err)
	}
	c.refuses(t, "The folder DATA/set-aside-20261122T140351Z.unfinished holds what was to be set aside when Slipway was stopped. "+
		"Move its contents back to DATA and remove it.", program.ServeArgs("", c.Data, "--set-aside")[1:]...)
	c.movesBack(t, half)
	c.runs(t)
}

// What a first start leaves that is killed is no reason to refuse the next one.
func TestFirstStartAgain(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, dir string){
		"nothing":      func(*testing.T, string) {},
		"a lock":       func(t *testing.T, dir string) { writeInto(t, dir, "lock", "") },
		"a lost+found": func(t *testing.T, dir string) { writeInto(t, dir, "lost+found/x", "x") },
		"no bytes yet": func(t *testing.T, dir string) { writeInto(t, dir, datadir.Database, "") },
		"empty folders": func(t *testing.T, dir string) {
			makeFoldersIn(t, dir, "packs", "bundles", "registry/docker", "uploads", "mounts/some-one-0001")
		},
		"a database without tables": func(t *testing.T, dir string) {
			execute(t, filepath.Join(dir, datadir.Database), `PRAGMA journal_mode = WAL`)
		},
		"a -wal in which nothing was committed": func(t *testing.T, dir string) {
			execute(t, filepath.Join(dir, datadir.Database), `PRAGMA journal_mode = WAL`)
			writeInto(t, dir, datadir.Database+"-wal", strings.Repeat("\x00", 32))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			make(t, dir)
			s := start(t, dir)
			if !strings.Contains(s.out.String(), "/setup/") {
				t.Errorf("it says\n%s", s.out.String())
			}
			s.stop()
			s.wait(t)
		})
	}
}

// Each of these alone says that the folder is no new one.
func TestWhatIsNotNew(t *testing.T) {
	for path, holds := range map[string]string{
		"bundles/a-b-0001/x.json.zst": "bundles", "packs/a-b-0001/x": "packs", "registry/docker/registry/v2/blobs/sha256/aa/aa/data": "registry",
		"mounts/a-b-0001/current": "mounts", "uploads/01abc": "uploads", "bucket.json": "bucket.json", "slipway.db-wal": "slipway.db-wal",
	} {
		dir := t.TempDir()
		writeInto(t, dir, path, "x")
		wantNotOwned(t, dir, "The data folder "+dir+" holds "+holds+", but its database slipway.db is missing.")
	}
	dir := t.TempDir()
	makeFoldersIn(t, dir, restoreName, "packs")
	wantNotOwned(t, dir, "A restore into the data folder "+dir+" was cut off. Run slipway restore again.")
}

func wantNotOwned(t *testing.T, dir, says string) {
	t.Helper()
	d, err := dataFlag{Data: dir}.own(t.Context(), asideFlag{}, t.Output())
	wantError(t, err, says)
	if err == nil {
		_ = d.Close() // it should not be open
	}
}

func makeFoldersIn(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func writeInto(t *testing.T, dir, name, text string) {
	t.Helper()
	makeFoldersIn(t, dir, filepath.Dir(name))
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFrom(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
