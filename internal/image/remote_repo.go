package image

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"slipway/internal/slipway"
)

// remoteRepo is a repository of another registry.
type remoteRepo struct {
	repository name.Repository
	puller     *remote.Puller
	login      Login
}

// manifestTimeout bounds the fetch of a manifest, authentication included.
const manifestTimeout = time.Minute

// manifest implements repo.
func (r *remoteRepo) manifest(ctx context.Context, ref Ref) (manifest, error) {
	ctx, cancel := context.WithTimeout(ctx, manifestTimeout)
	defer cancel()
	var at name.Reference = r.repository.Tag(ref.Tag)
	if ref.Digest != "" {
		at = r.repository.Digest(ref.Digest)
	}
	d, err := r.puller.Get(ctx, at)
	if err != nil {
		return manifest{}, r.explain(ref, err)
	}
	return manifest{mediaType: string(d.MediaType), raw: d.Manifest, digest: d.Digest.String()}, nil
}

// blob implements repo.
func (r *remoteRepo) blob(ctx context.Context, d descriptor) (io.ReadCloser, error) {
	l, err := r.puller.Layer(ctx, r.repository.Digest(d.Digest))
	if err != nil {
		return nil, r.explainBlob(d, err)
	}
	body, err := l.Compressed()
	if err != nil {
		return nil, r.explainBlob(d, err)
	}
	body = &minRateBody{ReadCloser: body, host: r.repository.RegistryStr()}
	return &explainedBody{ReadCloser: body, explain: func(err error) error { return r.explainBlob(d, err) }}, nil
}

// The slowest accepted download: minRateBytes in minRateTime of waiting, 16
// KiB/s.
const (
	minRateTime  = 2 * time.Minute
	minRateBytes = 16 << 10 * int64(minRateTime/time.Second)
)

// minRateBody is a body that fails below the minimum rate: other requests
// wait.
type minRateBody struct {
	io.ReadCloser
	host   string
	waited time.Duration
	got    int64
}

// Read implements io.Reader.
func (s *minRateBody) Read(p []byte) (int, error) {
	began := time.Now()
	n, err := s.ReadCloser.Read(p)
	s.waited, s.got = s.waited+time.Since(began), s.got+int64(n)
	if s.waited < minRateTime || err != nil {
		return n, err
	}
	if s.got < minRateBytes {
		return n, slipway.Errorf(slipway.Unavailable, "The registry %s sends too slowly. Try again later, or push the image to Slipway's own registry.", s.host)
	}
	s.waited, s.got = 0, 0
	return n, nil
}

// explainBlob is explain for a blob of an image with a known manifest.
func (r *remoteRepo) explainBlob(d descriptor, err error) error {
	if e, ok := errors.AsType[*transport.Error](err); ok && e.StatusCode == http.StatusNotFound {
		return errors.Join(slipway.Errorf(slipway.NotFound, "The image in %s is not complete: its blob %s is missing.", r.repository, d.Digest), err)
	}
	if strings.Contains(err.Error(), "error verifying") {
		return errors.Join(damaged("the blob %s has other content than its digest says", d.Digest), err)
	}
	return r.explain(Ref{Name: r.repository.Name(), Digest: d.Digest}, err)
}

// explainedBody is a body with errors turned into sentences.
type explainedBody struct {
	io.ReadCloser
	explain func(error) error
}

// Read implements io.Reader.
func (e *explainedBody) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = e.explain(err)
	}
	return n, err
}

// explain turns an error of a registry into a sentence. Slipway's own
// refusals stay unchanged.
func (r *remoteRepo) explain(ref Ref, err error) error {
	host := r.repository.RegistryStr()
	if slipway.Explained(err) || errors.Is(err, context.Canceled) {
		return err
	}
	if e, ok := errors.AsType[*addressError](err); ok {
		return errors.Join(e.sentence(host), err)
	}
	if e, ok := errors.AsType[*transport.Error](err); ok {
		return errors.Join(r.refused(ref, e), err)
	}
	why := "It does not answer"
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		why = "There is no such host"
	} else if strings.Contains(err.Error(), "invalid realm") { // ggcr's guard of token services
		why = "It names a private address, or none, as the service for its tokens"
	} else if certificate(err) {
		why = "Its certificate is not trusted"
	} else if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		why = "It did not answer in time"
	}
	return errors.Join(slipway.Errorf(slipway.Invalid, "The registry %s could not be reached. %s. Check the name, and whether this machine can reach it.", host, why), err)
}

func certificate(err error) bool {
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	return authority || name || invalid
}

func (r *remoteRepo) refused(ref Ref, e *transport.Error) error {
	host := r.repository.RegistryStr()
	switch {
	case e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden:
		if r.login == (Login{}) {
			return slipway.Errorf(slipway.Invalid, "%s does not show %s to everybody, or has no such image. Give its user and password in the Workspace's registry credentials.", host, r.repository.RepositoryStr())
		}
		return slipway.Errorf(slipway.Invalid, "%s refused the user %q and its password for %s. Check the Workspace's registry credentials.", host, r.login.User, r.repository.RepositoryStr())
	case e.StatusCode == http.StatusNotFound:
		return noTag(ref)
	case e.StatusCode == http.StatusTooManyRequests:
		return slipway.Errorf(slipway.TooMany, "%s allows no more pulls for now. Wait a while, or give a user and password in the Workspace's registry credentials.", host)
	}
	return slipway.Errorf(slipway.Invalid, "The registry %s answered with an error (%d). Try again later.", host, e.StatusCode)
}

// sumOf returns the digest of content.
func sumOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
