package bundle

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/internal/archive"
	"slipway/internal/bundle/buckettest"
	"slipway/internal/slipway"
)

// remote are the kinds of bucket that are reached over a network, one each of
// S3, of Azure and of Google.
var remote = map[string]func(*testing.T) buckettest.Bucket{"versitygw": buckettest.Gateway, "azurite": buckettest.Azure, "fake-gcs-server": buckettest.Google}

// wantOutage fails unless err tells people about the bucket in a sentence.
func wantOutage(t *testing.T, what string, err error, part string) {
	t.Helper()
	kind, text := slipway.Explain(err)
	if err == nil || kind != slipway.Unavailable || !strings.Contains(text, part) || !strings.Contains(text, "bucket ") {
		t.Errorf("%s: %v; the user reads %q, want %q", what, err, text, part)
	}
}

// What fails says so, is seen by nobody, and goes well afterwards.
func TestBucketFaults(t *testing.T) {
	t.Parallel()
	for name, start := range remote {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			s := bucketStore(t, b)
			first := stageFiles(t, s, places{}, map[string]string{"a.py": "dag", "large.bin": noise(1, 1<<20)})
			m := slipway.Manifest{Version: version(1), Files: first.Files}
			must[int64](t)(s.PutManifest(ns, m))
			for fault, tt := range map[string]struct {
				set      func()
				tries    int
				patience time.Duration
				want     string
			}{
				"refused":              {func() { b.Proxy.Set(buckettest.Refuse) }, 1, time.Minute, "cannot be reached"},
				"silent":               {func() { b.Proxy.Set(buckettest.Hang) }, 2, 300 * time.Millisecond, "does not answer"},
				"cut off in a request": {func() { b.Proxy.Cut(1000, 100, true) }, 2, 300 * time.Millisecond, ""},
				"cut off in an answer": {func() { b.Proxy.Cut(1000, 30, false) }, 2, 300 * time.Millisecond, ""},
			} {
				t.Run(fault, func(t *testing.T) {
					if name != "versitygw" && fault == "refused" { // those drivers try for ten seconds, or for ever
						tt.patience = time.Second
						if name == "azurite" { // its driver hides the cause
							tt.want = ""
						}
					}
					hurry(s, tt.patience)
					s.backend.(*bucket).tries = tt.tries
					tt.set()
					failEverything(t, s, m, tt.want)
					b.Proxy.Set(buckettest.None)
					b.Proxy.Cut(0, 0, false)
					hurry(s, 20*time.Second)
					checkHealed(t, s, m)
				})
			}
		})
	}
}

// failEverything does all that a store can do to a bucket that fails.
func failEverything(t *testing.T, s *Store, m slipway.Manifest, want string) {
	t.Helper()
	packed := upload(t, map[string]string{"b.py": "dag", "b.bin": noise(2, 300_000)})
	var wg sync.WaitGroup
	for what, do := range map[string]func() error{
		"stage": func() error {
			_, err := s.Stage(t.Context(), ns, packed, packed.Size(), archive.DefaultLimits(), archive.Search{}, places{}.known)
			return err
		},
		"put": func() error {
			_, err := s.PutManifest(ns, slipway.Manifest{Version: version(2), Files: m.Files})
			return err
		},
		"read": func() error {
			_, err := s.Manifest(ns, m.Version)
			return err
		},
		"frames": func() error {
			_, err := s.Source(ns).Frames(t.Context(), m.Files[0].Pack, 0, 10)
			return err
		},
		"check": func() error { return s.CheckPack(t.Context(), ns, m.Files[0].Pack, nil) },
		"drop":  func() error { return s.DropPack(ns, sha("another pack")) },
		"merge": func() error {
			_, _, err := s.Merge(t.Context(), ns, m.Files)
			return err
		},
		"list": func() (err error) {
			for _, err := range s.Packs(ns) {
				if err != nil {
					return err
				}
			}
			return nil
		},
	} {
		wg.Go(func() { wantOutage(t, what, do(), want) })
	}
	wg.Wait()
}

