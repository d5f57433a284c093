package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"slipway/internal/agent"
	"slipway/internal/archive"
	"slipway/internal/deploy"
	"slipway/internal/inbound"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/web"
)

// serveCommand runs the portal.
type serveCommand struct {
	dataFlag
	asideFlag
	bucketFlag
	BucketReads     string         `enum:"bucket,portal" default:"bucket" help:"Where agents read DAG bundles in a bucket: from the bucket by signed addresses, or through the portal (${default})."`
	Listen          string         `default:"localhost:8888" placeholder:"ADDRESS" help:"Where to listen (${default})."`
	URL             *url.URL       `placeholder:"URL" help:"Where browsers find the portal, if a proxy stands before it: https://slipway.example.com."`
	MaxConnections  int            `default:"4000" help:"Most connections at once, and half of them from one network; fewer where the process may open fewer files (${default})."`
	SupportURL      string         `placeholder:"URL" help:"A page or mailto: address for people who need help."`
	TrustedProxies  []netip.Prefix `placeholder:"CIDR" help:"Proxies whose X-Forwarded-For is believed: 10.0.0.0/8."`
	MetricsListen   string         `placeholder:"ADDRESS" help:"Where to serve metrics to Prometheus, without a password: localhost:9188. Nowhere unless given."`
	Reserve         size           `default:"1GiB" help:"Space that uploads leave free on the disk (${default})."`
	MountTimeout    time.Duration  `default:"2m" help:"How long a DAG deploy waits for its components (${default})."`
	AgentWait       time.Duration  `default:"15s" help:"How long deploys wait after a start for agents to report again (${default})."`
	MaxArchive      size           `default:"2GiB" help:"Largest archive that is taken (${default})."`
	MaxUnpacked     size           `default:"8GiB" help:"Most that an archive may unpack to (${default})."`
	MaxFiles        int            `default:"100000" help:"Most files of a version (${default})."`
	RetainEvery     time.Duration  `default:"1h" help:"How often expired versions are removed (${default})."`
	LeftoverAge     time.Duration  `default:"1h" help:"Age from which a start removes a file that no record names, as a crash may leave one (${default})."`
	ApplyCommands   argvs          `placeholder:"COMMANDS" help:"What this machine can run to apply an image, by name. In the configuration file: apply-commands: {compose: [docker, compose, up, -d]}."`
	ApplyTimeout    time.Duration  `default:"20m" help:"How long a rollout of an image may take, while no agent waits for running tasks to end (${default})."`
	MaxImage        size           `default:"20GiB" help:"Largest archive of an image that is taken (${default})."`
	Registries      []string       `placeholder:"HOST" help:"Registries that may have private addresses and speak plain HTTP: registry.corp, 10.1.2.3:5000 or 10.0.0.0/8."`
	RuntimeReleases string         `placeholder:"FILE" help:"More versions of the Runtime that images may have, one a line, beside those that this program knows."`
	LogFormat       string         `enum:"text,json" default:"text" help:"Form of the log: text or json (${default})."`
}

// Limits against slow or hostile clients. Whole requests have no time limit, as
// uploads and event streams last long; package inbound has the least speed.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 32 << 10
)

// Time for requests after the signal to stop: first for ordinary requests, then
// for cancelled event streams and uploads.
const (
	graceForAnswers = 500 * time.Millisecond
	graceForStreams = 2 * time.Second
)

// Validate checks the flags, and returns an error for the user.
func (s serveCommand) Validate() error {
	switch u := s.URL; {
	case u != nil && !isWebAddress(u):
		return fmt.Errorf("--url must be an address like https://slipway.example.com, not %q", u)
	case u != nil && u.Path != "" && u.Path != "/":
		return fmt.Errorf("--url must have no path: %q", u)
	case !isSupport(s.SupportURL):
		return fmt.Errorf("--support-url must be an address like https://help.example.com or mailto:help@example.com, not %q", s.SupportURL)
	case s.LeftoverAge < 0:
		return errors.New("--leftover-age must not be negative")
	case s.MaxConnections < minConnections:
		return fmt.Errorf("--max-connections must be at least %d", minConnections)
	case s.ApplyTimeout <= 0:
		return errors.New("--apply-timeout must be more than nothing")
	case s.MaxFiles < 1 || s.MaxFiles > archive.MaxFiles:
		return fmt.Errorf("--max-files must be from 1 to %d", archive.MaxFiles)
	case int64(s.MaxUnpacked) > archive.MaxUnpacked:
		return fmt.Errorf("--max-unpacked must be at most %d TiB", archive.MaxUnpacked>>40)
	}
	return nil
}

