package deploy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

func (a *app) beginBlocks(t *testing.T) slipway.Deploy {
	t.Helper()
	w, err := a.Engine.BeginBlocks(t.Context(), a.Sales.ID, a.Eve, deploy.NewUpload{Name: "bundle.tar.gz", Merge: slipway.ReplaceAll})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (a *app) putBlock(t *testing.T, w slipway.Deploy, block string, b []byte) {
	t.Helper()
	if err := a.Engine.PutBlock(t.Context(), w.ID, block, bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
}

// A restart in the middle loses no block.
func TestBlocksOutliveARestart(t *testing.T) {
	a := running(t)
	b := storetest.Archive(t, map[string]string{"a.py": dag("a")})
	w := a.beginBlocks(t)
	a.putBlock(t, w, "one", b[:40])
	if err := os.Mkdir(filepath.Join(a.Dir, "uploads", "stray.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(a.Dir, "uploads", string(w.ID)+".d", "put-1234") // that was being written
	if err := os.WriteFile(half, b, 0o600); err != nil {
		t.Fatal(err)
	}
	a.Stop()
	a.Build(t)
	a.Run(t)
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Errorf("half a block is left: %v", err)
	}
	if names := a.uploads(t); len(names) != 2 {
		t.Errorf("uploads %v, want one file and its blocks", names)
	}
	a.putBlock(t, w, "two", b[40:])
	if _, err := a.Engine.PutBlockList(t.Context(), w.ID, []string{"one", "two"}, nil); err != nil {
		t.Fatal(err)
	}
	a.Await(t, w.Number, slipway.Staged)
	if names := a.uploads(t); len(names) != 0 {
		t.Errorf("%v is left", names)
	}
	got, err := a.Engine.Finalize(t.Context(), a.Sales.ID, w.ID, a.Eve, deploy.Finish{Version: w.Version})
	if err != nil || got.Status != slipway.Queued && got.Status != slipway.Deploying {
		t.Fatalf("%+v, %v", got, err)
	}
	a.Await(t, w.Number, slipway.Deployed)
}

// A block whose connection breaks is none.
func TestBrokenBlockIsNone(t *testing.T) {
	a := running(t)
	w := a.beginBlocks(t)
	broken := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("connection reset")))
	if err := a.Engine.PutBlock(t.Context(), w.ID, "one", broken); err == nil {
		t.Fatal("a broken block was kept")
	}
	if _, err := a.Engine.PutBlockList(t.Context(), w.ID, []string{"one"}, nil); !errors.Is(err, deploy.ErrNoBlock) {
		t.Errorf("%v, want ErrNoBlock", err)
	}
	if names := a.Names(t, "uploads", a.uploads(t)[1]); len(names) != 0 {
		t.Errorf("%v is left", names)
	}
}

// A block that cannot be looked at is not taken for one that was never sent.
func TestBlockThatCannotBeRead(t *testing.T) {
	a := running(t)
	w := a.beginBlocks(t)
	b := storetest.Archive(t, map[string]string{"a.py": dag("a")})
	a.putBlock(t, w, "one", b)
	dir := filepath.Join(a.Dir, "uploads", string(w.ID)+".d")
	block := filepath.Join(dir, a.Names(t, "uploads", filepath.Base(dir))[0])
	away := filepath.Join(a.Dir, "away")
	if err := errors.Join(os.Rename(block, away), os.Symlink(block, block)); err != nil { // a circle
		t.Fatal(err)
	}
	if got, err := a.Engine.Received(t.Context(), w); err == nil {
		t.Errorf("received %v, want an error", got)
	}
	if _, err := a.Engine.PutBlockList(t.Context(), w.ID, []string{"one"}, nil); err == nil || errors.Is(err, deploy.ErrNoBlock) {
		t.Errorf("block list: %v, want the error of the disk", err)
	}
	if err := a.Engine.PutBlock(t.Context(), w.ID, "one", bytes.NewReader(b)); err == nil {
		t.Error("a block was written over one that cannot be looked at")
	}
	if err := os.Rename(away, block); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Engine.PutBlockList(t.Context(), w.ID, []string{"one"}, nil); err != nil {
		t.Fatal(err)
	}
	a.Await(t, w.Number, slipway.Staged)
}

// What is never finalized ends, and nothing of it stays.
func TestBlocksAreReaped(t *testing.T) {
	a := running(t)
	w := a.beginBlocks(t)
	a.putBlock(t, w, "one", []byte("x"))
	a.Stop()
	a.Store.Now = func() time.Time { return time.Now().Add(25 * time.Hour) }
	a.Build(t)
	if w := a.Load(t, w.Number); w.Status != slipway.Failed || w.Reason != "The upload was never completed. Upload the files again." {
		t.Errorf("%s: %q", w.Status, w.Reason)
	}
	if names := a.uploads(t); len(names) != 0 {
		t.Errorf("%v is left", names)
	}
	err := a.Engine.PutBlock(t.Context(), w.ID, "two", strings.NewReader("x"))
	wantKind(t, err, slipway.Conflict, "is failed")
}

// Whoever names a base is refused when another version is wanted by then.
func TestFinalizeAgainstABase(t *testing.T) {
	a := running(t)
	first := a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a")})
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("b")})
	none := slipway.Version("")
	_, err := a.Engine.Finalize(t.Context(), a.Sales.ID, w.ID, a.Eve, deploy.Finish{Version: w.Version, Base: &none})
	wantKind(t, err, slipway.Conflict, "Another deploy came in between")
	if _, err = a.Engine.Finalize(t.Context(), a.Sales.ID, w.ID, a.Eve, deploy.Finish{Version: w.Version, Base: &first.Version}); err != nil {
		t.Fatal(err)
	}
	a.Await(t, w.Number, slipway.Deployed)
	storetest.View(t, a.Store, func(tx *store.Tx) error {
		live, _, err := tx.LiveDeploy(a.Sales.ID)
		if live.ID != w.ID {
			t.Errorf("deploy #%d is live", live.Number)
		}
		return err
	})
}