// checkHealed makes sure that what was there is, that what is there is whole
// (what the bucket took, and could not say, is for the next start to remove),
// and that what failed goes well.
func checkHealed(t *testing.T, s *Store, m slipway.Manifest) {
	t.Helper()
	if left := must[[]os.DirEntry](t)(os.ReadDir(filepath.Join(s.dir, tempFolder))); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	if got := must[slipway.Manifest](t)(s.Manifest(ns, m.Version)); !slices.Equal(got.Files, m.Files) {
		t.Errorf("the manifest is %v, want %v", got, m)
	}
	more := stageFiles(t, s, places{}, map[string]string{"b.py": "dag", "b.bin": noise(2, 300_000)})
	must[int64](t)(s.PutManifest(ns, slipway.Manifest{Version: version(2), Files: m.Files}))
	packs := listed(t, s)
	if !slices.Contains(packs, m.Files[0].Pack) || !slices.Contains(packs, more.Pack.SHA256) {
		t.Errorf("there are %q", packs)
	}
	for p, err := range s.Packs(ns) {
		ok(t, err)
		ok(t, s.CheckPack(t.Context(), ns, p.SHA256, func(slipway.File) {}))
	}
	ok(t, errors.Join(s.DropPack(ns, more.Pack.SHA256), s.DropManifest(ns, version(2))))
}

// A connection that breaks off in the middle is taken up where it did.
func TestBucketReadsOn(t *testing.T) {
	t.Parallel()
	for name, start := range remote {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			s := bucketStore(t, b)
			want := noise(1, 2<<20)
			staged := stageFiles(t, s, places{}, map[string]string{"large.bin": want})
			for fault, set := range map[string]func(){
				"cut off once":     func() { b.Proxy.Cut(1, 1<<19, false) },
				"cut off at each":  func() { b.Proxy.Cut(1000, 1<<19, false) },
				"cut off at first": func() { b.Proxy.Cut(1, 0, false) },
			} {
				t.Run(fault, func(t *testing.T) {
					set()
					defer b.Proxy.Cut(0, 0, false)
					checkSame(t, storedFiles(t, s, staged.Files), map[string]string{"large.bin": want})
				})
			}
			t.Run("an upload", func(t *testing.T) {
				b.Proxy.Cut(1, 1<<19, true)
				again := stageFiles(t, s, places{}, map[string]string{"other.bin": noise(2, 2<<20)})
				checkSame(t, storedFiles(t, s, again.Files), map[string]string{"other.bin": noise(2, 2<<20)})
			})
		})
	}
}

// Nobody waits for a bucket when the portal stops, or for what nobody wants.
func TestBucketWorkEnds(t *testing.T) {
	b := buckettest.Fake(t)
	for name, tt := range map[string]struct {
		end  func(store, call context.CancelFunc)
		want func(error) bool
	}{
		"the portal stops": {func(store, _ context.CancelFunc) { store() }, func(err error) bool {
			kind, _ := slipway.Explain(err)
			return kind == slipway.Unavailable
		}},
		"the caller goes": {func(_, call context.CancelFunc) { call() }, func(err error) bool { return errors.Is(err, context.Canceled) }},
	} {
		t.Run(name, func(t *testing.T) {
			life, end := context.WithCancel(t.Context())
			defer end()
			address := b.Address + "&prefix=" + strings.ReplaceAll(name, " ", "-") + "/"
			s := must[*Store](t)(OpenBucket(life, filepath.Join(t.TempDir(), "data"), address))
			call, cancel := context.WithCancel(t.Context())
			defer cancel()
			b.Proxy.Set(buckettest.Hang)
			defer b.Proxy.Set(buckettest.None)
			done := make(chan error, 2)
			go func() {
				_, err := s.Source(ns).Frames(call, sha("a"), 0, 10)
				done <- err
			}()
			go func() {
				_, err := s.OpenManifest(call, ns, version(1))
				done <- err
			}()
			tt.end(end, cancel)
			for range cap(done) {
				select {
				case err := <-done:
					if !tt.want(err) {
						t.Errorf("it ended with %v", err)
					}
				case <-time.After(20 * time.Second):
					t.Error("it waits on")
				}
			}
		})
	}
}