// isWebAddress reports whether a flag names a web page.
func isWebAddress(u *url.URL) bool {
	shown := *u
	shown.User = nil // of a proxy in front: not for pages
	text, err := slipway.CheckURL(shown.String())
	return err == nil && text != ""
}

// isSupport reports whether text is "", or the address of a page or mailbox.
func isSupport(text string) bool {
	if box, ok := strings.CutPrefix(text, "mailto:"); ok {
		box, _, _ = strings.Cut(box, "?") // a subject
		at, err := mail.ParseAddress(box)
		return err == nil && at.Address == box
	}
	_, err := slipway.CheckURL(text)
	return err == nil
}

// Run is the command.
func (s serveCommand) Run(ctx context.Context, c console) error {
	log := slog.New(logHandler(c.err, s.LogFormat))
	d, err := s.own(ctx, s.asideFlag, c.out)
	if err != nil {
		return err
	}
	defer d.Close()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", s.Listen, err)
	}
	defer listener.Close() // the server usually closed the listener already
	if s.URL != nil && s.URL.Scheme == "https" && len(s.TrustedProxies) == 0 {
		log.Warn("--url is an address of a proxy, and --trusted-proxies names none: all people behind the proxy share the limits of one network")
	}
	limits := connectionLimits(s.MaxConnections, s.TrustedProxies)
	door := inbound.NewListener(listener, limits, log)
	engine, err := s.openEngine(ctx, d, listener.Addr(), log)
	if err != nil {
		return err
	}
	secret, err := setupSecret(ctx, d.store)
	if err != nil {
		return err
	}
	cfg := s.webConfig(secret)
	cfg.FromNetwork = limits.FromNetwork
	if cfg.Releases, err = s.releases(); err != nil {
		return err
	}
	pages, err := web.New(d.store, engine, cfg, log)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := serveUntil(ctx, "metrics", s.MetricsListen, "/metrics", pages.Metrics(), log); err != nil {
		return err
	}
	err = s.serve(ctx, c, door, newHTTPServer(pages.Handler(), log), engine, secret, log)
	if bad := d.countRound(context.WithoutCancel(ctx)); bad != nil { // without the count, a copy made before the stop is not recognized as older
		log.Error("count the stop", slog.Any("error", bad))
	}
	return err
}

// serve runs server and engine until ctx ends or one of the two fails, and
// returns after both have finished.
func (s serveCommand) serve(ctx context.Context, c console, l net.Listener, server *httpServer, engine *deploy.Engine, secret string, log *slog.Logger) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stop(engine.Run(ctx, s.embeddedAgent(log)))
	}()
	go func() { stop(server.serve(l)) }()
	if waitReady(ctx, engine) {
		s.greet(c.out, l.Addr(), secret)
	}
	<-ctx.Done()
	err := server.stop()
	<-ended
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	return err
}

// embeddedAgent returns a function running the embedded agent for one Deployment.
func (s serveCommand) embeddedAgent(log *slog.Logger) deploy.Runner {
	return func(ctx context.Context, d slipway.Deployment, dir string, p *deploy.AgentPortal) error {
		return agent.New(agent.Config{
			Dir: dir, Component: slipway.EmbeddedComponent, Portal: p, Log: log.With("deployment", d.Namespace),
			Reserve: int64(s.Reserve) / mountReserve,
		}).Run(ctx)
	}
}

// mountReserve divides the disk reserve for the embedded agent: mounting may
// use more of the disk than uploads, so accepted uploads can be mounted.
const mountReserve = 4

