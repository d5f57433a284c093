package image_test

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway/internal/image"
	"slipway/internal/slipway"
)

const (
	namespace  = "barren-ionization-0185"
	repository = namespace + "/airflow"
)

// portal is a registry behind HTTP, with an Authorizer that admits everybody.
type portal struct {
	*image.Store

	t    *testing.T
	host string

	mu       sync.Mutex
	requests []string // method and path
	pushes   []image.Push
	reserved map[string]bool // tags that may be pushed although they are Slipway's
	account  image.Account   // where pushes count
}

func open(t *testing.T) *portal {
	t.Helper()
	return openAt(t, t.TempDir())
}

func openAt(t *testing.T, dir string) *portal {
	t.Helper()
	p := &portal{t: t, reserved: map[string]bool{}}
	s, err := image.Open(image.Config{Dir: dir, MayPush: p.mayPush, Pushed: p.pushed}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	p.listen(s)
	return p
}

// serve puts a store behind HTTP.
func serve(t *testing.T, s *image.Store) *portal {
	t.Helper()
	p := &portal{t: t}
	p.listen(s)
	return p
}

func (p *portal) listen(s *image.Store) {
	p.Store = s
	authorizer := image.Authorizer{
		Realm: func(r *http.Request) string { return "http://" + r.Host + "/v2/token" },
		Admit: func(*http.Request, string, []image.Access) error { return nil },
	}
	if p.account.Take != nil {
		authorizer.Account = func(*http.Request, string, string) (image.Account, error) { return p.account, nil }
	}
	h := s.Handler(authorizer)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests = append(p.requests, r.Method+" "+r.URL.Path)
		p.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	p.t.Cleanup(server.Close)
	p.host = strings.TrimPrefix(server.URL, "http://")
}

func (p *portal) mayPush(_ context.Context, _, tag string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reserved[tag] {
		return nil
	}
	return slipway.Errorf(slipway.Forbidden, "The tag %s is made by Slipway. Push another one.", tag)
}

func (p *portal) pushed(push image.Push) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pushes = append(p.pushes, push)
}

// seen returns the requests so far that begin with a method, and forgets all.
func (p *portal) seen(method string) (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.requests {
		if strings.HasPrefix(r, method+" ") {
			all = append(all, r)
		}
	}
	p.requests = nil
	return all
}

// ref returns "repository:tag" or "repository@digest" in the registry.
func (p *portal) ref(text string) name.Reference {
	p.t.Helper()
	r, err := name.ParseReference(p.host + "/" + text)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// push pushes an image and returns its digest.
func (p *portal) push(text string, img v1.Image) string {
	p.t.Helper()
	if err := remote.Write(p.ref(text), img); err != nil {
		p.t.Fatalf("push %s: %v", text, err)
	}
	return digestOf(p.t, img)
}

func digestOf(t *testing.T, img v1.Image) string {
	t.Helper()
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// inspect looks at an image of the own registry, which must go well.
func (p *portal) inspect(text string) slipway.Image {
	p.t.Helper()
	ref, err := image.ParseRef(text)
	if err != nil {
		p.t.Fatal(err)
	}
	i, err := p.Inspect(p.t.Context(), ref, slipway.DefaultPlatform, image.Login{})
	if err != nil {
		p.t.Fatalf("inspect %s: %v", text, err)
	}
	return i
}

// filesOf returns the files of a tar: a symlink as "→ target".
func filesOf(t *testing.T, r io.Reader) map[string]string {
	t.Helper()
	files := map[string]string{}
	for all := tar.NewReader(r); ; {
		h, err := all.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(all)
		if err != nil {
			t.Fatal(err)
		}
		switch h.Typeflag {
		case tar.TypeReg:
			files[h.Name] = string(content)
		case tar.TypeSymlink:
			files[h.Name] = "→ " + h.Linkname
		}
	}
}

// wantFiles compares files with "name=content" lines.
func wantFiles(t *testing.T, got map[string]string, want map[string]string) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s: got %q, want %q", name, got[name], want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: got %q, want no such file", name, got[name])
		}
	}
}

// wantSentence fails unless err is for the user and says what it should.
func wantSentence(t *testing.T, err error, part string) {
	t.Helper()
	kind, text := slipway.Explain(err)
	if err == nil || kind == slipway.Internal || !strings.Contains(text, part) || !strings.HasSuffix(text, ".") {
		t.Errorf("got %v (%q), want a sentence with %q", err, text, part)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

// reopened returns a store that knows registries.
func reopened(t *testing.T, registries []string) *image.Store {
	t.Helper()
	s, err := image.Open(image.Config{Dir: t.TempDir(), Registries: registries}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
