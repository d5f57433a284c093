package image

import (
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"slipway/internal/slipway"
)

// Ref names an image: in the portal's own registry, or in another one.
type Ref struct {
	Name   string // repository: "quay.io/team/airflow", or "barren-ionization-0185/airflow" in the own registry
	Tag    string // "" with a digest
	Digest string // "sha256:…"; goes before the tag
}

// Login is a user of a registry. The zero value reads public images.
type Login struct{ User, Password string }

// ParseRef parses a reference: "quay.io/team/airflow:1.2",
// "quay.io/team/airflow@sha256:…". A name belongs to the portal's own
// registry if the first element is no host: no dot, no port, not localhost.
func ParseRef(text string) (Ref, error) {
	text = strings.TrimSpace(text)
	wrong := slipway.Errorf(slipway.Invalid, "%q is no reference of an image. One looks like quay.io/team/airflow:1.2 or quay.io/team/airflow@sha256:….", clipped(text))
	parsed, err := reference.Parse(text)
	if err != nil || len(text) > maxRef {
		return Ref{}, wrong
	}
	named, ok := parsed.(reference.Named)
	if !ok || named.Name() == "sha256" {
		return Ref{}, wrong
	}
	r := Ref{Name: named.Name()}
	if host := slipway.RegistryHost(r.Name); host != "" {
		if _, err := slipway.CheckRegistry(host); err != nil {
			return Ref{}, err
		}
	}
	if tagged, ok := parsed.(reference.Tagged); ok {
		r.Tag = tagged.Tag()
	}
	if digested, ok := parsed.(reference.Digested); ok {
		if digested.Digest().Algorithm() != digest.SHA256 {
			return Ref{}, wrong
		}
		r.Digest = digested.Digest().String()
	}
	if r.Tag == "" && r.Digest == "" {
		return Ref{}, slipway.Errorf(slipway.Invalid, "%q names no tag. Add one, like %s:1.2, or a digest.", clipped(text), clipped(text))
	}
	return r, nil
}

// maxRef is the longest accepted reference, in bytes.
const maxRef = 1024

// clipped shortens text of a user for a sentence.
func clipped(text string) string {
	if len(text) > 200 {
		return strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}

// Own reports whether r is in the portal's own registry.
func (r Ref) Own() bool { return slipway.RegistryHost(r.Name) == "" }

// String returns r in the form for ParseRef.
func (r Ref) String() string {
	text := r.Name
	if r.Tag != "" {
		text += ":" + r.Tag
	}
	if r.Digest != "" {
		text += "@" + r.Digest
	}
	return text
}

// Namespace returns the namespace of the Deployment that owns a repository of
// the own registry: the first element of the name.
func Namespace(repository string) string {
	first, _, _ := strings.Cut(repository, "/")
	return first
}

// RefOf returns the reference of i.
func RefOf(i slipway.Image) Ref { return Ref{Name: i.Name, Tag: i.Tag, Digest: i.Digest} }
