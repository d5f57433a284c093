package static

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// fetch answers a GET of url with pairs of header names and values.
func fetch(url string, header ...string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, url, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func read(t *testing.T, r io.Reader) []byte {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return b
}

func TestURLNamesTheContents(t *testing.T) {
	url := URL("app.css")
	if !regexp.MustCompile(`^/static/[0-9a-f]{8}/app\.css$`).MatchString(url) {
		t.Errorf("URL(app.css) = %q, want /static/<8 digits>/app.css", url)
	}
	if again := URL("app.css"); again != url {
		t.Errorf("URL(app.css) = %q, then %q", url, again)
	}
	defer func() {
		if recover() == nil {
			t.Error("URL of an unknown name did not panic")
		}
	}()
	URL("nothing.css")
}

func TestHandler(t *testing.T) {
	const forever, never = "public, max-age=31536000, immutable", "no-cache"
	for name, tt := range map[string]struct {
		url      string
		accept   string
		status   int
		kind     string
		encoding string
		cache    string
	}{
		"style sheet":       {URL("app.css"), "gzip, br", 200, "text/css; charset=utf-8", "gzip", forever},
		"script":            {URL("htmx.min.js"), "br;q=1, gzip;q=0.8", 200, "text/javascript; charset=utf-8", "gzip", forever},
		"icons":             {URL("icons.svg"), "gzip", 200, "image/svg+xml", "gzip", forever},
		"without gzip":      {URL("app.css"), "", 200, "text/css; charset=utf-8", "", forever},
		"gzip refused":      {URL("app.css"), "gzip; q=0.0", 200, "text/css; charset=utf-8", "", forever},
		"of an older build": {"/static/00000000/app.css", "gzip", 200, "text/css; charset=utf-8", "gzip", never},
		"unknown":           {"/static/00000000/nothing.css", "gzip", 404, "text/plain; charset=utf-8", "", ""},
		"without hash":      {"/static/app.css", "gzip", 404, "text/plain; charset=utf-8", "", ""},
		"source":            {"/static/00000000/static.go", "gzip", 404, "text/plain; charset=utf-8", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := fetch(tt.url, "Accept-Encoding", tt.accept)
			h := got.Header
			if got.StatusCode != tt.status || h.Get("Content-Type") != tt.kind ||
				h.Get("Content-Encoding") != tt.encoding || h.Get("Cache-Control") != tt.cache {
				t.Errorf("answer %d %v, want %+v", got.StatusCode, h, tt)
			}
		})
	}
}

func TestGzipHoldsTheFile(t *testing.T) {
	plain := read(t, fetch(URL("app.css")).Body)
	z, err := gzip.NewReader(fetch(URL("app.css"), "Accept-Encoding", "gzip").Body)
	if err != nil {
		t.Fatal(err)
	}
	if unpacked := read(t, z); !bytes.Equal(plain, unpacked) || !strings.Contains(string(plain), "@layer") {
		t.Errorf("gzip holds %d bytes, the file %d", len(unpacked), len(plain))
	}
}

func TestUnchangedFileIsNotSentAgain(t *testing.T) {
	etag := fetch(URL("app.js")).Header.Get("ETag")
	if got := fetch(URL("app.js"), "If-None-Match", etag); etag == "" || got.StatusCode != http.StatusNotModified {
		t.Errorf("answer %d to If-None-Match: %s, want 304", got.StatusCode, etag)
	}
}

// A first page view loads all but what only uploads need. The limit of all
// assets is 100 kB; the page's own markup has to fit too.
func TestFirstViewIsSmall(t *testing.T) {
	total := 0
	for name, a := range assets() {
		total += len(a.gzip)
		t.Logf("%6d %s", len(a.gzip), name)
	}
	if !strings.Contains(string(read(t, fetch(URL("htmx.min.js")).Body)), "hx-sse:connect") {
		t.Error("htmx.min.js lacks the SSE extension")
	}
	if total > 80_000 {
		t.Errorf("all assets are %d bytes, want at most 80,000", total)
	}
}

// The Content-Security-Policy forbids what these would need.
func TestScriptsNeedNoEval(t *testing.T) {
	for _, name := range []string{"app.js", "files.js", "pack.js", "upload.js"} {
		script := string(read(t, fetch(URL(name)).Body))
		for _, bad := range []string{"eval(", "new Function", ".style.", "innerHTML", "setAttribute(\"style\""} {
			if strings.Contains(script, bad) {
				t.Errorf("%s contains %s", name, bad)
			}
		}
	}
}

func TestEveryIconIsThere(t *testing.T) {
	sprite := string(read(t, fetch(URL("icons.svg")).Body))
	for name := range strings.FieldsSeq("slipway upload check x alert-triangle loader refresh-cw rotate-ccw download external-link folder file copy users plus chevron-down history trash") {
		if !regexp.MustCompile(`<symbol id="` + name + `" viewBox="[\d ]+"><[^>]+/>`).MatchString(sprite) {
			t.Errorf("icons.svg has no symbol %s with a shape", name)
		}
	}
}
