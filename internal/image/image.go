// Package image stores and inspects container images: a registry at /v2/ with a
// folder on disk, inspecting images of any registry, importing archives,
// reading dags folders and adding layers.
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
	Dir        string   // of the registry; created if missing
	Registries []string // "registry.corp", "10.1.2.3:5000" or "10.0.0.0/8": may have private addresses, and speak plain HTTP

	// Room returns an error if bytes more must not be written. nil: no limit.
	CheckSpace func(bytes int64) error

	// MayPush returns an error against a push to a reserved tag ("deploy-…").
	// The client sees a refusal. nil: no push to reserved tags.
	MayPush func(ctx context.Context, repository, tag string) error

	// Pushed is called after every pushed manifest, and must not block.
	Pushed func(Push)
}

// Push is a manifest that was pushed to a repository.
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
}

// Open returns the store in cfg.Dir. The registry starts with the first request
// or image.
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

// exists reports whether the file exists, from the error of a stat.
func exists(err error) (bool, error) {
	switch {
	case err == nil:
		return true, nil
	case os.IsNotExist(err):
		return false, nil
	}
	return false, err
}

// makeParent makes the folder of a file.
func makeParent(name string) error {
	return os.MkdirAll(filepath.Dir(name), fs.FileMode(0o700))
}

// Sweep removes the images without a tag, without a deploy, and without a use
// in the last 24 hours, and abandoned uploads. keep returns the images of
// deploys. A tag made by Slipway goes with the last deploy in need of the
// image.
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

// Import stores the image of an archive in the own registry, under repository
// and tag: the format of docker save or an OCI layout, plain or compressed with
// gzip. Import needs no memory or disk for whole layers. The manifest comes
// last: without a manifest, the image cannot be deployed.
func (s *Store) Import(ctx context.Context, repository, tag string, from io.ReaderAt, size int64, platform string) (slipway.Image, error) {
	if err := checkTarget(repository, tag); err != nil {
		return slipway.Image{}, err
	}
	a, err := readArchive(ctx, from, size)
	if err != nil {
		return slipway.Image{}, err
	}
	p, err := a.image(ctx, parsePlatform(platform))
	if err != nil {
		return slipway.Image{}, err
	}
	to, err := s.repo(ctx, repository)
	if err != nil {
		return slipway.Image{}, err
	}
	if err := a.store(ctx, to, p); err != nil {
		return slipway.Image{}, err
	}
	m, err := p.finish(ctx, to)
	if err != nil {
		return slipway.Image{}, err
	}
	if err := to.putManifest(ctx, m.mediaType, m.raw, tag); err != nil {
		return slipway.Image{}, err
	}
	return s.Inspect(ctx, Ref{Name: repository, Tag: tag}, platform, Login{})
}

// WithDags stores base with one more layer in the own registry, under
// repository and tag. The folder dagsPath then holds only the files, readable
// by everybody. Equal input makes an equal image. The layers of an image in
// another registry are copied.
func (s *Store) WithDags(ctx context.Context, base slipway.Image, login Login, dagsPath string, files []DagFile, repository, tag string) (slipway.Image, error) {
	if err := checkTarget(repository, tag); err != nil {
		return slipway.Image{}, err
	}
	f, err := s.find(ctx, RefOf(base), parsePlatform(base.Platform), login)
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
	f.from = to // the layers are here now
	entries, err := f.layerFiles(ctx, dagsPath, files)
	if err != nil {
		return slipway.Image{}, err
	}
	by := fmt.Sprintf("slipway: %d files take the place of what was in %s", len(files), dagsPath)
	if err := f.append(ctx, to, entries, by); err != nil {
		return slipway.Image{}, err
	}
	if err := to.putManifest(ctx, f.manifest.mediaType, f.manifest.raw, tag); err != nil {
		return slipway.Image{}, err
	}
	return s.Inspect(ctx, Ref{Name: repository, Tag: tag}, base.Platform, Login{})
}

// Pin makes a tag of the own registry final, and retains the image. The result is
// the final digest of the tag.
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

// Retain protects an image of the own registry from deletion by clients, until
// Sweep finds no deploy in need of the image.
func (s *Store) Retain(ctx context.Context, repository, digest string) error {
	if err := checkTarget(repository, ""); err != nil {
		return err
	}
	if !digestForm.MatchString(digest) {
		return fmt.Errorf("retain %s: no digest", digest)
	}
	hex := strings.TrimPrefix(digest, "sha256:")
	unlock := s.driver.locks.lock(hex)
	err := writeWhole(s.driver.pins.digest(repository, digest), "")
	unlock()
	if err != nil {
		return err
	}
	return s.settle(ctx, repository, digest) // fails if the image does not exist
}

// DagsTar writes the files of a folder of i after all layers: without files
// removed in a higher layer, and with symlinks in dagsPath resolved. The
// archive holds files and symlinks by path in the folder, sorted. An image
// without the folder is refused.
func (s *Store) DagsTar(ctx context.Context, i slipway.Image, login Login, dagsPath string, w io.Writer) error {
	f, err := s.find(ctx, RefOf(i), parsePlatform(i.Platform), login)
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
	d := &dags{f: f, dir: dir, final: map[string]dagEntry{}, hides: map[string]bool{}, clear: map[string]bool{}, temp: temp, checkSpace: s.cfg.CheckSpace}
	if err := d.collect(ctx); err != nil {
		return err
	}
	return d.write(w)
}

// temp returns a temporary file that is deleted when closed.
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

// Handler serves the registry: all of /v2/ except the token endpoint. Limits on
// body size or time, and compression, must not be applied.
func (s *Store) Handler(authorizer Authorizer) http.Handler {
	app := sync.OnceValue(func() http.Handler { return s.newApp(authorizer) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = withoutForeignMount(r, authorizer)
		if r.Method == http.MethodPut && targetOf(r.URL.Path).manifest {
			r = withBufferedBody(r)
		}
		a := &answer{ResponseWriter: w}
		app().ServeHTTP(a, r.WithContext(context.WithValue(r.Context(), answerKey{}, a)))
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
			"maintenance": {"uploadpurging": map[any]any{"enabled": false}}, // done by Sweep
		},
		Auth: configuration.Auth{registryName: {"controller": &controller{store: s, authorizer: authorizer}}},
	}
	cfg.HTTP.Secret = rand.Text() // signs the upload state in clients' hands
	cfg.HTTP.RelativeURLs = true  // correct behind any proxy
	return handlers.NewApp(context.Background(), cfg)
}
