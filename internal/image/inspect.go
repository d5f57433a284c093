package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"
	"unicode"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/internal/slipway"
)

// config is the configuration of an image, without the parts that Slipway
// ignores.
type config struct {
	Created      time.Time `json:"created"`
	OS           string    `json:"os"`
	Architecture string    `json:"architecture"`
	Variant      string    `json:"variant"`
	Config       struct {
		Env    []string          `json:"Env"`
		Labels map[string]string `json:"Labels"`
		User   string            `json:"User"`
	} `json:"config"`
	RootFS struct {
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// Labels and variables of an image with its versions and paths.
const (
	runtimeLabel        = "io.astronomer.docker.runtime.version"
	runtimeAirflowLabel = "io.astronomer.docker.airflow.version"
	airflowLabel        = "org.apache.airflow.version"
	airflowVariable     = "AIRFLOW_VERSION"
	airflowHome         = "AIRFLOW_HOME"
)

// maxPath is the longest path of a dags folder, in bytes.
const maxPath = 4000

// maxConfig is the largest configuration to read.
const maxConfig = 8 << 20

// inspected is an inspected image, with its sources.
type inspected struct {
	slipway.Image

	from     repo
	manifest manifest
	content  content
	raw      []byte // the configuration
	config   config
	left     int64 // bytes still allowed for unpacking the layers
}

// Inspect returns the facts about an image: the one for platform, if the
// reference is of an index. An incomplete image in the own registry is refused.
// All parts of a complete one count as used now.
func (s *Store) Inspect(ctx context.Context, ref Ref, platform string, login Login) (slipway.Image, error) {
	f, err := s.find(ctx, ref, parsePlatform(platform), login)
	if err != nil {
		return slipway.Image{}, err
	}
	f.DagsPath, err = f.dagsPath(ctx)
	return f.Image, err
}

// find returns an image of any registry.
func (s *Store) find(ctx context.Context, ref Ref, wanted platform, login Login) (*inspected, error) {
	from, err := s.source(ctx, ref, login)
	if err != nil {
		return nil, err
	}
	m, err := from.manifest(ctx, ref)
	if err != nil {
		return nil, err
	}
	if m, err = chosen(ctx, from, ref, m, wanted); err != nil {
		return nil, err
	}
	f := &inspected{from: from, manifest: m, left: maxUnpacked}
	if err := f.read(ctx, ref); err != nil {
		return nil, err
	}
	if offers := f.platform(); !offers.runs(wanted) {
		return nil, wrongPlatform([]platform{offers}, wanted)
	}
	return f, f.complete(ctx)
}

// source returns the repository of ref.
func (s *Store) source(ctx context.Context, ref Ref, login Login) (repo, error) {
	if !ref.Own() {
		return s.clients.repo(ref.Name, login)
	}
	if checkTarget(ref.Name, "") != nil {
		return nil, slipway.Errorf(slipway.Invalid, "%q is no repository of this portal. Name a registry before it, like quay.io/%s.", clipped(ref.Name), clipped(ref.Name))
	}
	return s.repo(ctx, ref.Name)
}

// maxDepth is how deep indexes lie in each other.
const maxDepth = 3

// chosen returns the manifest for a platform, from an index or from nested
// indexes.
func chosen(ctx context.Context, from repo, ref Ref, m manifest, wanted platform) (manifest, error) {
	for range maxDepth {
		if !m.isIndex() {
			return m, nil
		}
		c, err := m.content()
		if err != nil {
			return m, err
		}
		next, err := offer(c.Manifests, wanted)
		if err != nil {
			return m, err
		}
		if m, err = from.manifest(ctx, Ref{Name: ref.Name, Digest: next.Digest}); err != nil {
			return m, err
		}
	}
	return m, damaged("its indexes lie too deep in each other")
}

// offer returns the entry of an index for a platform.
func offer(all []descriptor, wanted platform) (descriptor, error) {
	var offered []platform
	for _, d := range all {
		p := d.Platform
		switch {
		case p == nil && len(all) == 1:
			return d, nil // the platform is in the configuration
		case p == nil:
			continue
		case p.runs(wanted):
			return d, nil
		}
		offered = append(offered, *p)
	}
	return descriptor{}, wrongPlatform(offered, wanted)
}

// read fills f from the manifest and the configuration.
func (f *inspected) read(ctx context.Context, ref Ref) (err error) {
	if !f.manifest.isImage() {
		return noImage(ref, f.manifest.mediaType)
	}
	if f.content, err = f.manifest.content(); err != nil {
		return err
	}
	switch t := types.MediaType(f.content.Config.MediaType); {
	case t != types.OCIConfigJSON && t != types.DockerConfigJSON:
		return noImage(ref, string(t))
	case f.content.Config.Size > maxConfig:
		return damaged("its configuration is larger than %d MiB", maxConfig>>20)
	}
	if f.raw, err = wholeBlob(ctx, f.from, f.content.Config); err != nil {
		return err
	}
	if err := json.Unmarshal(f.raw, &f.config); err != nil {
		return damaged("its configuration is no JSON (%v)", err)
	}
	f.Image = f.facts(ref)
	return nil
}

func noImage(ref Ref, mediaType string) error {
	return slipway.Errorf(slipway.Invalid, "%s is not a container image but something of the type %q.", ref, clipped(mediaType))
}

// wholeBlob reads a small blob, and checks size and digest.
func wholeBlob(ctx context.Context, from repo, d descriptor) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, manifestTimeout)
	defer cancel()
	r, err := from.blob(ctx, d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, d.Size+1))
	if err != nil {
		return nil, fmt.Errorf("read blob %s: %w", d.Digest, err)
	}
	if int64(len(raw)) != d.Size || sumOf(raw) != d.Digest {
		return nil, damaged("the blob %s has other content than its digest says", d.Digest)
	}
	return raw, nil
}

