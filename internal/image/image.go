// Package image stores container images: a registry at /v2/ with its own
// folder, and the portal's work with images of this registry and of others:
// inspecting, importing archives, reading dags folders and adding layers.
package image

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"slipway/internal/slipway"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/distribution/distribution/v3/registry/storage"
)

// Config is the configuration of a Store.
type Config struct {
	Dir        string   // of the registry, made if missing
	Registries []string // "registry.corp", "10.1.2.3:5000" or "10.0.0.0/8": may have private addresses, and speak plain HTTP

	// Claim returns an error if the disk has no room for bytes more. Until
	// release, nobody else gets the same room. nil: no check.
	Claim func(bytes int64) (release func(), err error)

	// MayPush is called before a push to a reserved tag ("deploy-…"). The client sees the
	// refusal. nil: always refused.
	MayPush func(ctx context.Context, repository, tag string) error

	// Pushed is called with every pushed manifest. Pushed must not block.
	Pushed func(Push)
}

// Push is a pushed manifest.
type Push struct {
	Repository string // "barren-ionization-0185/airflow"
	Tag        string // "" for a push by digest
	Digest     string
}

// Store is the portal's registry and the client of other registries.
type Store struct {
	cfg     Config
	log     *slog.Logger
	driver  *driver
	clients *clients
	own     func() (distribution.Namespace, error) // made when first needed
	grace   time.Duration                          // Sweep's

	artifacts sync.Map // by digest of a manifest: whether it is an artifact and no image
}

// Open returns the store in cfg.Dir. The registry starts with the first
// request or image.
func Open(cfg Config, log *slog.Logger) (*Store, error) {
	if err := os.MkdirAll(filepath.Join(cfg.Dir, "docker"), 0o700); err != nil {
		return nil, fmt.Errorf("make the registry's folder: %w", err)
	}
	allowed, err := parseRegistries(cfg.Registries)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, log: log, driver: newDriver(cfg), clients: newClients(allowed), grace: grace}
	s.own = sync.OnceValues(func() (distribution.Namespace, error) {
		return storage.NewRegistry(context.Background(), s.driver, storage.EnableDelete)
	})
	return s, nil
}

// exists turns the error of a stat into existence or an error.
func exists(err error) (bool, error) {
	switch {
	case err == nil:
		return true, nil
	case os.IsNotExist(err):
		return false, nil
	}
	return false, err
}

// ensureParent makes the folder of a file.
func ensureParent(name string) error {
	return os.MkdirAll(filepath.Dir(name), fs.FileMode(0o700))
}

// Sweep removes images and blobs without a tag, a deploy or a use in the last
// 24 hours, and abandoned uploads. keep returns the needs of deploys.
// Slipway's own tags go with the last deploy that needs the image.
func (s *Store) Sweep(ctx context.Context, keep func() (Needed, error), now time.Time) error {
	needed, err := keep()
	if err != nil {
		return fmt.Errorf("what deploys need: %w", err)
	}
	w := &sweep{
		s: s, until: now.Add(-s.grace), keep: needed,
		revisions: map[string]bool{}, links: map[string]bool{}, blobs: map[string]bool{},
	}
	if err := s.driver.pins.drop(w.until, w.keepsAny); err != nil {
		return fmt.Errorf("drop pins: %w", err)
	}
	var repositories []string
	err = s.eachRepository(ctx, "", func(repository string) error {
		repositories = append(repositories, repository)
		return w.mark(ctx, repository)
	})
	if err != nil {
		return fmt.Errorf("mark: %w", err)
	}
	for _, clear := range []func(context.Context, string) error{w.clearRevisions, w.clearLayers} {
		for _, repository := range repositories {
			if err := clear(ctx, repository); err != nil {
				return fmt.Errorf("sweep %s: %w", repository, err)
			}
		}
	}
	return w.clearBlobs(ctx)
}

