package image_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway/internal/image"
	"slipway/internal/slipway"
)

// described is an image, and its entry in an index. The image's configuration
// has the platform, whether the entry names one or not.
type described struct {
	title string // "amd64/v3"
	img   v1.Image
	more  map[string]any // other fields of the descriptor
}

// forPlatform is an image for a platform, "amd64/v3".
func forPlatform(t *testing.T, platform string, named bool) described {
	t.Helper()
	arch, variant, _ := strings.Cut(platform, "/")
	img := imageWith(t, func(c *v1.ConfigFile) { c.Architecture, c.Variant = arch, variant }, layer(t, file("a", platform)))
	d := described{title: platform, img: img, more: map[string]any{}}
	if named {
		d.more["platform"] = map[string]string{"os": "linux", "architecture": arch, "variant": variant}
	}
	return d
}

// attested is an attestation of BuildKit, for which an index names an unknown
// platform.
func attested(t *testing.T) described {
	t.Helper()
	img := imageWith(t, func(c *v1.ConfigFile) { c.OS, c.Architecture = "unknown", "unknown" }, layer(t, file("a", "attested")))
	return described{title: "attestation", img: img, more: map[string]any{
		"platform":    map[string]string{"os": "unknown", "architecture": "unknown"},
		"annotations": map[string]string{"vnd.docker.reference.type": "attestation-manifest"},
	}}
}

// indexOf is an index in JSON.
func indexOf(t *testing.T, all ...described) []byte {
	t.Helper()
	entries := []any{}
	for _, d := range all {
		raw, err := d.img.RawManifest()
		if err != nil {
			t.Fatal(err)
		}
		entry := map[string]any{"mediaType": "application/vnd.docker.distribution.manifest.v2+json", "digest": digestOf(t, d.img), "size": len(raw)}
		for key, value := range d.more {
			entry[key] = value
		}
		entries = append(entries, entry)
	}
	return mustJSON(t, map[string]any{"schemaVersion": 2, "mediaType": ociIndex, "manifests": entries})
}

const ociIndex = "application/vnd.oci.image.index.v1+json"

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// pushIndex pushes images and their index.
func (p *portal) pushIndex(repo, tag string, all ...described) {
	p.t.Helper()
	for _, d := range all {
		p.push(repo+"@"+digestOf(p.t, d.img), d.img)
	}
	p.put(repo, tag, ociIndex, indexOf(p.t, all...))
}

// put pushes a manifest.
func (p *portal) put(repo, tag, mediaType string, raw []byte) {
	p.t.Helper()
	if got := p.call(p.t, "PUT", "/v2/"+repo+"/manifests/"+tag, raw, http.Header{"Content-Type": {mediaType}}); got.status != http.StatusCreated {
		p.t.Fatalf("push %s: %d %s", tag, got.status, got.body)
	}
}

// Of several images that run, the one with an equal variant or none is taken,
// wherever the image stands in the index, in registries and in archives.
func TestTheVariantThatFits(t *testing.T) {
	for _, tt := range []struct {
		wanted, has string
		want        string // "" for a refusal
	}{
		{"amd64", "amd64/v3 amd64", "amd64"},
		{"amd64", "amd64/v4 amd64/v3 amd64/v2", "amd64/v2"},
		{"amd64/v3", "amd64/v4 amd64 amd64/v3", "amd64/v3"},
		{"amd64/v3", "amd64/v4 amd64/v2", "amd64/v2"},
		{"amd64/v2", "amd64/v3 amd64/v4", ""},
		{"arm64", "arm64/v9 arm64/v8", "arm64/v8"},
		{"arm64/v8", "arm64/v9 arm64", "arm64"},
		{"arm", "arm/v5 arm/v6 arm/v7", "arm/v7"},
		{"arm/v6", "arm/v7 arm/v5 arm/v6", "arm/v6"},
		{"ppc64le", "ppc64le/power9 ppc64le", "ppc64le"},
	} {
		t.Run(tt.wanted+" of "+tt.has, func(t *testing.T) {
			var named, unnamed []described
			for _, one := range strings.Fields(tt.has) {
				named = append(named, forPlatform(t, one, true))
				unnamed = append(unnamed, forPlatform(t, one, false))
			}
			for what, all := range map[string][]described{
				"named": reversed(named), "without platforms": unnamed,
				"beside an attestation": append([]described{attested(t)}, unnamed...),
			} {
				for way, got := range takenEachWay(t, "linux/"+tt.wanted, all) {
					if got != tt.want {
						t.Errorf("%s, %s: got %q, want %q", what, way, got, tt.want)
					}
				}
			}
		})
	}
}

