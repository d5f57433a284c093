package image

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/internal/slipway"
)

// artifactTitles name contents of registries other than container images, by
// the beginning of an artifact type, of a configuration's type or of a layer's.
var artifactTitles = []struct{ prefix, title string }{
	{"application/vnd.dev.cosign.simplesigning.", "a signature made by cosign"},
	{"application/vnd.dev.cosign.artifact.sig.", "a signature made by cosign"},
	{"application/vnd.dev.cosign.artifact.sbom.", "a list of packages (SBOM)"},
	{"application/vnd.dev.cosign.", "an attestation made by cosign"},
	{"application/vnd.dev.sigstore.", "a signature or an attestation made by cosign"},
	{"application/vnd.cncf.notary.", "a signature made by Notation"},
	{"application/vnd.dsse.envelope.", "an attestation"},
	{"application/vnd.in-toto", "an attestation"},
	{"application/spdx", "a list of packages (SBOM)"},
	{"text/spdx", "a list of packages (SBOM)"},
	{"application/vnd.cyclonedx", "a list of packages (SBOM)"},
	{"application/vnd.syft", "a list of packages (SBOM)"},
	{"application/vnd.cncf.helm.", "a Helm chart"},
	{"application/vnd.buildkit.cacheconfig.", "a build cache of BuildKit"},
	{"application/vnd.docker.plugin.", "a plugin of Docker Engine"},
	{"application/vnd.docker.compose.", "a project of Docker Compose"},
	{"application/vnd.docker.ai.", "an AI model"},
	{"application/vnd.cncf.model.", "an AI model"},
	{"application/vnd.cncf.flux.", "a source of Flux"},
	{"application/vnd.wasm.", "a WebAssembly module"},
	{"application/wasm", "a WebAssembly module"},
	{"application/vnd.sylabs.sif.", "an image of Singularity"},
	{"application/vnd.docker.distribution.manifest.v1", "an image in the first format of Docker (schema 1), which engines no longer pull"},
}

// Beginnings of the types of an image's layers.
var layerTypes = []string{"application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs."}

// attestation is the annotation by which BuildKit marks an attestation beside
// images in an index.
const attestation = "vnd.docker.reference.type"

// mayBeImage reports whether an entry of an index is an image or an index, as
// far as the entry tells.
func (d descriptor) mayBeImage() bool {
	t := types.MediaType(d.MediaType)
	other := d.ArtifactType != "" && !isImageConfig(d.ArtifactType) || d.Annotations[attestation] != ""
	return !other && (t == "" || t.IsIndex() || t.IsImage())
}

func isImageConfig(mediaType string) bool {
	return mediaType == string(types.OCIConfigJSON) || mediaType == string(types.DockerConfigJSON)
}

// artifact returns the title of a manifest's content that is no container
// image, like "a Helm chart"; "" for an image, and for an index with one.
func artifact(m manifest, c content) string {
	if m.isIndex() {
		return indexArtifact(c)
	}
	all := []string{c.ArtifactType, c.Config.MediaType}
	for _, l := range c.Layers {
		all = append(all, l.MediaType)
	}
	switch {
	case !m.isImage():
		return artifactTitle(append([]string{m.mediaType}, all...))
	case c.ArtifactType != "" && !isImageConfig(c.ArtifactType), !isImageConfig(c.Config.MediaType):
		return artifactTitle(all)
	}
	for _, l := range c.Layers {
		switch known := slices.ContainsFunc(layerTypes, func(prefix string) bool { return strings.HasPrefix(l.MediaType, prefix) }); {
		case known && strings.HasSuffix(l.MediaType, "+encrypted"):
			return "an encrypted image"
		case !known:
			return artifactTitle([]string{l.MediaType})
		}
	}
	return ""
}

// indexArtifact is artifact for an index.
func indexArtifact(c content) string {
	if slices.ContainsFunc(c.Manifests, descriptor.mayBeImage) {
		return ""
	}
	all := []string{c.ArtifactType}
	for _, d := range c.Manifests {
		all = append(all, d.ArtifactType, d.MediaType)
		if d.Annotations[attestation] != "" {
			all = append(all, "application/vnd.in-toto")
		}
	}
	if len(c.Manifests) == 0 {
		return "an index without an image"
	}
	return artifactTitle(all)
}

// artifactTitle returns the title of the first known type.
func artifactTitle(mediaTypes []string) string {
	first := ""
	for _, t := range mediaTypes {
		for _, known := range artifactTitles {
			if strings.HasPrefix(t, known.prefix) {
				return known.title
			}
		}
		if first == "" && t != "" && !isImageConfig(t) && t != "application/vnd.oci.empty.v1+json" {
			first = t
		}
	}
	if first == "" {
		return "something without a type"
	}
	return "something of the type " + strconv.Quote(clipped(first))
}

// referrersTag is the form of tags about another image: "sha256-…" lists
// referrers, "sha256-….sig" is cosign's signature of the image.
var referrersTag = regexp.MustCompile(`^sha256-([0-9a-f]{64})($|[.-])`)

// noImage refuses a content that is no container image.
func noImage(ref Ref, title string) error {
	if about := referrersTag.FindStringSubmatch(ref.Tag); about != nil {
		return slipway.Errorf(slipway.Invalid, "%s is not a container image but %s. It is about the image %s@sha256:%s: deploy that one.", ref, title, ref.Name, about[1])
	}
	return slipway.Errorf(slipway.Invalid, "%s is not a container image but %s. Choose an image of Airflow.", ref, title)
}
