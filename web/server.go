// Package web serves the portal's pages.
package web

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/web/api"
)

// Config is the configuration of the pages, from the command line.
type Config struct {
	URL            *url.URL       // the portal's address for browsers; nil: the address of the request
	SupportURL     string         // page or mailto: address for help; "" for none
	TrustedProxies []netip.Prefix // networks of proxies; X-Forwarded-For of other senders is ignored
	Version        string         // of the running program
	SetupSecret    string         // of the link to set up the first account; "" for none

	FromNetwork int // requests at once of the clients in one network; 0 for any number

	Releases []slipway.Release // Runtime releases beside the embedded ones
}

// Server answers the portal's HTTP requests.
type Server struct {
	store     *store.Store
	engine    *deploy.Engine
	cfg       Config
	log       *slog.Logger
	sessions  *auth.Sessions
	cookies   auth.Cookies
	passwords *auth.Passwords
	signIns   *auth.SignIns
	journal   *auth.Journal
	agents    *auth.Throttle // requests by agent token
	origin    *http.CrossOriginProtection
	metrics   *metrics
	api       *api.Server
	slots     *slots
	liveViews sharedViews // live pages rendered for many readers
	clients   *clients
	unnamed   unnamed
	since     time.Time // of the start

	registryKey []byte // signs the bearers of /v2/token; new at each start
}

// New returns a server of the pages over st and engine.
func New(st *store.Store, engine *deploy.Engine, cfg Config, log *slog.Logger) (*Server, error) {
	origin := http.NewCrossOriginProtection()
	if cfg.URL != nil {
		if err := origin.AddTrustedOrigin(cfg.URL.Scheme + "://" + cfg.URL.Host); err != nil {
			return nil, fmt.Errorf("trust %s: %w", cfg.URL, err)
		}
	}
	for _, pattern := range []string{"/v1/", "/v1alpha1/", "/private/", "/auth/oauth/", "/v2/", agentsPath} {
		origin.AddInsecureBypassPattern(pattern) // authenticated by a token, never by a cookie
	}
	jar := auth.NewCookies(cfg.URL)
	s := &Server{
		since: st.Now(), store: st, engine: engine, cfg: cfg, log: log, origin: origin, metrics: newMetrics(st, engine), slots: newSlots(), clients: newClients(cfg),
		cookies: jar, sessions: &auth.Sessions{Store: st, Cookies: jar},
		passwords: auth.NewPasswords(), signIns: auth.NewSignIns(), journal: auth.NewJournal(),
		registryKey: []byte(rand.Text()),
		agents:      auth.NewThrottle(agentBurst, agentPause),
	}
	s.api = api.New(st, engine, api.Config{URL: cfg.URL, Releases: cfg.Releases, ShowDocs: s.showAPIDocs}, log)
	return s, nil
}

// Handler returns the portal's routes.
func (s *Server) Handler() http.Handler { return s.router() }

// router returns the routes behind the middleware of every request.
func (s *Server) router() *echo.Echo {
	e := echo.New()
	e.HTTPErrorHandler = s.fail
	e.IPExtractor, e.SchemeExtractor = ipExtractor(s.cfg.TrustedProxies), schemeExtractor(s.cfg.TrustedProxies)
	e.Pre(overridden)
	e.Use(withAssets, s.counted, s.logged, s.recovered, s.shared, s.secured)
	s.routes(e)
	return e
}