// Import puts an archive's image into the own registry, under repository and
// tag. The archive is the output of docker save or an OCI layout, plain or
// compressed with gzip or zstd, and is streamed. The manifest comes last, so no
// incomplete image can be deployed.
func (s *Store) Import(ctx context.Context, repository, tag string, from io.ReaderAt, size int64, platform string) (slipway.Image, error) {
	if err := checkTarget(repository, tag); err != nil {
		return slipway.Image{}, err
	}
	a, err := readArchive(ctx, from, size)
	if err != nil {
		return slipway.Image{}, err
	}
	to, err := s.repo(ctx, repository)
	if err != nil {
		return slipway.Image{}, err
	}
	m, err := a.store(ctx, to, slipway.ParsePlatform(platform))
	if err != nil {
		return slipway.Image{}, err
	}
	if err := to.putManifest(ctx, m.mediaType, m.raw, tag); err != nil {
		return slipway.Image{}, err
	}
	return s.Inspect(ctx, Ref{Name: repository, Tag: tag}, platform, Login{})
}

// WithDags puts base with one more layer into the own registry, under
// repository and tag: the folder of dags is emptied and then holds the files,
// readable by everybody. Layers that WithDags added before for the same folder
// are replaced. Equal input makes equal images. Layers of an image in another
// registry are copied.
func (s *Store) WithDags(ctx context.Context, base slipway.Image, login Login, dags Dags, repository, tag string) (slipway.Image, error) {
	if err := checkTarget(repository, tag); err != nil {
		return slipway.Image{}, err
	}
	f, err := s.find(ctx, RefOf(base), slipway.ParsePlatform(base.Platform), login)
	if err != nil {
		return slipway.Image{}, err
	}
	to, err := s.repo(ctx, repository)
	if err != nil {
		return slipway.Image{}, err
	}
	for _, l := range f.content.Layers {
		if err := f.copyLayer(ctx, to, l); err != nil {
			return slipway.Image{}, err
		}
	}
	f.from = to // where the layers are at hand now
	dir, entries, err := f.layerFiles(ctx, dags)
	if err != nil {
		return slipway.Image{}, err
	}
	if err := f.dropAdded(ctx, dir); err != nil {
		return slipway.Image{}, err
	}
	if n := len(f.content.Layers); n >= slipway.MaxLayers {
		return slipway.Image{}, slipway.Errorf(slipway.Invalid, "The image has %d layers, and Docker Engine runs none of more than %d, so there is no room for one with the DAGs. Build the image with fewer layers and deploy it first.", n, slipway.MaxLayers)
	}
	by := fmt.Sprintf(addedBy+"%d files take the place of what was in %s", len(dags.Files), dags.Path)
	if err := f.append(ctx, to, entries, by); err != nil {
		return slipway.Image{}, err
	}
	if err := to.putManifest(ctx, f.manifest.mediaType, f.manifest.raw, tag); err != nil {
		return slipway.Image{}, err
	}
	return s.Inspect(ctx, Ref{Name: repository, Tag: tag}, base.Platform, Login{})
}

// Pin makes a tag of the own registry final, retains the image and returns
// the tag's digest.
func (s *Store) Pin(ctx context.Context, repository, tag string) (string, error) {
	if err := checkTarget(repository, tag); err != nil {
		return "", err
	}
	defer s.driver.tags.lock(tagKey(repository, tag))()
	digest, err := s.tagged(ctx, repository, tag)
	if err != nil {
		return "", err
	}
	if err := s.Retain(ctx, repository, digest); err != nil {
		return "", err
	}
	return digest, writeWhole(s.driver.pins.tag(repository, tag), digest)
}

// Retain protects an image of the own registry from deletion by clients,
// until a Sweep finds no deploy that needs the image.
func (s *Store) Retain(ctx context.Context, repository, digest string) error {
	if err := checkTarget(repository, ""); err != nil {
		return err
	}
	if !digestForm.MatchString(digest) {
		return fmt.Errorf("hold %s: no digest", digest)
	}
	hex := strings.TrimPrefix(digest, "sha256:")
	unlock := s.driver.locks.lock(hex)
	err := writeWhole(s.driver.pins.digest(repository, digest), "")
	unlock()
	if err != nil {
		return err
	}
	return s.syncImage(ctx, repository, digest) // also an error if the image is missing
}

