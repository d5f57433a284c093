package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"slipway/internal/slipway"
)

// config is the part of an image's configuration that Slipway reads.
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

// Labels and variables with the versions and the home of Airflow.
const (
	runtimeLabel        = "io.astronomer.docker.runtime.version"
	runtimeAirflowLabel = "io.astronomer.docker.airflow.version"
	airflowLabel        = "org.apache.airflow.version"
	airflowVariable     = "AIRFLOW_VERSION"
	airflowHome         = "AIRFLOW_HOME"
)

// maxPath is the longest path of a dags folder, in bytes.
const maxPath = 4000

// maxConfig is the largest image configuration that is read, in bytes.
const maxConfig = 8 << 20

// inspected is an image with its source, manifest and configuration.
type inspected struct {
	slipway.Image

	from     repo
	manifest manifest
	content  content
	raw      []byte // the configuration's bytes
	config   config
	left     int64 // bytes that the layers may still unpack to
}

// Inspect returns the facts of an image; of an index, the image for platform.
// For an image of the own registry, Inspect checks that all blobs exist, and
// counts as a use.
func (s *Store) Inspect(ctx context.Context, ref Ref, platform string, login Login) (slipway.Image, error) {
	f, err := s.find(ctx, ref, slipway.ParsePlatform(platform), login)
	if err != nil {
		return slipway.Image{}, err
	}
	f.DagsPath, err = f.dagsPath(ctx)
	return f.Image, err
}

// find returns an image of the own or another registry.
func (s *Store) find(ctx context.Context, ref Ref, wanted slipway.Platform, login Login) (*inspected, error) {
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
	if err := checkPlatform(f.config.platform(), wanted); err != nil {
		return nil, err
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

// read fills f from the manifest and the configuration.
func (f *inspected) read(ctx context.Context, ref Ref) (err error) {
	if f.content, err = f.manifest.content(); err != nil {
		return err
	}
	if title := artifact(f.manifest, f.content); title != "" {
		return noImage(ref, title)
	}
	if f.raw, err = configOf(ctx, f.from, f.content); err != nil {
		return err
	}
	if err := json.Unmarshal(f.raw, &f.config); err != nil {
		return damaged("its configuration is no JSON (%v)", err)
	}
	f.Image = f.facts(ref)
	return nil
}

// configOf reads the configuration of an image.
func configOf(ctx context.Context, from repo, c content) ([]byte, error) {
	if c.Config.Size > maxConfig {
		return nil, damaged("its configuration is larger than %d MiB", maxConfig>>20)
	}
	return wholeBlob(ctx, from, c.Config)
}

// wholeBlob reads a small blob and verifies size and digest.
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

// facts returns the content of manifest and configuration as a slipway.Image.
func (f *inspected) facts(ref Ref) slipway.Image {
	labels, env := f.config.Config.Labels, environment(f.config.Config.Env)
	i := slipway.Image{
		Name: ref.Name, Tag: ref.Tag, Digest: f.manifest.digest, Platform: f.config.platform().String(),
		Size: f.content.Config.Size, User: validText(f.config.Config.User, 255), CreatedAt: f.config.Created,
	}
	if r := labels[runtimeLabel]; slipway.Release(r).Valid() { // used in variables of commands
		i.Runtime = r
	}
	for _, version := range []string{labels[runtimeAirflowLabel], labels[airflowLabel], env[airflowVariable]} {
		if i.Airflow == "" {
			i.Airflow = validText(version, 64)
		}
	}
	for _, l := range f.content.Layers {
		i.Layers = append(i.Layers, slipway.Layer{Digest: l.Digest, Size: l.Size})
		i.Size += l.Size
	}
	return i
}

// validText returns text from an image, "" if longer than longest bytes or
// not printable.
func validText(text string, longest int) string {
	if len(text) > longest || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return text
}

func (c config) platform() slipway.Platform {
	return slipway.Platform{OS: c.OS, Architecture: c.Architecture, Variant: c.Variant}
}

func environment(all []string) map[string]string {
	env := map[string]string{}
	for _, text := range all {
		name, value, _ := strings.Cut(text, "=")
		env[name] = value
	}
	return env
}

// complete checks that the own registry has all layers of an image.
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

// dagsPath returns the dags folder of an image: from the variable
// AIRFLOW_HOME, or else the first known folder in the image.
func (f *inspected) dagsPath(ctx context.Context) (string, error) {
	if home := validText(environment(f.config.Config.Env)[airflowHome], maxPath); strings.HasPrefix(home, "/") {
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

// drain reads the rest of a layer: the digest of a blob from another registry
// is verified only at the end.
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

// layerError names the unreadable layer, unless the error has another cause.
func (f *inspected) layerError(n int, err error) error {
	if slipway.Explained(err) || !unreadable(err) {
		return err
	}
	return errors.Join(damaged("its layer %s cannot be read (%v)", f.content.Layers[n].Digest, err), err)
}

// readLayers reads the image's layers from the top until all paths are known.
func (f *inspected) readLayers(ctx context.Context, v *view) error {
	for n := len(f.content.Layers) - 1; n >= 0 && !v.done(); n-- {
		l := layerView{here: map[string]*tar.Header{}, implied: map[string]bool{}, hides: map[string]bool{}, clears: map[string]bool{}}
		if err := f.eachEntry(ctx, n, func(e entry, _ io.Reader) error { l.add(v, e); return nil }); err != nil {
			return err
		}
		v.apply(l)
	}
	return nil
}

// folder returns the real path of the folder p, with symlinks resolved, and
// the view of that path. exists reports whether the folder exists.
func (f *inspected) folder(ctx context.Context, p string) (resolved string, v *view, exists bool, err error) {
	if p = path.Clean(p); !path.IsAbs(p) || p == "/" {
		return p, v, false, slipway.Errorf(slipway.Invalid, "It is not known where this image has its DAGs. Set the dags folder of the image in the Deployment's settings.")
	}
	for range maxLinks {
		if strings.Count(p, "/") > maxNesting {
			return p, v, false, slipway.Errorf(slipway.Invalid, "The dags folder of this image lies deeper than %d folders.", maxNesting)
		}
		v = newView(p)
		if err := f.readLayers(ctx, v); err != nil {
			return p, v, false, err
		}
		next, ok := v.follow(p)
		if next == p {
			return p, v, ok, nil
		}
		p = next
	}
	return p, v, false, slipway.Errorf(slipway.Invalid, "The way to %s goes through too many symlinks in this image.", p)
}

// firstFolder returns the first of paths that is a folder in the image, "" if
// none.
func (f *inspected) firstFolder(ctx context.Context, paths ...string) (string, error) {
	v := newView(paths...)
	if err := f.readLayers(ctx, v); err != nil {
		return "", err
	}
	for _, p := range slices.Clone(paths) {
		next, ok := v.follow(p)
		if next != p {
			var err error
			if _, _, ok, err = f.folder(ctx, next); err != nil {
				return "", err
			}
		}
		if ok {
			return p, nil
		}
	}
	return "", nil
}
