package web

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/views"
	"slipway/web/api"
)

// Keys of values in the context of a request.
const (
	requestIDKey = "request-id"
	errorKey     = "error"
)

// maxForm is the most bytes in a form without files.
const maxForm = 1 << 20

// contentPolicy lets a page load only files of the portal. Handlers of uploaded
// files set a stricter policy.
const contentPolicy = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"

// requestID returns the id of the request, shown in the log and on the failure
// page.
func requestID(c echo.Context) string {
	id, _ := c.Get(requestIDKey).(string)
	return id
}

// logged gives each request an id, and logs one line after the answer, with the
// error if the request failed.
func (s *Server) logged(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Set(requestIDKey, rand.Text()[:12])
		c.Response().Header().Set(echo.HeaderXRequestID, requestID(c))
		start := s.store.Now()
		if err := next(c); err != nil {
			c.Error(err)
		}
		level, attrs := slog.LevelInfo, []any{
			"request", requestID(c), "method", c.Request().Method, "path", pathForLog(c), "status", c.Response().Status,
			"bytes", c.Response().Size, "took", s.store.Now().Sub(start), "ip", c.RealIP(), "user", string(cmp.Or(userOf(c).ID, api.Caller(c).User)),
		}
		if id := api.Caller(c).Token; id != "" {
			attrs = append(attrs, "token", string(id))
		}
		if err, ok := c.Get(errorKey).(error); ok {
			attrs = append(attrs, "err", err)
			if c.Response().Status >= http.StatusInternalServerError {
				level = slog.LevelError
			}
		} else if strings.HasPrefix(c.Path(), agentsPath) {
			level = slog.LevelDebug // agents poll all day
		}
		s.log.Log(c.Request().Context(), level, "request", attrs...)
		return nil
	}
}

// pathForLog returns the path of a request, or the route's pattern for a path
// with a secret.
func pathForLog(c echo.Context) string {
	if strings.Contains(c.Path(), ":secret") || strings.Contains(c.Path(), ":upload") {
		return c.Path()
	}
	return c.Request().URL.Path
}

// recovered turns a panic into an error, to be answered and logged.
func (s *Server) recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler: // it is compared as net/http does
				panic(p)
			default:
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		return next(c)
	}
}

// secured sets the headers against other sites, and refuses forms sent from
// other sites.
func (s *Server) secured(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if s.cookies.Secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if err := s.origin.Check(c.Request()); err != nil {
			return errors.Join(s.otherSite(), err)
		}
		return next(c)
	}
}

// otherSite is the refusal of a form from another site. Without --url, the own
// page counts as another site where a proxy changes the name of the host.
func (s *Server) otherSite() error {
	if s.cfg.URL == nil {
		return slipway.Errorf(slipway.Forbidden, views.OtherSite+" "+views.PerhapsProxy)
	}
	return slipway.Errorf(slipway.Forbidden, views.OtherSiteThan, s.cfg.URL.Scheme+"://"+s.cfg.URL.Host)
}

// readForm reads the form of a request before the handler starts, and refuses a
// broken form or one above maxForm.
func readForm(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		r.Body = http.MaxBytesReader(c.Response(), r.Body, maxForm)
		var err error
		if strings.HasPrefix(r.Header.Get(echo.HeaderContentType), echo.MIMEMultipartForm) {
			err = r.ParseMultipartForm(maxForm)
		} else {
			err = r.ParseForm()
		}
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); err != nil && !tooLarge {
			return errors.Join(slipway.Errorf(slipway.Invalid, views.FormUnread), err)
		}
		if err != nil {
			return fmt.Errorf("read form: %w", err)
		}
		return next(c)
	}
}

// schemeExtractor returns the scheme that the client uses: that of the connection,
// or of X-Forwarded-Proto if the sender is in proxies.
func schemeExtractor(proxies []netip.Prefix) func(*http.Request) string {
	return func(r *http.Request) string {
		if r.TLS != nil || isTrusted(proxies, peerOf(r)) && strings.EqualFold(r.Header.Get(echo.HeaderXForwardedProto), "https") {
			return "https"
		}
		return "http"
	}
}

// ipExtractor reads the client's address from X-Forwarded-For, as far as the
// senders are in proxies. Without proxies the header is ignored.
func ipExtractor(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		trust = append(trust, echo.TrustIPRange(&net.IPNet{
			IP: p.Masked().Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(trust...)
}