func reversed(all []described) []described {
	all = slices.Clone(all)
	slices.Reverse(all)
	return all
}

// takenEachWay returns the title of the image that is taken, by each way in;
// "" where all are refused for their platforms.
func takenEachWay(t *testing.T, wanted string, all []described) map[string]string {
	t.Helper()
	p, other := open(t), open(t)
	p.AllowLoopback()
	p.pushIndex(repository, "all", all...)
	other.pushIndex("team/airflow", "all", all...)
	got := map[string]string{}
	for way, ref := range map[string]image.Ref{"own registry": {Name: repository, Tag: "all"}, "another registry": {Name: other.host + "/team/airflow", Tag: "all"}} {
		i, err := p.Inspect(t.Context(), ref, wanted, image.Login{})
		got[way] = titled(t, all, i, err)
	}
	for way, archive := range map[string][]byte{"layout": layoutOf(t, all, false), "nested layout": layoutOf(t, all, true), "docker save": savedOf(t, all)} {
		i, err := p.takeFor(archive, wanted)
		got[way] = titled(t, all, i, err)
	}
	return got
}

// titled returns the title of the described image, which has i's layers.
func titled(t *testing.T, all []described, i slipway.Image, err error) string {
	t.Helper()
	if err != nil {
		wantSentence(t, err, "this Deployment needs")
		return ""
	}
	for _, d := range all {
		c, err := d.img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if i.Platform == strings.TrimSuffix(c.OS+"/"+c.Architecture+"/"+c.Variant, "/") {
			return d.title
		}
	}
	return fmt.Sprintf("none of these: %+v", i)
}

// layoutOf is an archive of images as an OCI layout: nested with an index for
// each platform's image, as buildx writes it, or flat.
func layoutOf(t *testing.T, all []described, nested bool) []byte {
	t.Helper()
	items := []item{file("oci-layout", `{"imageLayoutVersion":"1.0.0"}`)}
	index := indexOf(t, all...)
	if nested {
		digest := "sha256:" + sha(index)
		items = append(items, file("blobs/sha256/"+sha(index), string(index)))
		index = mustJSON(t, map[string]any{"schemaVersion": 2, "manifests": []any{map[string]any{"mediaType": ociIndex, "digest": digest, "size": len(index)}}})
	}
	items = append(items, file("index.json", string(index)))
	for _, d := range all {
		items = append(items, blobsOf(t, d.img)...)
	}
	return tarOf(t, items...)
}

// blobsOf are the files of an image in a layout.
func blobsOf(t *testing.T, img v1.Image) (items []item) {
	t.Helper()
	manifest, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range append([][]byte{manifest, config}, packedLayers(t, img)...) {
		items = append(items, file("blobs/sha256/"+sha(raw), string(raw)))
	}
	return items
}

// savedOf is an archive of several images as docker save writes them; without
// attestations, which have no place there.
func savedOf(t *testing.T, all []described) []byte {
	t.Helper()
	var items []item
	entries := []any{}
	for _, d := range all {
		if d.title == "attestation" {
			continue
		}
		config, err := d.img.RawConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, file(sha(config)+".json", string(config)))
		var names []string
		for _, raw := range packedLayers(t, d.img) {
			names = append(names, sha(raw)+".tar.gz")
			items = append(items, file(sha(raw)+".tar.gz", string(raw)))
		}
		entries = append(entries, map[string]any{"Config": sha(config) + ".json", "Layers": names})
	}
	return tarOf(t, append(items, file("manifest.json", string(mustJSON(t, entries))))...)
}
