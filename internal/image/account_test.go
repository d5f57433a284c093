package image_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"slipway/internal/image"
	"slipway/internal/slipway"
)

// account is the room of an image.Account.
type account struct {
	mu   sync.Mutex
	left int64
}

func (a *account) Take(bytes int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if bytes > a.left {
		return slipway.Errorf(slipway.NoSpace, "The account is full.")
	}
	a.left -= bytes
	return nil
}

func (a *account) Return(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left += bytes
}

// room returns the free bytes.
func (a *account) room() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.left
}

// withAccount is a registry where all pushes count in one account.
func withAccount(t *testing.T, room int64) (*portal, *account) {
	t.Helper()
	s, err := image.Open(image.Config{Dir: t.TempDir()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	a := &account{left: room}
	p := &portal{t: t, account: image.Account{Take: a.Take, Return: a.Return}}
	p.listen(s)
	return p, a
}

// Whatever a client pushes counts exactly, and what the registry has already does not.
func TestPushesCount(t *testing.T) {
	const room = 10 << 20
	p, a := withAccount(t, room)
	content := bytes.Repeat([]byte("0123456789abcdef"), 3<<16) // 3 MiB
	used := func(what string, want int64) {
		t.Helper()
		if got := room - a.room(); got != want {
			t.Errorf("%s: %d bytes count, want %d", what, got, want)
		}
	}
	p.pushBlob(t, "", content)
	used("a blob", int64(len(content)))
	p.pushBlob(t, "", content)
	used("the same again", int64(len(content)))
	p.pushBlob(t, "", []byte("{}"))
	used("a small one", int64(len(content))+2)
	manifest := mustJSON(t, map[string]any{"schemaVersion": 2, "mediaType": ociManifest, "layers": []any{}, "config": map[string]any{"mediaType": ociConfig, "digest": "sha256:" + sha([]byte("{}")), "size": 2}})
	p.put(repository, "tag", ociManifest, manifest)
	used("a manifest", int64(len(content)+2+len(manifest)))

	begun := p.call(t, "POST", "/v2/"+repository+"/blobs/uploads/", nil, nil)
	if got := p.call(t, "PUT", begun.header.Get("Location")+"&digest=sha256:"+sha([]byte("other")), content, nil); got.status < 400 {
		t.Errorf("a wrong digest: %d", got.status)
	}
	begun = p.call(t, "POST", "/v2/"+repository+"/blobs/uploads/", nil, nil)
	before := a.room()
	part := p.call(t, "PATCH", begun.header.Get("Location"), content, nil)
	if part.status != 202 || before-a.room() != int64(len(content)) {
		t.Errorf("a part: %d %s, %d bytes count", part.status, part.body, before-a.room())
	}
	if got := p.call(t, "DELETE", part.header.Get("Location"), nil, nil); got.status != 204 || a.room() != before {
		t.Errorf("cancel: %d %s, %d bytes still count", got.status, got.body, before-a.room())
	}
}

// A push beyond the account ends in the middle, with the sentence, and the next one does
// not begin.
func TestPushesBeyondTheAccount(t *testing.T) {
	p, a := withAccount(t, 1<<20+100)
	begin := func() string {
		begun := p.call(t, "POST", "/v2/"+repository+"/blobs/uploads/", nil, nil)
		if begun.status != 202 {
			t.Fatalf("begin: %d %s", begun.status, begun.body)
		}
		return begun.header.Get("Location")
	}
	content := make([]byte, 1<<20+100_000) // little enough for the server to read the rest
	for name, got := range map[string]called{
		"whole":    p.call(t, "PUT", begin()+"&digest=sha256:"+sha(content), content, nil),
		"in parts": p.call(t, "PATCH", begin(), content, nil),
	} {
		if got.status != 507 || strings.Count(string(got.body), "errors") != 1 || !bytes.Contains(got.body, []byte("The account is full.")) {
			t.Errorf("%s: %d %s, want 507 with the reason, once", name, got.status, got.body)
		}
	}
	if err := a.Take(a.room()); err != nil {
		t.Fatal(err)
	}
	if got := p.call(t, "POST", "/v2/"+repository+"/blobs/uploads/", nil, nil); got.status != 507 || !bytes.Contains(got.body, []byte("DENIED")) {
		t.Errorf("begin: %d %s, want 507", got.status, got.body)
	}
}
