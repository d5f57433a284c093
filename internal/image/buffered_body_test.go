package image_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"slipway/internal/image"
	"slipway/internal/slipway"
)

// TestManifestIsJudgedAtItsEnd: whoever loses the right to push while a manifest
// comes has pushed none.
func TestManifestIsJudgedAtItsEnd(t *testing.T) {
	s, err := image.Open(image.Config{Dir: t.TempDir()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var lost atomic.Bool
	handler := s.Handler(image.Authorizer{
		Realm: func(*http.Request) string { return "http://127.0.0.1/v2/token" },
		Admit: func(*http.Request, string, []image.Access) error {
			if lost.Load() {
				return slipway.Errorf(slipway.Unauthorized, "This token is unknown, revoked or expired.")
			}
			return nil
		},
	})
	const empty = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`
	for _, loses := range []bool{true, false} {
		lost.Store(false)
		r, body := io.Pipe()
		req := httptest.NewRequest(http.MethodPut, "/v2/bright-nova-0001/airflow/manifests/latest", r)
		req.Header.Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		w, done := httptest.NewRecorder(), make(chan struct{})
		go func() {
			defer close(done)
			handler.ServeHTTP(w, req)
			_ = r.Close()
		}()
		if _, err := io.WriteString(body, empty[:20]); err != nil {
			t.Fatalf("it was not let in: %d %s", w.Code, w.Body)
		}
		lost.Store(loses)
		_, _ = io.WriteString(body, empty[20:])
		_ = body.Close()
		<-done
		if want := map[bool]int{true: http.StatusUnauthorized, false: http.StatusCreated}[loses]; w.Code != want {
			t.Errorf("loses the right %t: answer %d %s, want %d", loses, w.Code, w.Body, want)
		}
	}
}
