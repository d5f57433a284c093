// Package static holds the style sheet, scripts and icons of pages. Addresses
// change with contents: a browser asks for each file only once.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

//go:embed app.css app.js files.js pack.js upload.js mark.svg vendor/*.js vendor/*.svg
var files embed.FS

// prefix is the path below which Handler serves.
const prefix = "/static/"

// types maps an extension to a Content-Type. The machine's own table must not
// decide: with nosniff a wrong type breaks the page.
var types = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// asset is one file, kept compressed: hardly a browser asks for anything else.
type asset struct {
	file string // path in files
	hash string // first eight digits of the SHA-256
	gzip []byte
}

var assets = sync.OnceValue(load)

// URL returns the address of the file with the given name, without folder:
// "app.css". An unknown name panics: names are constants of the views.
func URL(name string) string {
	a, ok := assets()[name]
	if !ok {
		panic("static: no file is named " + name)
	}
	return prefix + a.hash + "/" + name
}

// Handler serves every file below /static/: at the URL of this build for good,
// at the URL of an older build with the present contents.
func Handler() http.Handler {
	return http.HandlerFunc(serve)
}

func serve(w http.ResponseWriter, r *http.Request) {
	hash, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, prefix), "/")
	a, ok := assets()[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", types[path.Ext(name)])
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if hash == a.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body, err := a.body(w, r)
	if err != nil {
		http.Error(w, "Something went wrong on our side.", http.StatusInternalServerError)
		return
	}
	http.ServeContent(w, r, name, time.Time{}, body)
}

// body returns the body of the response to r, and sets encoding and ETag in w's
// header.
func (a asset) body(w http.ResponseWriter, r *http.Request) (io.ReadSeeker, error) {
	if acceptsGzip(r) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("ETag", `"`+a.hash+`-gz"`)
		return bytes.NewReader(a.gzip), nil
	}
	w.Header().Set("ETag", `"`+a.hash+`"`)
	plain, err := files.ReadFile(a.file)
	return bytes.NewReader(plain), err
}

// acceptsGzip reports whether r's sender can read gzip.
func acceptsGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, quality, _ := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";")
		if name == "gzip" {
			return strings.Trim(quality, "q=0.") != "" || quality == ""
		}
	}
	return false
}

// load reads and compresses all files. Files are part of the program: an error
// is a fault of the build.
func load() map[string]asset {
	all := map[string]asset{}
	for _, dir := range []string{".", "vendor"} {
		entries, err := files.ReadDir(dir)
		must(err)
		for _, e := range entries {
			if !e.IsDir() {
				all[e.Name()] = newAsset(path.Join(dir, e.Name()))
			}
		}
	}
	return all
}

func newAsset(file string) asset {
	plain, err := files.ReadFile(file)
	must(err)
	sum := sha256.Sum256(plain)
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	must(err)
	_, err = z.Write(plain)
	must(err)
	must(z.Close())
	return asset{file: file, hash: hex.EncodeToString(sum[:])[:8], gzip: bytes.Clone(packed.Bytes())}
}

func must(err error) {
	if err != nil {
		panic(fmt.Errorf("read an embedded file: %w", err))
	}
}
