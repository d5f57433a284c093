package pydag

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"slipway/internal/slipway"
)

// minor is the version of Python that tests read for, 3.13.
const minor = 13

// compiled is the folder of compiled code that the tests of one run share.
var compiled string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "pydag-*")
	if err != nil {
		panic(err)
	}
	compiled = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

func opened(t testing.TB, workers int) *Reader {
	t.Helper()
	r, err := Open(context.Background(), compiled, workers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func read(t testing.TB, r *Reader, text string) File {
	t.Helper()
	f, err := r.Read(context.Background(), "dags/sales_daily.py", []byte(text), minor)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The binary and its sources change together: ruff.sum names the hashes of both, and
// build.sh writes it.
func TestBinaryIsOfItsSources(t *testing.T) {
	sums, err := os.ReadFile("ruff/ruff.sum")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]string{}
	for line := range strings.Lines(string(sums)) {
		sum, file, _ := strings.Cut(strings.TrimSpace(line), "  ")
		named[file] = sum
	}
	err = filepath.WalkDir("ruff", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.Name() == "target" {
			return errors.Join(err, fs.SkipDir)
		}
		name, _ := filepath.Rel("ruff", p)
		if e.IsDir() || name == "ruff.sum" || name == "LICENSE" || name == ".gitignore" {
			return nil
		}
		b, err := os.ReadFile(p)
		if sum := sha256.Sum256(b); err == nil && hex.EncodeToString(sum[:]) != named[name] {
			t.Errorf("%s has the SHA-256 %x, ruff.sum says %q: run make pydag-wasm", p, sum, named[name])
		}
		delete(named, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(named) > 0 {
		t.Errorf("ruff.sum names files that are not there: %v", named)
	}
}

func TestSeveralGoroutinesRead(t *testing.T) {
	r := opened(t, 2)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 5 {
				id := fmt.Sprintf("d%d_%d", i, j)
				f, err := r.Read(context.Background(), "a.py", []byte("from airflow import DAG\nDAG('"+id+"')\n"), minor)
				if err != nil || len(f.DAGs) != 1 || f.DAGs[0].ID != id {
					t.Errorf("Read: %v %v, want the DAG %s", f.DAGs, err, id)
				}
			}
		})
	}
	group.Wait()
	if len(r.idle) > 2 {
		t.Errorf("%d sandboxes wait, want at most one for each of 2 workers", len(r.idle))
	}
}

func TestClosedReaderRefuses(t *testing.T) {
	r, err := Open(context.Background(), compiled, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(context.Background(), "a.py", []byte("x = 1"), minor); !errors.Is(err, errClosed) {
		t.Errorf("Read after Close: %v, want %v", err, errClosed)
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	r := opened(t, 1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Read(ctx, "a.py", []byte("x = 1"), minor); !errors.Is(err, context.Canceled) {
		t.Errorf("Read: %v, want %v", err, context.Canceled)
	}
	if f := read(t, r, "import os"); len(f.Imports) != 1 {
		t.Errorf("the next file has the imports %v, want one", f.Imports)
	}
}

func TestLargeFileIsRefused(t *testing.T) {
	r := opened(t, 1)
	_, err := r.Read(context.Background(), "dags/big.py", make([]byte, SizeMax+1), minor)
	if kind, text := slipway.Explain(err); kind != slipway.TooLarge || !strings.Contains(text, "dags/big.py") {
		t.Errorf("Read: %v, want a refusal that names the file", err)
	}
}
