package deploy_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// noise returns an archive of about size bytes.
func noise(t *testing.T, seed uint64, size int) []byte {
	t.Helper()
	b := make([]byte, size)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return storetest.Archive(t, map[string]string{"a.py": dag("a"), "noise.bin": string(b)})
}

// withFree has a disk whose free space never changes.
func withFree(free int64) func(*deploy.Config) {
	return func(c *deploy.Config) { c.Reserve, c.Free = 0, func() (int64, error) { return free, nil } }
}

// tokenOf issues a token of a person or of another token.
func (a *app) tokenOf(t *testing.T, by slipway.Actor, id slipway.TokenID) slipway.Actor {
	t.Helper()
	storetest.Update(t, a.Store, func(tx *store.Tx) error {
		_, err := tx.AddToken(store.Token{
			ID: id, Secret: string(id), Kind: store.APIToken, Name: string(id), Workspace: a.Sales.Workspace, Role: slipway.Author,
			ByUser: by.User, ByToken: by.Token, ExpiresAt: time.Now().Add(time.Hour),
		})
		return err
	})
	return slipway.Actor{Token: id, Secret: string(id), Name: string(id), Via: slipway.API}
}

// The share of a person holds whoever sends for the person, and however uploads are
// begun: all addresses first, then the files of one after the other, staged at once,
// across a restart.
func TestShareCountsStagedDeploys(t *testing.T) {
	const size, free = 600 << 10, 2 << 20 // three fit: 3 × 600 <= (2048 + 3 × 600) / 2
	a := running(t, withFree(free))
	senders := []slipway.Actor{a.Eve, a.tokenOf(t, a.Eve, "ci")}
	senders = append(senders, a.tokenOf(t, senders[1], "nightly"))
	var all []slipway.Deploy
	for i := range 6 {
		w, err := a.Engine.BeginBlocks(t.Context(), a.Sales.ID, senders[i%3], deploy.NewUpload{Name: "bundle.tar.gz", Merge: slipway.ReplaceAll})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, w)
	}
	for i := range 3 {
		if _, err := a.Engine.PutBlob(t.Context(), all[i].ID, bytes.NewReader(noise(t, uint64(i), size)), nil); err != nil {
			t.Fatalf("deploy %d: %v", i, err)
		}
		a.Await(t, all[i].Number, slipway.Staged)
	}
	refused := func(w slipway.Deploy) {
		t.Helper()
		_, err := a.Engine.PutBlob(t.Context(), w.ID, bytes.NewReader(noise(t, 9, size)), nil)
		wantKind(t, err, slipway.TooLarge, "The unfinished uploads of one person, with those of all tokens that the person issued, may take 1 MiB")
		wantKind(t, a.Engine.PutBlock(t.Context(), w.ID, "one", bytes.NewReader(noise(t, 9, size))), slipway.TooLarge, "of one person")
	}
	refused(all[3])
	a.Stop()
	a.Build(t, withFree(free))
	a.Run(t)
	refused(all[4])
	if n := a.Engine.Counted(string(a.Eve.User), free); n < 3*size || n > 4*size {
		t.Errorf("%d bytes count, want three deploys", n)
	}
	if _, err := a.Engine.Cancel(t.Context(), a.Sales.ID, all[0].Number, a.Eve); err != nil {
		t.Fatal(err)
	}
	a.Confirm(t, all[1].Number, senders[1])
	a.Confirm(t, all[2].Number, senders[2])
	for _, w := range all[3:] {
		if _, err := a.Engine.Cancel(t.Context(), a.Sales.ID, w.Number, a.Ada); err != nil {
			t.Fatal(err)
		}
	}
	if n := a.Engine.Counted(string(a.Eve.User), free); n > 2 {
		t.Errorf("%d bytes count, want none", n)
	}
}

// A kept upload counts beside what was staged of it, and its deploy counts once.
func TestKeptUploadCounts(t *testing.T) {
	const free = 64 << 20
	a := running(t, withFree(free))
	b := storetest.Archive(t, map[string]string{"one/dags/a.py": dag("a"), "two/dags/b.py": dag("b")})
	w := a.Upload(t, a.Eve, slipway.ReplaceAll, b)
	w = a.Await(t, w.Number, slipway.Staged)
	kept, count := int64(len(b)), func() int64 { return a.Engine.Counted(string(a.Eve.User), free) }
	if n := count(); n < kept || n > kept+w.Counts.NewBytes+4<<10 {
		t.Errorf("%d bytes count, want the archive of %d, the pack of %d, and records", n, kept, w.Counts.NewBytes)
	}
	if _, err := a.Engine.ChooseRoot(t.Context(), a.Sales.ID, w.Number, a.Eve, "one/dags"); err != nil {
		t.Fatal(err)
	}
	a.Await(t, w.Number, slipway.Staged)
	a.Confirm(t, w.Number, a.Eve)
	if n := count(); n > 2 {
		t.Errorf("%d bytes count after the confirmation", n)
	}
}