// DagsTar writes the files of a folder of i, with all layers applied: paths
// removed by a higher layer are left out, and symlinks on the way to the
// folder are resolved. The archive holds files and symlinks by paths relative
// to the folder, sorted; symlinks into the folder are relative. An image
// without the folder is refused.
func (s *Store) DagsTar(ctx context.Context, i slipway.Image, login Login, dagsPath string, w io.Writer) error {
	f, err := s.find(ctx, RefOf(i), slipway.ParsePlatform(i.Platform), login)
	if err != nil {
		return err
	}
	dir, _, exists, err := f.folder(ctx, dagsPath)
	if err != nil {
		return err
	}
	if !exists {
		return slipway.Errorf(slipway.Invalid, "This image has no folder %s. Set the dags folder of the image in the Deployment's settings.", dagsPath)
	}
	temp, err := s.temp()
	if err != nil {
		return err
	}
	defer temp.Close()
	d := &dags{f: f, dir: dir, final: map[string]dagEntry{}, hides: map[string]bool{}, clear: map[string]bool{}, temp: temp, room: claims{claim: s.cfg.Claim}}
	defer d.room.release()
	if err := d.collect(ctx); err != nil {
		return err
	}
	if err := relativeLinks(ctx, f, dir, dagsPath, d.final); err != nil {
		return err
	}
	return d.write(w)
}

// temp returns an unlinked temporary file: closing frees the space.
func (s *Store) temp() (*os.File, error) {
	dir := filepath.Join(s.cfg.Dir, "tmp")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make temporary folder: %w", err)
	}
	f, err := os.CreateTemp(dir, "spool-*")
	if err != nil {
		return nil, fmt.Errorf("make temporary file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("make temporary file: %w", err), f.Close())
	}
	return f, nil
}

// Handler serves the registry: /v2/ and all below except the token endpoint.
// Wrap the handler without limits on bodies or time, and without compression.
func (s *Store) Handler(authorizer Authorizer) http.Handler {
	app := sync.OnceValue(func() http.Handler { return s.newApp(authorizer) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = withoutForbiddenMount(r, authorizer)
		if r.Method == http.MethodPut && targetOf(r.URL.Path).manifest {
			r = withBufferedBody(r)
		}
		a := &response{ResponseWriter: w}
		app().ServeHTTP(a, r.WithContext(context.WithValue(r.Context(), responseKey{}, a)))
		if t := targetOf(r.URL.Path); r.Method == http.MethodPut && t.manifest && a.status == http.StatusCreated {
			s.pushed(t, w.Header().Get("Docker-Content-Digest"))
		}
	})
}

func (s *Store) pushed(t target, digest string) {
	if s.cfg.Pushed == nil {
		return
	}
	p := Push{Repository: t.repository, Tag: t.reference, Digest: digest}
	if strings.Contains(t.reference, ":") {
		p.Tag = ""
	}
	s.cfg.Pushed(p)
}

func (s *Store) newApp(authorizer Authorizer) http.Handler {
	register()
	cfg := &configuration.Configuration{
		Storage: configuration.Storage{
			registryName:  {"driver": s.driver},
			"delete":      {"enabled": true},
			"redirect":    {"disable": true},
			"maintenance": {"uploadpurging": map[any]any{"enabled": false}}, // Sweep purges uploads
		},
		Auth: configuration.Auth{registryName: {"controller": &controller{store: s, authorizer: authorizer}}},
	}
	cfg.HTTP.Secret = rand.Text() // signs the state of uploads that clients send back
	cfg.HTTP.RelativeURLs = true  // right behind any proxy
	return handlers.NewApp(context.Background(), cfg)
}