// facts returns the image from the manifest and the configuration.
func (f *inspected) facts(ref Ref) slipway.Image {
	labels, env := f.config.Config.Labels, environment(f.config.Config.Env)
	i := slipway.Image{
		Name: ref.Name, Tag: ref.Tag, Digest: f.manifest.digest, Platform: f.platform().String(),
		Size: f.content.Config.Size, User: printable(f.config.Config.User, 255), CreatedAt: f.config.Created,
	}
	if r := labels[runtimeLabel]; slipway.Release(r).Valid() { // the release becomes a variable of commands
		i.Runtime = r
	}
	for _, version := range []string{labels[runtimeAirflowLabel], labels[airflowLabel], env[airflowVariable]} {
		if i.Airflow == "" {
			i.Airflow = printable(version, 64)
		}
	}
	for _, l := range f.content.Layers {
		i.Layers = append(i.Layers, slipway.Layer{Digest: l.Digest, Size: l.Size})
		i.Size += l.Size
	}
	return i
}

// printable returns a text from an image, or "" for a text that is too long or
// not printable.
func printable(text string, longest int) string {
	if len(text) > longest || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return text
}

func (f *inspected) platform() platform {
	return platform{OS: f.config.OS, Architecture: f.config.Architecture, Variant: f.config.Variant}
}

func environment(all []string) map[string]string {
	env := map[string]string{}
	for _, text := range all {
		name, value, _ := strings.Cut(text, "=")
		env[name] = value
	}
	return env
}

// complete refuses an image of the own registry with missing layers.
func (f *inspected) complete(ctx context.Context) error {
	own, ok := f.from.(*ownRepo)
	if !ok {
		return nil
	}
	for _, l := range f.content.Layers {
		here, err := own.has(ctx, l)
		if err != nil {
			return fmt.Errorf("look at layer %s: %w", l.Digest, err)
		}
		if !here {
			return slipway.Errorf(slipway.NotFound, "The image in %s is not complete: its layer %s is missing. Push it again.", own.name, l.Digest)
		}
	}
	return nil
}

// dagsPath returns the dags folder of an image: from the image's variables,
// otherwise the first existing one of the usual folders.
func (f *inspected) dagsPath(ctx context.Context) (string, error) {
	if home := printable(environment(f.config.Config.Env)[airflowHome], maxPath); strings.HasPrefix(home, "/") {
		return path.Join(home, "dags"), nil
	}
	return f.firstFolder(ctx, "/usr/local/airflow/dags", "/opt/airflow/dags")
}

// eachEntry calls do with the entries of the n-th layer, in their order.
func (f *inspected) eachEntry(ctx context.Context, n int, do func(e entry, content io.Reader) error) error {
	blob, err := f.from.blob(ctx, f.content.Layers[n])
	if err != nil {
		return err
	}
	defer blob.Close()
	plain, err := unpacked(blob)
	if err != nil {
		return f.layerError(n, err)
	}
	defer plain.Close()
	archive := tar.NewReader(&limited{Reader: plain, left: &f.left})
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return f.drain(n, plain, blob)
		}
		if err == nil {
			err = errors.Join(ctx.Err(), checkNames(h))
		}
		if err == nil {
			err = do(entryOf(h), archive)
		}
		if err != nil {
			return f.layerError(n, err)
		}
	}
}

// drain reads the rest after the end of a layer's archive: the digest of a blob
// from another registry is checked at the end of the blob.
func (f *inspected) drain(n int, plain, blob io.Reader) error {
	_, err := io.Copy(io.Discard, &limited{Reader: plain, left: &f.left})
	if err == nil {
		_, err = io.Copy(io.Discard, blob)
	}
	if err != nil {
		return f.layerError(n, err)
	}
	return nil
}

// layerError names the layer in the error, unless the fault is elsewhere.
func (f *inspected) layerError(n int, err error) error {
	if kind, _ := slipway.Explain(err); kind != slipway.Internal || !unreadable(err) {
		return err
	}
	return errors.Join(damaged("its layer %s cannot be read (%v)", f.content.Layers[n].Digest, err), err)
}