// Whoever cancels a deploy while its bytes arrive writes no more of them.
func TestNoBytesAfterTheEnd(t *testing.T) {
	a := running(t)
	for name, send := range map[string]func(u store.Upload, w slipway.Deploy, r io.Reader) error{
		"block": func(_ store.Upload, w slipway.Deploy, r io.Reader) error {
			return a.Engine.PutBlock(t.Context(), w.ID, "one", r)
		},
		"blob": func(_ store.Upload, w slipway.Deploy, r io.Reader) error {
			_, err := a.Engine.PutBlob(t.Context(), w.ID, r, nil)
			return err
		},
		"tus": func(u store.Upload, _ slipway.Deploy, r io.Reader) error {
			_, _, err := a.Engine.Append(t.Context(), u.ID, a.Eve, 0, r, -1)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := a.beginBlocks(t)
			u, err := a.Engine.UploadOf(t.Context(), w)
			if name == "tus" {
				u, w, err = a.Engine.BeginUpload(t.Context(), a.Sales.ID, a.Eve, deploy.NewUpload{Name: "a.tar.gz", Length: 1 << 30, Merge: slipway.ReplaceAll})
			}
			if err != nil {
				t.Fatal(err)
			}
			r, pipe := io.Pipe()
			ended := make(chan error, 1)
			go func() {
				err := send(u, w, r)
				_ = r.CloseWithError(io.ErrClosedPipe)
				ended <- err
			}()
			if _, err := pipe.Write([]byte("0123")); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Engine.Cancel(t.Context(), a.Sales.ID, w.Number, a.Eve); err != nil {
				t.Fatal(err)
			}
			n := 0
			for err = nil; err == nil && n < 100; n++ {
				_, err = pipe.Write([]byte("x"))
			}
			if n > 2 {
				t.Errorf("%d bytes more were taken", n)
			}
			_ = pipe.Close()
			wantKind(t, <-ended, slipway.Conflict, fmt.Sprintf("Deploy #%d", w.Number))
			if got := a.uploads(t); len(got) > 1 { // that of beginBlocks, in the case of tus
				t.Errorf("%v is left", got)
			}
		})
	}
}

// A request that passed its checks before the deploy was cancelled makes no file.
func TestNoFilesAfterTheEnd(t *testing.T) {
	a := running(t)
	w := a.beginBlocks(t)
	u, err := a.Engine.UploadOf(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Engine.Cancel(t.Context(), a.Sales.ID, w.Number, a.Eve); err != nil {
		t.Fatal(err)
	}
	block, whole := a.Engine.WriteLate(u, w)
	wantKind(t, block, slipway.Conflict, "takes no more files")
	wantKind(t, whole, slipway.Conflict, "takes no more files")
	if got := a.uploads(t); len(got) > 0 {
		t.Errorf("%v is left", got)
	}
}

// Bytes of a refused request that were not kept count for nobody.
func TestRefusedBytesDoNotCount(t *testing.T) {
	const length, free = 2 << 20, 6 << 20
	a := running(t, withFree(free))
	u, _, err := a.Engine.BeginUpload(t.Context(), a.Sales.ID, a.Eve, deploy.NewUpload{Name: "a.tar.gz", Length: length, Merge: slipway.ReplaceAll})
	if err != nil {
		t.Fatal(err)
	}
	at := int64(0)
	for _, part := range []int64{0, 1 << 20} {
		if part > 0 {
			if _, at, err = a.Engine.Append(t.Context(), u.ID, a.Eve, at, io.LimitReader(zeros{}, part), -1); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 {
			_, _, err = a.Engine.Append(t.Context(), u.ID, a.Eve, at, io.LimitReader(zeros{}, length-at+1), -1)
			wantKind(t, err, slipway.TooLarge, fmt.Sprintf("go on from byte %d", at))
		}
	}
	if _, at, err = a.Engine.Append(t.Context(), u.ID, a.Eve, at, io.LimitReader(zeros{}, length-at), -1); err != nil || at != length {
		t.Errorf("at %d, %v", at, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A block in flight when the archive is assembled is refused, and its bytes are given
// back once.
func TestBlockInFlightAtTheList(t *testing.T) {
	const free = 64 << 20
	a := newApp(t, withFree(free)) // nothing is staged
	b := noise(t, 1, 2<<20)
	w := a.beginBlocks(t)
	a.putBlock(t, w, "one", b)
	a.putBlock(t, w, "again", []byte("earlier"))
	r, pipe := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := a.Engine.PutBlock(t.Context(), w.ID, "again", r)
		_ = r.Close()
		ended <- err
	}()
	if _, err := pipe.Write(make([]byte, 3<<20)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Engine.PutBlockList(t.Context(), w.ID, []string{"one"}, nil); err != nil {
		t.Fatal(err)
	}
	_, _ = pipe.Write([]byte("x"))
	_ = pipe.Close()
	wantKind(t, <-ended, slipway.Conflict, "takes no more files")
	if n, want := a.Engine.Counted(string(a.Eve.User), free), int64(len(b)); n < want || n > want+4<<10 {
		t.Errorf("%d bytes count, want the archive of %d and its record", n, want)
	}
	if got := a.uploads(t); len(got) != 1 {
		t.Errorf("uploads %v, want the archive alone", got)
	}
}
