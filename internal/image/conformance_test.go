package image_test

import (
	"crypto/sha512"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory" // of the registry to compare with
)

// upstream is distribution as its own program serves it, without Slipway.
func upstream(t *testing.T) *portal {
	t.Helper()
	cfg := &configuration.Configuration{Storage: configuration.Storage{
		"inmemory": {}, "delete": {"enabled": true}, "maintenance": {"uploadpurging": map[any]any{"enabled": false}},
	}}
	cfg.HTTP.RelativeURLs = true
	server := httptest.NewServer(handlers.NewApp(t.Context(), cfg))
	t.Cleanup(server.Close)
	return &portal{t: t, host: strings.TrimPrefix(server.URL, "http://")}
}

// TestConformanceIsUpstreams lists requests of the OCI distribution conformance
// suite in which distribution, the library of the registry, differs from the
// specification, and others near by in which the library does not. Slipway
// answers each as distribution does. The suite itself is not served as a Go
// module (github.com/opencontainers/distribution-spec/conformance).
func TestConformanceIsUpstreams(t *testing.T) {
	content := []byte("content of a blob")
	wide := sha512.Sum512(content)
	sha512Digest := "sha512:" + hex.EncodeToString(wide[:])
	own, theirs := open(t), upstream(t)
	for _, p := range []*portal{own, theirs} {
		p.pushBlob(t, ociConfig, []byte("{}"))
		p.pushBlob(t, "", content)
	}
	config := map[string]any{"mediaType": ociConfig, "digest": "sha256:" + sha([]byte("{}")), "size": 2}
	plain := mustJSON(t, map[string]any{"schemaVersion": 2, "mediaType": ociManifest, "config": config, "layers": []any{}})
	wideManifest := sha512.Sum512(plain)
	subject := map[string]any{"mediaType": ociManifest, "digest": "sha256:" + sha(plain), "size": len(plain)}
	about := mustJSON(t, map[string]any{"schemaVersion": 2, "mediaType": ociManifest, "artifactType": "application/vnd.acme.sbom", "config": config, "layers": []any{}, "subject": subject})
	wideLayer := mustJSON(t, map[string]any{"schemaVersion": 2, "mediaType": ociManifest, "config": config, "layers": []any{
		map[string]any{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": sha512Digest, "size": len(content)},
	}})
	base := "/v2/" + repository
	typed := http.Header{"Content-Type": {ociManifest}}
	for _, tt := range []struct {
		name, method, path string
		body               []byte
		header             http.Header
		spec               int    // status that the suite wants
		got                int    // status of distribution, and of Slipway
		answer             string // header that the suite wants
		sent               bool   // whether the header is sent
	}{
		{"push a manifest", "PUT", base + "/manifests/1", plain, typed, 201, 201, "Docker-Content-Digest", true},
		{"push a manifest by digest", "PUT", base + "/manifests/sha256:" + sha(plain), plain, typed, 201, 201, "Location", true},
		{"manifest with a subject", "PUT", base + "/manifests/about", about, typed, 201, 201, "OCI-Subject", false},
		{"manifest with a subject by digest", "PUT", base + "/manifests/sha256:" + sha(about), about, typed, 201, 201, "OCI-Subject", false},
		{"referrers", "GET", base + "/referrers/sha256:" + sha(plain), nil, nil, 200, 404, "OCI-Filters-Applied", false},
		{"referrers of nothing", "GET", base + "/referrers/sha256:" + strings.Repeat("0", 64), nil, nil, 200, 404, "", false},
		{"referrers of a type", "GET", base + "/referrers/sha256:" + sha(plain) + "?artifactType=a/b", nil, nil, 200, 404, "OCI-Filters-Applied", false},
		{"push a manifest by sha512", "PUT", base + "/manifests/sha512:" + hex.EncodeToString(wideManifest[:]), plain, typed, 201, 400, "", false},
		{"pull a manifest by sha512", "GET", base + "/manifests/sha512:" + hex.EncodeToString(wideManifest[:]), nil, nil, 200, 404, "", false},
		{"manifest with a layer by sha512", "PUT", base + "/manifests/wide", wideLayer, typed, 201, 400, "", false},
		{"push a blob by sha512", "POST+PUT", base + "/blobs/uploads/?digest=" + sha512Digest, content, nil, 201, 201, "", false},
		{"pull a blob by sha512", "GET", base + "/blobs/" + sha512Digest, nil, nil, 200, 200, "", false},
		{"pull a blob", "GET", base + "/blobs/sha256:" + sha(content), nil, nil, 200, 200, "Docker-Content-Digest", true},
		{"a range of a blob", "GET", base + "/blobs/sha256:" + sha(content), nil, http.Header{"Range": {"bytes=2-5"}}, 206, 206, "Content-Range", true},
		{"a range that is none", "GET", base + "/blobs/sha256:" + sha(content), nil, http.Header{"Range": {"bytes=900-999"}}, 416, 416, "", false},
		{"a mount without a source", "POST", base + "/blobs/uploads/?mount=sha256:" + sha(content), nil, nil, 202, 202, "Location", true},
		{"a monolithic POST", "POST", base + "/blobs/uploads/?digest=sha256:" + sha(content), content, http.Header{"Content-Type": {"application/octet-stream"}}, 202, 202, "Location", true},
		{"tags", "GET", base + "/tags/list", nil, nil, 200, 200, "", false},
		{"no tags", "GET", base + "/tags/list?n=0", nil, nil, 200, 200, "", false},
		{"a manifest that is not there", "GET", base + "/manifests/none", nil, nil, 404, 404, "", false},
		{"a digest that is none", "GET", base + "/manifests/sha256:x", nil, nil, 404, 400, "", false},
		{"a manifest with a wrong digest", "PUT", base + "/manifests/sha256:" + strings.Repeat("0", 64), plain, typed, 400, 400, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for who, p := range map[string]*portal{"Slipway": own, "distribution": theirs} {
				path, method := tt.path, tt.method
				if method == "POST+PUT" {
					begun := p.call(t, "POST", base+"/blobs/uploads/", nil, nil)
					_, query, _ := strings.Cut(path, "?")
					path, method = begun.header.Get("Location")+"&"+query, "PUT"
				}
				got := p.call(t, method, path, tt.body, tt.header)
				if got.status != tt.got || tt.answer != "" && (got.header.Get(tt.answer) != "") != tt.sent {
					t.Errorf("%s answers %d, %s: %q; want %d (the suite wants %d)\n%s", who, got.status, tt.answer, got.header.Get(tt.answer), tt.got, tt.spec, got.body)
				}
			}
		})
	}
}