// Parallel blocks share the limit of the archive: their sum never passes the
// limit, and the refused ones leave nothing behind.
func TestParallelBlocksShareTheLimit(t *testing.T) {
	const limit, size = 10 << 20, 3 << 20
	a := running(t, func(c *deploy.Config) { c.Limits.Archive = limit })
	w := a.beginBlocks(t)
	errs := make(chan error)
	for i := range 20 {
		go func() {
			errs <- a.Engine.PutBlock(t.Context(), w.ID, fmt.Sprint(i), io.LimitReader(slowly{}, size))
		}()
	}
	kept := 0
	for range 20 {
		err := <-errs
		if err == nil {
			kept++
			continue
		}
		wantKind(t, err, slipway.TooLarge, "at most 10 MiB")
	}
	if kept > limit/size {
		t.Errorf("%d blocks were kept, want %d at most", kept, limit/size)
	}
	if names := a.Names(t, "uploads", a.uploads(t)[1]); len(names) != kept {
		t.Errorf("%d blocks are on the disk, want %d", len(names), kept)
	}
	// A refused block takes no room from later ones, and a repeated one counts once.
	for range 5 {
		a.putBlock(t, w, "again", bytes.Repeat([]byte("x"), 1<<20))
	}
	if err := a.Engine.PutBlock(t.Context(), w.ID, "rest", io.LimitReader(slowly{}, limit-int64(kept)*size-1<<20)); err != nil {
		t.Error(err)
	}
	wantKind(t, a.Engine.PutBlock(t.Context(), w.ID, "one", strings.NewReader("x")), slipway.TooLarge, "at most 10 MiB")
}

// slowly gives its bytes in small pieces, so that parallel readers take turns.
type slowly struct{}

func (slowly) Read(p []byte) (int, error) {
	time.Sleep(10 * time.Microsecond)
	return min(len(p), 16<<10), nil
}

// Two requests with one block would count the earlier block twice.
func TestOneRequestAtATimePerBlock(t *testing.T) {
	a := running(t)
	w := a.beginBlocks(t)
	r, pipe := io.Pipe()
	first := make(chan error, 1)
	go func() { first <- a.Engine.PutBlock(t.Context(), w.ID, "one", r) }()
	if _, err := pipe.Write([]byte("0123")); err != nil {
		t.Fatal(err)
	}
	wantKind(t, a.Engine.PutBlock(t.Context(), w.ID, "one", strings.NewReader("x")), slipway.TooMany, "another request")
	if err := errors.Join(pipe.Close(), <-first); err != nil {
		t.Fatal(err)
	}
	a.putBlock(t, w, "one", []byte("x"))
}

func TestNotReadyBelowTheReserve(t *testing.T) {
	a := running(t, func(c *deploy.Config) { c.Reserve = 1 << 60 })
	a.Eventually(t, "the engine runs, without space", func() bool {
		kind, text := slipway.Explain(a.Engine.Ready())
		return kind == slipway.NoSpace && strings.Contains(text, "nearly full")
	})
}
