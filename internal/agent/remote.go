package agent

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"slipway/internal/slipway"
)

// RemoteConfig is the address of a portal, with the token and the certificates.
type RemoteConfig struct {
	URL     *url.URL               // https://slipway.example.com
	Token   func() (string, error) // called for each request, so a token may be replaced
	CA      []byte                 // certificates in PEM, trusted beside the system's
	Version string                 // of this program
}

// Remote is a portal over HTTP.
type Remote struct {
	cfg    RemoteConfig
	client *http.Client
}

const (
	dialTimeout = 10 * time.Second

	// answerTimeout is longer than the portal's long poll.
	answerTimeout = time.Minute

	// stallTimeout is how long a download may go without a byte.
	stallTimeout = 30 * time.Second

	// receiveBuffer is how many bytes of a download may wait in memory; 4 MiB unless set.
	receiveBuffer = 1 << 20

	maxAnswer = 64 << 10 // bytes of a response other than a pack or a manifest
)

// NewRemote returns the portal at cfg.URL. A proxy is taken from HTTPS_PROXY,
// HTTP_PROXY and NO_PROXY.
func NewRemote(cfg RemoteConfig) (*Remote, error) {
	roots, err := trusted(cfg.CA)
	if err != nil {
		return nil, err
	}
	r := &Remote{cfg: cfg}
	r.client = &http.Client{CheckRedirect: r.followToBucket, Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: answerTimeout,
		IdleConnTimeout:       90 * time.Second,
		DisableCompression:    true, // packs are compressed already, and read in ranges
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second, MaxReceiveBufferPerStream: receiveBuffer},
	}}
	return r, nil
}

// trusted returns the system's certificates and the ones in pem; nil for the
// system's alone.
func trusted(pem []byte) (*x509.CertPool, error) {
	if len(pem) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a container may have none
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("the file of trusted certificates holds none in PEM")
	}
	return pool, nil
}

// Desired fetches the desired state. The portal holds the request back while
// the revision is still since.
func (r *Remote) Desired(ctx context.Context, since string) (want slipway.Desired, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	resp, err := r.do(ctx, http.MethodGet, "desired?"+url.Values{"since": {since}}.Encode(), nil, nil)
	if err != nil {
		return want, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&want); err != nil {
		return want, fmt.Errorf("read what is wanted: %w", err)
	}
	_, named := want.Version.Time()
	if want.Revision == "" || want.DAGs != slipway.FromImage && (want.DAGs != slipway.FromBundle || !named) {
		return want, errors.New("the portal's answer is none that this agent understands; a newer agent may")
	}
	return want, nil
}

// Manifest opens the list of a version's files, as the portal stores it.
func (r *Remote) Manifest(ctx context.Context, v slipway.Version) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	resp, err := r.do(ctx, http.MethodGet, "manifests/"+v.Dir(), nil, nil) //nolint:bodyclose // closed by the caller, as the body
	if err != nil {
		cancel()
		return nil, err
	}
	return watched(resp.Body, cancel), nil
}

// Report sends the state of the component to the portal.
func (r *Remote) Report(ctx context.Context, rep slipway.Report) error {
	body, err := json.Marshal(rep)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, stallTimeout)
	defer cancel()
	resp, err := r.do(ctx, http.MethodPost, "report", http.Header{"Content-Type": {"application/json"}}, body)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// do sends a request to the portal. A status of 300 or above is an error.
func (r *Remote) do(ctx context.Context, method, path string, h http.Header, body []byte) (*http.Response, error) {
	at := strings.TrimSuffix(r.cfg.URL.String(), "/") + protocolPath + path
	req, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask the portal: %w", err)
	}
	token, err := r.cfg.Token()
	if err != nil {
		return nil, fmt.Errorf("read the token: %w", err)
	}
	for name, values := range h {
		req.Header[name] = values
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("User-Agent", "slipway-agent/"+r.cfg.Version)
	resp, err := r.client.Do(req)
	if e, ok := errors.AsType[*movedError](err); ok {
		return nil, e
	}
	if err != nil {
		return nil, r.fromBucket(withoutQuery(err)) // the error has the address and the cause
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	if at := resp.Request.URL; at.Host != r.cfg.URL.Host {
		return nil, fmt.Errorf("%w; %s", errors.Join(refusal(resp, at.Host), resp.Body.Close()), noBucket)
	}
	return nil, errors.Join(refusal(resp, resp.Request.URL.Host), resp.Body.Close())
}

// noBucket is the way out for agents that cannot read from the bucket.
const noBucket = "where agents cannot read from the bucket, the portal sends its files with serve --bucket-reads portal"

// fromBucket adds the way out to an error of a request to another host than the
// portal's: the bucket's.
func (r *Remote) fromBucket(err error) error {
	e, ok := errors.AsType[*url.Error](err)
	if !ok {
		return err
	}
	if at, bad := url.Parse(e.URL); bad != nil || at.Host == r.cfg.URL.Host || at.Host == "" {
		return err
	}
	return fmt.Errorf("%w; %s", err, noBucket)
}

// withoutQuery removes the query of the address in err: the query of a bucket's
// address is the signature.
func withoutQuery(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		e.URL, _, _ = strings.Cut(e.URL, "?")
	}
	return err
}

// refusals are the kinds of the portal's statuses where the same request fails
// again.
var refusals = map[int]slipway.Kind{
	http.StatusUnauthorized: slipway.Unauthorized, http.StatusForbidden: slipway.Forbidden,
	http.StatusNotFound: slipway.NotFound, http.StatusUnprocessableEntity: slipway.Invalid,
}

// refusal returns the error of a response with a bad status. The portal sends a
// sentence as text/plain; a proxy in between may send HTML.
func refusal(resp *http.Response, host string) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1000))
	text := strings.TrimSpace(string(b))
	if err != nil || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") || text == "" {
		return fmt.Errorf("%s answers %s", host, resp.Status)
	}
	if kind, ok := refusals[resp.StatusCode]; ok {
		return slipway.Errorf(kind, "%s", text)
	}
	return fmt.Errorf("%s answers %s: %s", host, resp.Status, text)
}

// Frames downloads length bytes of a pack from offset. A broken download is
// resumed at the byte after the last.
func (r *Remote) Frames(ctx context.Context, pack string, offset, length int64) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	d := &download{ctx: ctx, cancel: cancel, from: r, pack: pack, at: offset, end: offset + length}
	if err := d.open(); err != nil && !d.mayResume(err) {
		cancel()
		return nil, err
	}
	return d, nil
}

// Log sends lines for the log of the deploy in rollout.
func (r *Remote) Log(ctx context.Context, component string, lines []string) error {
	body, err := json.Marshal(slipway.AgentLog{Component: component, Lines: lines})
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, stallTimeout)
	defer cancel()
	resp, err := r.do(ctx, http.MethodPost, "log", http.Header{"Content-Type": {"application/json"}}, body)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