// What Slipway answers by itself, where distribution says less or the wrong
// thing.
func TestRegistryAnswersOfItsOwn(t *testing.T) {
	p := open(t)
	p.pushBlob(t, ociConfig, []byte("{}"))
	config := map[string]any{"mediaType": ociConfig, "digest": "sha256:" + sha([]byte("{}")), "size": 2}
	layer := func(mediaType string, urls ...string) []byte {
		l := map[string]any{"mediaType": mediaType, "digest": "sha256:" + strings.Repeat("1", 64), "size": 9}
		if len(urls) > 0 {
			l["urls"] = urls
		}
		return mustJSON(t, map[string]any{"schemaVersion": 2, "mediaType": ociManifest, "config": config, "layers": []any{l}})
	}
	const foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
	typed := http.Header{"Content-Type": {ociManifest}}
	for name, tt := range map[string]struct {
		method, path string
		body         []byte
		status       int
		want         string
	}{
		"a foreign layer":              {"PUT", "/manifests/1", layer(foreign, "https://mcr.example.com/x"), 400, "is not part of the image"},
		"by digest":                    {"PUT", "/manifests/sha256:" + sha(layer(foreign, "https://mcr.example.com/x")), layer(foreign, "https://mcr.example.com/x"), 400, "is not part of the image"},
		"at an address that is none":   {"PUT", "/manifests/1", layer(foreign, "x"), 400, "is not part of the image"},
		"an ordinary one with address": {"PUT", "/manifests/1", layer("application/vnd.oci.image.layer.v1.tar+gzip", "https://a.example.com"), 400, "is not part of the image"},
		"a foreign one without any":    {"PUT", "/manifests/1", layer(foreign), 400, "MANIFEST_BLOB_UNKNOWN"},
		"a missing layer":              {"PUT", "/manifests/1", layer("application/vnd.oci.image.layer.v1.tar+gzip"), 400, "MANIFEST_BLOB_UNKNOWN"},
		"a manifest of nothing":        {"PUT", "/manifests/1", []byte("{}"), 400, "schema version 0"},
		"of the first version":         {"PUT", "/manifests/1", []byte(`{"schemaVersion":1}`), 400, "schema version 1"},
		"no JSON":                      {"PUT", "/manifests/1", []byte("{"), 400, "MANIFEST_INVALID"},
	} {
		t.Run(name, func(t *testing.T) {
			got := p.call(t, tt.method, "/v2/"+repository+tt.path, tt.body, typed)
			if got.status != tt.status || !strings.Contains(string(got.body), tt.want) {
				t.Errorf("answer %d %s, want %d with %q", got.status, got.body, tt.status, tt.want)
			}
		})
	}
	got := p.call(t, "GET", "/v2/_catalog", nil, nil)
	if got.status != http.StatusMethodNotAllowed || !strings.Contains(string(got.body), "no list of all repositories") || got.header.Get("WWW-Authenticate") != "" {
		t.Errorf("the catalog: %d %s, want 405 in words, and no challenge", got.status, got.body)
	}
}