// An object that is shorter than its manifests say is damaged: no outage.
func TestBucketWithACutOffPack(t *testing.T) {
	everywhere(t, func(t *testing.T, s *Store, _ buckettest.Bucket) {
		staged := stageFiles(t, s, places{}, map[string]string{"large.bin": noise(1, 1<<20)})
		f := staged.Files[0]
		f.Length *= 2
		r, err := s.Content(t.Context(), ns, f)
		if err == nil {
			_, err = io.Copy(io.Discard, r)
			ok(t, r.Close())
		}
		ok(t, err) // what is there is all of the content
		part := must[io.ReadCloser](t)(s.Source(ns).Frames(t.Context(), f.Pack, 0, f.Length))
		defer part.Close()
		n, err := io.Copy(io.Discard, part)
		if kind, _ := slipway.Explain(err); n != staged.Pack.Size || kind == slipway.Unavailable {
			t.Errorf("read %d bytes, then %v", n, err)
		}
	})
}

// A bucket belongs to one installation.
func TestBucketIsClaimed(t *testing.T) {
	b := buckettest.Fake(t)
	home := t.TempDir()
	s := must[*Store](t)(OpenBucket(t.Context(), home, b.Address))
	staged := stageFiles(t, s, places{}, map[string]string{"a.py": "dag"})
	full := t.TempDir()
	stageFiles(t, must[*Store](t)(Open(full)), places{}, map[string]string{"a.py": "dag"})
	part := func(name string) string { return b.Address + "&prefix=" + name + "/" }
	open := func(dir, address string) error {
		_, err := OpenBucket(t.Context(), dir, address)
		return err
	}
	attach := func(dir, address string) error {
		_, err := AttachBucket(t.Context(), dir, address)
		return err
	}
	folder := func(dir, _ string) error {
		_, err := Open(dir)
		return err
	}
	for name, tt := range map[string]struct {
		open         func(dir, address string) error
		dir, address string
		want         string
	}{
		"again":                       {open, home, b.Address, ""},
		"beside":                      {attach, home, b.Address, ""},
		"by another":                  {open, t.TempDir(), b.Address, "belongs to another installation"},
		"a part, by another":          {open, t.TempDir(), part("other"), ""},
		"another, beside":             {attach, home, part("elsewhere"), "is no copy of it"},
		"another":                     {open, home, part("elsewhere"), "is no copy of it"},
		"as a folder":                 {folder, home, "", "Name it with --bucket"},
		"of a folder, beside":         {attach, t.TempDir(), b.Address, "leave --bucket out"},
		"packs are in the folder":     {open, full, part("full"), "Copy its folders bundles and packs there first"},
		"no bucket of that name":      {open, t.TempDir(), strings.Replace(b.Address, "slipway", "nobody", 1), "There is no bucket s3://nobody"},
		"another scheme":              {open, home, "ftp://a", "begins with s3://"},
		"no name":                     {open, home, "s3://", "names no bucket"},
		"no folder":                   {open, home, "file:///", "names no folder"},
		"a prefix that is no folder":  {open, home, "s3://a?prefix=b", "ends in a slash"},
		"a parameter that is unknown": {open, home, "s3://a?colour=blue", "cannot be opened"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.open(tt.dir, tt.address)
			if kind, text := slipway.Explain(err); tt.want == "" && err != nil || tt.want != "" && (err == nil || kind == slipway.Internal || !strings.Contains(text, tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	if got := listed(t, s); !slices.Equal(got, []string{staged.Pack.SHA256}) {
		t.Errorf("afterwards there are %q", got)
	}
}

// What a crash left of a claim is taken up again.
func TestBucketClaimIsTakenUp(t *testing.T) {
	b := buckettest.Fake(t)
	dir := t.TempDir()
	s := must[*Store](t)(OpenBucket(t.Context(), dir, b.Address))
	ok(t, s.backend.drop(ownerFile))
	if _, err := AttachBucket(t.Context(), dir, b.Address); err == nil {
		t.Error("a bucket without a mark was recognised")
	}
	must[*Store](t)(OpenBucket(t.Context(), dir, b.Address))
	must[*Store](t)(AttachBucket(t.Context(), dir, b.Address))
	ok(t, os.Remove(filepath.Join(dir, BucketFile)))
	if _, err := OpenBucket(t.Context(), dir, b.Address); err == nil {
		t.Error("a data folder that does not know of the bucket took it")
	}
	if _, err := os.Stat(filepath.Join(dir, BucketFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("and noted it: %v", err)
	}
}
