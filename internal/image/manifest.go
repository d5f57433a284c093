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
	MediaType    string            `json:"mediaType,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Platform     *slipway.Platform `json:"platform,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// content is the content of a manifest, of an image or of an index.
type content struct {
	MediaType    string       `json:"mediaType"`
	ArtifactType string       `json:"artifactType"`
	Config       descriptor   `json:"config"`
	Layers       []descriptor `json:"layers"`
	Manifests    []descriptor `json:"manifests"`
}

// typeOf returns the media type of a manifest whose sender named none.
func (c content) typeOf() string {
	switch {
	case c.MediaType != "":
		return c.MediaType
	case len(c.Manifests) > 0:
		return string(types.OCIImageIndex)
	}
	return string(types.OCIManifestSchema1)
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

// checkPlatform refuses an image that does not run on a platform.
func checkPlatform(offers, wanted slipway.Platform) error {
	if _, runs := offers.Fit(wanted); !runs {
		return wrongPlatform([]slipway.Platform{offers}, wanted)
	}
	return nil
}

// wrongPlatform reports the platforms that an image offers instead.
func wrongPlatform(offered []slipway.Platform, wanted slipway.Platform) error {
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
