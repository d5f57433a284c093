package image_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"slipway/internal/image"
)

// A name is kept, and its folders are walked through: long ones are refused
// where they come, in layers as in archives.
func TestLongNamesAreRefused(t *testing.T) {
	p := open(t)
	for what, name := range map[string]string{"long": strings.Repeat("a", 5000), "deep": strings.Repeat("a/", 200) + "x"} {
		p.push(repository+":"+what, runtimeImage(t, layer(t, file(name, ""))))
		i := p.inspect(repository + ":" + what)
		err := p.DagsTar(t.Context(), i, image.Login{}, "/"+dagsDir, io.Discard)
		wantSentence(t, err, "longer than 4096 bytes or deeper than 128 folders")

		_, err = p.take(tarOf(t, file(name, "")))
		wantSentence(t, err, "longer than 4096 bytes or deeper than 128 folders")
	}
}

// Names that are short each must not be too many together.
func TestNamesAreLimitedTogether(t *testing.T) {
	p := open(t)
	var many []item
	for n := range 9000 {
		many = append(many, file(fmt.Sprintf("%04d", n)+strings.Repeat("a", 4000), ""))
	}
	_, err := p.take(gzipped(t, tarOf(t, many...)))
	wantSentence(t, err, "names of more than 32 MiB together")

	var marks []item // whiteouts count as well
	for n := range 9000 {
		marks = append(marks, file(fmt.Sprintf("%s/.wh.%04d", dagsDir, n)+strings.Repeat("a", 4000), ""))
	}
	p.push(repository+":w", runtimeImage(t, layer(t, dir(dagsDir)), layer(t, marks...)))
	i := p.inspect(repository + ":w")
	wantSentence(t, p.DagsTar(t.Context(), i, image.Login{}, "/"+dagsDir, io.Discard), "has more than 200000 files")
}

// A registry, or somebody on the way to it, that sends another blob than the
// digest says is found out, although the blob's archive ends well before.
func TestSwappedLayerIsFoundOut(t *testing.T) {
	good := open(t)
	img := runtimeImage(t, layer(t, file(dagsDir+"/a.py", "good")))
	good.push(repository+":1", img)
	padding := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(padding) // never fails
	evil := gzipped(t, append(tarOf(t, file(dagsDir+"/a.py", "evil")), padding...))
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: good.host})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/blobs/"+digest.String()) {
			_, _ = w.Write(evil) // the client may have gone
			return
		}
		through.ServeHTTP(w, r)
	}))
	defer srv.Close()
	p := open(t)
	p.AllowLoopback()
	i := p.inspect(strings.TrimPrefix(srv.URL, "http://") + "/" + repository + "@" + digestOf(t, img))
	wantSentence(t, p.DagsTar(t.Context(), i, image.Login{}, "/"+dagsDir, io.Discard), "has other content than its digest says")
}
