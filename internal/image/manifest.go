package image

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/internal/slipway"
)

// repo is one repository to read from: of the own registry, or of another.
type repo interface {
	manifest(ctx context.Context, ref Ref) (manifest, error)
	blob(ctx context.Context, d descriptor) (io.ReadCloser, error)
}

// manifest is a stored manifest; digest is the digest of raw.
type manifest struct {
	mediaType string
	raw       []byte
	digest    string
}

// descriptor names a blob or a manifest.
type descriptor struct {
	MediaType string    `json:"mediaType,omitempty"`
	Digest    string    `json:"digest"`
	Size      int64     `json:"size"`
	Platform  *platform `json:"platform,omitempty"`
}

// platform is the operating system and the processor of an image.
type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant,omitempty"`
}

// content is the content of a manifest, of an image or of an index.
type content struct {
	MediaType string       `json:"mediaType"`
	Config    descriptor   `json:"config"`
	Layers    []descriptor `json:"layers"`
	Manifests []descriptor `json:"manifests"`
}

// damaged reports a damaged image in a sentence.
func damaged(format string, args ...any) error {
	return slipway.Errorf(slipway.Invalid, "The image is damaged: %s.", fmt.Sprintf(format, args...))
}

// maxLayers is more than any engine can run.
const maxLayers = 512

// content reads m.
func (m manifest) content() (c content, err error) {
	if err := json.Unmarshal(m.raw, &c); err != nil {
		return c, damaged("its manifest is no JSON (%v)", err)
	}
	if len(c.Layers) > maxLayers || len(c.Manifests) > maxLayers {
		return c, damaged("its manifest names more than %d parts", maxLayers)
	}
	for _, d := range slices.Concat([]descriptor{c.Config}, c.Layers, c.Manifests) {
		if d.Digest != "" && !digestForm.MatchString(d.Digest) || d.Size < 0 {
			return c, damaged("its manifest names %q, which is no digest", clipped(d.Digest))
		}
	}
	return c, nil
}

// parts returns the descriptors in m.
func (m manifest) parts() ([]descriptor, error) {
	c, err := m.content()
	if err != nil {
		return nil, err
	}
	all := slices.Concat(c.Layers, c.Manifests)
	if c.Config.Digest != "" {
		all = append(all, c.Config)
	}
	return all, nil
}

func (m manifest) isIndex() bool {
	t := types.MediaType(m.mediaType)
	return t.IsIndex()
}

func (m manifest) isImage() bool {
	t := types.MediaType(m.mediaType)
	return t == types.OCIManifestSchema1 || t == types.DockerManifestSchema2
}

// parsePlatform reads "linux/arm64/v8".
func parsePlatform(text string) platform {
	parts := append(strings.SplitN(text, "/", 3), "", "")
	return platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
}

// String returns p in the usual form, as "linux/arm64/v8".
func (p platform) String() string {
	return strings.TrimRight(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// runs reports whether an image for p runs on wanted. The variant of arm64 is
// v8 where none is named.
func (p platform) runs(wanted platform) bool {
	variant := func(p platform) string {
		if p.Architecture == "arm64" && p.Variant == "v8" {
			return ""
		}
		return p.Variant
	}
	return p.OS == wanted.OS && p.Architecture == wanted.Architecture && (wanted.Variant == "" || variant(p) == variant(wanted))
}

// wrongPlatform reports the platforms that an image offers instead.
func wrongPlatform(offered []platform, wanted platform) error {
	var names []string
	for _, p := range offered {
		if name := p.String(); name != "" && name != "unknown/unknown" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return slipway.Errorf(slipway.Invalid, "This image does not say what it runs on; this Deployment needs %s.", wanted)
	}
	return slipway.Errorf(slipway.Invalid, "This image offers %s only; this Deployment needs %s. Build it with --platform %s.", strings.Join(names, ", "), wanted, wanted)
}
