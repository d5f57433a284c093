package image_test

import (
	"slices"
	"strings"
	"testing"

	"slipway/internal/image"
	"slipway/internal/slipway"
)

const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociConfig   = "application/vnd.oci.image.config.v1+json"
	emptyConfig = "application/vnd.oci.empty.v1+json"
)

// Contents of registries that are no container images: the pages do not offer
// them, and a deploy that names one says the kind.
func TestArtifactsAreNoImages(t *testing.T) {
	about := strings.Repeat("ab", 32)
	for name, tt := range map[string]struct {
		tag, artifact, config string
		layers                string // media types
		want                  string
	}{
		"cosign's signature":                  {"sha256-" + about + ".sig", "", ociConfig, "application/vnd.dev.cosign.simplesigning.v1+json", "a signature made by cosign"},
		"cosign's attestation":                {"sha256-" + about + ".att", "", ociConfig, "application/vnd.dsse.envelope.v1+json", "an attestation"},
		"cosign's SBOM":                       {"sha256-" + about + ".sbom", "", ociConfig, "text/spdx+json", "a list of packages (SBOM)"},
		"cosign's bundle":                     {"bundle", "application/vnd.dev.sigstore.bundle.v0.3+json", emptyConfig, "application/vnd.dev.sigstore.bundle.v0.3+json", "made by cosign"},
		"Notation's signature":                {"notation", "application/vnd.cncf.notary.signature", emptyConfig, "application/jose+json", "a signature made by Notation"},
		"BuildKit's attestation":              {"attested", "", ociConfig, "application/vnd.in-toto+json", "an attestation"},
		"BuildKit's cache":                    {"cache", "", "application/vnd.buildkit.cacheconfig.v0", "application/vnd.oci.image.layer.v1.tar+gzip", "a build cache of BuildKit"},
		"a Helm chart":                        {"1.0.0", "", "application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "a Helm chart"},
		"an artifact of ORAS":                 {"oras", "application/vnd.acme.rocket", emptyConfig, "application/vnd.acme.rocket.layer.v1+tar", `something of the type "application/vnd.acme.rocket"`},
		"an image's config with other layers": {"odd", "", ociConfig, "application/vnd.acme.rocket.layer.v1+tar", `something of the type "application/vnd.acme.rocket.layer.v1+tar"`},
		"an artifact type beside an image's":  {"typed", "application/vnd.acme.docs", ociConfig, "application/vnd.oci.image.layer.v1.tar+gzip", `"application/vnd.acme.docs"`},
		"an encrypted image":                  {"secret", "", ociConfig, "application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "an encrypted image"},
		"a WebAssembly module":                {"wasm", "", "application/vnd.wasm.config.v0+json", "application/wasm", "a WebAssembly module"},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t)
			good := p.push(repository+":image", runtimeImage(t, layer(t, file("a", "a"))))
			raw := p.pushArtifact(t, tt.tag, tt.artifact, tt.config, strings.Fields(tt.layers))
			p.put(repository, "sha256-"+strings.TrimPrefix(good, "sha256:"), ociIndex, mustJSON(t, map[string]any{
				"schemaVersion": 2, "mediaType": ociIndex,
				"manifests": []any{map[string]any{"mediaType": ociManifest, "digest": "sha256:" + sha(raw), "size": len(raw), "artifactType": "application/vnd.acme.sbom"}},
			}))
			tags, err := p.Tags(t.Context(), namespace)
			if err != nil || len(tags) != 1 || tags[0].Tag != "image" {
				t.Errorf("the tags %+v are offered (%v), want the image's alone", tags, err)
			}
			_, err = p.Inspect(t.Context(), image.Ref{Name: repository, Tag: tt.tag}, slipway.DefaultPlatform, image.Login{})
			wantSentence(t, err, tt.want)
			if strings.HasPrefix(tt.tag, "sha256-") {
				wantSentence(t, err, "about the image "+repository+"@sha256:"+about)
			}
			_, err = p.Inspect(t.Context(), image.Ref{Name: repository, Tag: strings.Replace(good, ":", "-", 1)}, slipway.DefaultPlatform, image.Login{})
			wantSentence(t, err, `is not a container image but something of the type "application/vnd.acme.sbom". It is about the image `+repository+"@"+good)
			_, err = p.take(artifactLayout(t, raw))
			wantSentence(t, err, "The content of this archive is not a container image but")
		})
	}
}

// pushArtifact pushes a manifest with blobs of media types.
func (p *portal) pushArtifact(t *testing.T, tag, artifact, config string, layers []string) (raw []byte) {
	t.Helper()
	m := map[string]any{"schemaVersion": 2, "mediaType": ociManifest, "config": p.pushBlob(t, config, []byte("{}"))}
	if artifact != "" {
		m["artifactType"] = artifact
	}
	all := []any{}
	for _, l := range layers {
		all = append(all, p.pushBlob(t, l, []byte("content of "+l)))
	}
	m["layers"] = all
	raw = mustJSON(t, m)
	p.put(repository, tag, ociManifest, raw)
	return raw
}

func (p *portal) pushBlob(t *testing.T, mediaType string, content []byte) map[string]any {
	t.Helper()
	begun := p.call(t, "POST", "/v2/"+repository+"/blobs/uploads/", nil, nil)
	at := begun.header.Get("Location")
	if got := p.call(t, "PUT", at+"&digest=sha256:"+sha(content), content, nil); got.status != 201 {
		t.Fatalf("push blob: %d %s", got.status, got.body)
	}
	return map[string]any{"mediaType": mediaType, "digest": "sha256:" + sha(content), "size": len(content)}
}

// artifactLayout is an artifact's manifest in an archive.
func artifactLayout(t *testing.T, raw []byte) []byte {
	t.Helper()
	index := mustJSON(t, map[string]any{"schemaVersion": 2, "manifests": []any{map[string]any{"mediaType": ociManifest, "digest": "sha256:" + sha(raw), "size": len(raw)}}})
	return tarOf(t, file("index.json", string(index)), file("blobs/sha256/"+sha(raw), string(raw)), file("blobs/sha256/"+sha([]byte("{}")), "{}"))
}

// An image with a list of referrers or with a subject stays an image, as does
// an index of images that holds other entries too.
func TestImagesBesideArtifactsAreOffered(t *testing.T) {
	p := open(t)
	one := forPlatform(t, "amd64", true)
	p.pushIndex(repository, "attested", one, attested(t))
	p.pushIndex(repository, "arm", forPlatform(t, "arm64", true))
	p.put(repository, "empty", ociIndex, indexOf(t))
	p.push(repository+":plain", one.img)
	tags, err := p.Tags(t.Context(), namespace)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tag := range tags {
		names = append(names, tag.Tag)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"arm", "attested", "plain"}) {
		t.Errorf("the tags %v are offered, want the images'", names)
	}
	_, err = p.Inspect(t.Context(), image.Ref{Name: repository, Tag: "empty"}, slipway.DefaultPlatform, image.Login{})
	wantSentence(t, err, "an index without an image")
}
