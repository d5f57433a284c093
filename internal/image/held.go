package image

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
)

// maxManifest is the largest manifest that distribution takes, in bytes.
const maxManifest = 4 << 20

// heldBody is the body of a request that is read as a whole before the request
// is let in: a manifest takes effect with its last byte, which may come minutes
// after its first.
type heldBody struct {
	io.ReadCloser
	once sync.Once
	read io.Reader
	err  error
}

type heldBodyKey struct{}

// withHeldBody returns r with a body that heldBodyOf finds.
func withHeldBody(r *http.Request) *http.Request {
	h := &heldBody{ReadCloser: r.Body}
	r = r.WithContext(context.WithValue(r.Context(), heldBodyKey{}, h))
	r.Body = h
	return r
}

// heldBodyOf returns the body of a request that is held, nil for others.
func heldBodyOf(r *http.Request) *heldBody {
	h, _ := r.Context().Value(heldBodyKey{}).(*heldBody)
	return h
}

// fill reads the body, up to a little more than a manifest may have.
func (h *heldBody) fill() error {
	if h == nil {
		return nil
	}
	h.once.Do(func() {
		var text []byte
		text, h.err = io.ReadAll(io.LimitReader(h.ReadCloser, maxManifest+1))
		h.read = io.MultiReader(bytes.NewReader(text), h.ReadCloser)
	})
	return h.err
}

// Read implements io.Reader.
func (h *heldBody) Read(p []byte) (int, error) {
	if err := h.fill(); err != nil {
		return 0, err
	}
	return h.read.Read(p)
}
