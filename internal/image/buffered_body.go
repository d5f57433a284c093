package image

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
)

// maxManifest is the largest manifest that distribution accepts, in bytes.
const maxManifest = 4 << 20

// bufferedBody is a request body that is read whole before the access check:
// a manifest takes effect with the last byte, perhaps minutes after the
// first.
type bufferedBody struct {
	io.ReadCloser
	once sync.Once
	read io.Reader
	head []byte // up to a little more than a manifest may have
	err  error
}

type bufferedBodyKey struct{}

// withBufferedBody returns r with a buffered body, for bufferedBodyOf.
func withBufferedBody(r *http.Request) *http.Request {
	h := &bufferedBody{ReadCloser: r.Body}
	r = r.WithContext(context.WithValue(r.Context(), bufferedBodyKey{}, h))
	r.Body = h
	return r
}

// bufferedBodyOf returns the buffered body of a request, nil for other
// requests.
func bufferedBodyOf(r *http.Request) *bufferedBody {
	h, _ := r.Context().Value(bufferedBodyKey{}).(*bufferedBody)
	return h
}

// fill reads the body, up to a little more than a manifest may have.
func (h *bufferedBody) fill() error {
	if h == nil {
		return nil
	}
	h.once.Do(func() {
		h.head, h.err = io.ReadAll(io.LimitReader(h.ReadCloser, maxManifest+1))
		h.read = io.MultiReader(bytes.NewReader(h.head), h.ReadCloser)
	})
	return h.err
}

// text returns the body, nil before fill.
func (h *bufferedBody) text() []byte {
	if h == nil {
		return nil
	}
	return h.head
}

// Read implements io.Reader.
func (h *bufferedBody) Read(p []byte) (int, error) {
	if err := h.fill(); err != nil {
		return 0, err
	}
	return h.read.Read(p)
}
