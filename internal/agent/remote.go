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

	"slipway/internal/bundle"
	"slipway/internal/slipway"
)

// RemoteConfig says where a portal is, and how it is asked.
type RemoteConfig struct {
	URL     *url.URL               // https://slipway.example.com
	Token   func() (string, error) // asked for each request, so that it may be replaced
	CA      []byte                 // certificates in PEM that are trusted beside the system's
	Version string                 // of this program
}

// Remote is a portal over HTTP.
type Remote struct {
	cfg    RemoteConfig
	client *http.Client
}

const (
	dialTimeout = 10 * time.Second

	// answerTimeout is longer than the portal lets a question wait.
	answerTimeout = time.Minute

	// stallTimeout is for how long nothing may come of a download.
	stallTimeout = 30 * time.Second

	maxAnswer = 64 << 10 // of what is neither a pack nor a manifest, bytes
)

// NewRemote returns the portal at cfg.URL. A proxy is found by the usual
// variables.
func NewRemote(cfg RemoteConfig) (*Remote, error) {
	roots, err := trusted(cfg.CA)
	if err != nil {
		return nil, err
	}
	return &Remote{cfg: cfg, client: &http.Client{CheckRedirect: keepToken, Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: answerTimeout,
		IdleConnTimeout:       90 * time.Second,
		DisableCompression:    true, // what is large is compressed, and is asked for in ranges
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
	}}}, nil
}

// trusted returns the system's certificates with those in pem, nil for the
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

// Desired asks what is wanted. The portal lets the question wait while its
// revision is since.
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

// Manifest fetches the list of a version's files.
func (r *Remote) Manifest(ctx context.Context, v slipway.Version) (slipway.Manifest, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := r.do(ctx, http.MethodGet, "manifests/"+v.Dir(), nil, nil) //nolint:bodyclose // it is closed below, as body
	if err != nil {
		return slipway.Manifest{}, err
	}
	body := watched(resp.Body, cancel)
	defer body.Close()
	m, err := bundle.ReadManifest(body)
	if err == nil && m.Version != v {
		err = fmt.Errorf("the manifest of %s is that of %s", v, m.Version)
	}
	return m, err
}

// Report tells the portal how the component does.
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

// do asks the portal, and turns its refusals into errors.
func (r *Remote) do(ctx context.Context, method, path string, h http.Header, body []byte) (*http.Response, error) {
	at := strings.TrimSuffix(r.cfg.URL.String(), "/") + "/agent/v1/" + path
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
	if err != nil {
		return nil, withoutQuery(err) // it says which address, and what is wrong
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	return nil, errors.Join(refusal(resp, resp.Request.URL.Host), resp.Body.Close())
}

// keepToken follows a redirect to a bucket, which is not to see the token: the
// address is signed. Neither is anybody to see what goes there.
func keepToken(req *http.Request, via []*http.Request) error {
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return errors.New("the portal sends from https to an address without encryption")
	}
	if req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
		req.Header.Del("Authorization")
	}
	if len(via) > 4 {
		return errors.New("the portal sends from one address to the next")
	}
	return nil
}

// withoutQuery takes the query of an address out of an error: that of a bucket
// is signed.
func withoutQuery(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		e.URL, _, _ = strings.Cut(e.URL, "?")
	}
	return err
}

// refusals are what the portal's statuses mean, where trying again the same
// way is in vain.
var refusals = map[int]slipway.Kind{
	http.StatusUnauthorized: slipway.Unauthorized, http.StatusForbidden: slipway.Forbidden,
	http.StatusNotFound: slipway.NotFound, http.StatusUnprocessableEntity: slipway.Invalid,
}

// refusal is the error of an answer that is not what was asked for. The portal
// explains itself in a sentence; a proxy before it may not.
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

// Frames downloads a part of a pack. What breaks off is resumed where it did.
func (r *Remote) Frames(ctx context.Context, pack string, offset, length int64) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	d := &download{ctx: ctx, cancel: cancel, from: r, pack: pack, at: offset, end: offset + length}
	if err := d.open(); err != nil && !d.mayResume(err) {
		cancel()
		return nil, err
	}
	return d, nil
}

// Log sends lines for the log of the deploy that rolls out now.
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