// waitReady waits for the engine, and reports false if ctx ended before.
func waitReady(ctx context.Context, engine *deploy.Engine) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if engine.Ready() == nil {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// greet prints the portal's address and, for an empty installation, the link
// for the first setup. One write prints both: a reader of the first line can
// read the second.
func (s serveCommand) greet(out io.Writer, at net.Addr, secret string) {
	base := s.base(at)
	text := fmt.Sprintf("Slipway %s is ready on %s\n", programVersion(), base)
	if secret != "" {
		text += fmt.Sprintf("Set up the first account, Workspace and Deployment here, once: %s/setup/%s\n", base, secret)
	}
	fmt.Fprint(out, text)
}

// base returns the portal's address: --url, or an address for this machine.
func (s serveCommand) base(at net.Addr) string {
	if s.URL != nil {
		return s.URL.Scheme + "://" + s.URL.Host
	}
	host, _, err := net.SplitHostPort(s.Listen)
	_, port, portErr := net.SplitHostPort(at.String())
	if err != nil || portErr != nil {
		return "http://" + at.String()
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// setupSecret returns a new secret for the link of the first setup, or "" if an
// account exists.
func setupSecret(ctx context.Context, st *store.Store) (secret string, err error) {
	err = st.View(ctx, func(tx *store.Tx) error {
		n, err := tx.CountUsers()
		if err != nil {
			return err
		}
		if n == 0 {
			secret = rand.Text()
		}
		return nil
	})
	return secret, err
}

// logHandler returns a handler for logs in the format "json" or "text".
func logHandler(w io.Writer, format string) slog.Handler {
	if format == "json" {
		return slog.NewJSONHandler(w, nil)
	}
	return slog.NewTextHandler(w, nil)
}

// engineConfig returns the engine's configuration by the flags, without images.
func (s serveCommand) engineConfig(dir string) deploy.Config {
	limits := archive.DefaultLimits()
	limits.Archive, limits.Unpacked, limits.Files = int64(s.MaxArchive), int64(s.MaxUnpacked), s.MaxFiles
	return deploy.Config{
		Dir: dir, Limits: limits, Reserve: int64(s.Reserve), MountTimeout: s.MountTimeout, Agent: programVersion(),
		RetainEvery: s.RetainEvery, LeftoverAge: s.LeftoverAge, Gather: s.AgentWait,
		MaxImage: int64(s.MaxImage), ApplyCommands: s.ApplyCommands, ApplyTimeout: s.ApplyTimeout,
	}
}

// webConfig returns the configuration of the pages by the flags.
func (s serveCommand) webConfig(secret string) web.Config {
	return web.Config{
		URL: s.URL, SupportURL: s.SupportURL, TrustedProxies: s.TrustedProxies,
		Version: programVersion(), SetupSecret: secret,
	}
}

// releases reads the releases of --runtime-releases, if set.
func (s serveCommand) releases() ([]slipway.Release, error) {
	if s.RuntimeReleases == "" {
		return nil, nil
	}
	text, err := os.ReadFile(s.RuntimeReleases)
	if err != nil {
		return nil, fmt.Errorf("read --runtime-releases: %w", err)
	}
	all, err := slipway.ParseReleases(string(text))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.RuntimeReleases, err)
	}
	return all, nil
}

// httpServer is an http.Server with a way to end long requests.
type httpServer struct {
	http.Server
	cancel context.CancelFunc // cancels the context of every request
}

// newHTTPServer returns a server with the limits above.
func newHTTPServer(h http.Handler, log *slog.Logger) *httpServer {
	ctx, cancel := context.WithCancel(context.Background())
	s := &httpServer{cancel: cancel, Server: http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
	inbound.Guard(&s.Server, inbound.Wait)
	return s
}

// serve serves requests on l until stop.
func (s *httpServer) serve(l net.Listener) error {
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// stop refuses new requests, waits for short ones, ends event streams, and
// interrupts uploads. Clients resume interrupted uploads later.
func (s *httpServer) stop() error {
	if s.shutdown(graceForAnswers) == nil {
		s.cancel()
		return nil
	}
	s.cancel()
	if s.shutdown(graceForStreams) == nil {
		return nil
	}
	return s.Close()
}

// shutdown waits for requests in progress, at most for the given time.
func (s *httpServer) shutdown(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return s.Shutdown(ctx)
}

// serveUntil serves h on address until ctx ends, and logs the URL of path under
// name. Without an address, nothing is served.
func serveUntil(ctx context.Context, name, address, path string, h http.Handler, log *slog.Logger) error {
	if address == "" {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	log.Info(name, "address", "http://"+l.Addr().String()+path)
	server := newHTTPServer(h, log)
	context.AfterFunc(ctx, func() {
		server.cancel()
		_ = server.Close() // closes the remaining connections
	})
	go func() {
		if err := server.serve(inbound.NewListener(l, connectionLimits(maxOther, nil), log)); err != nil {
			log.Error(name, "error", err)
		}
	}()
	return nil
}
