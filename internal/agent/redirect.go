package agent

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"slipway/internal/slipway"
)

// protocolPath begins the path of every request below the portal's address.
const protocolPath = "/agent/v1/"

// movedError is a redirect of a request for the portal itself: another request
// to the same address ends alike.
type movedError struct{ text error }

func (e *movedError) Error() string { return e.text.Error() }
func (e *movedError) Unwrap() error { return e.text }

// maxRedirects is how often one download may be sent on.
const maxRedirects = 4

// followToBucket is the http.Client's CheckRedirect. The portal itself redirects
// with status 307 only, and only from packs and manifests to a bucket; the
// address there is signed, and gets no token. Every other redirect comes from
// something in front of the portal or in its place, and is an error that names
// the target: another method, or a request without its token, would be refused
// there with a misleading sentence.
func (r *Remote) followToBucket(req *http.Request, via []*http.Request) error {
	from, to := via[len(via)-1].URL, req.URL
	if len(via) == 1 && !toBucket(from, req) {
		return &movedError{moved(r.cfg.URL, from, to)}
	}
	switch {
	case from.Scheme == "https" && to.Scheme != "https":
		return errors.New("the portal sends from https to an address without encryption")
	case len(via) > maxRedirects:
		return errors.New("the portal sends from one address to the next")
	}
	req.Header.Del("Authorization")
	return nil
}

// toBucket reports whether the portal has redirected a request from an address
// to a bucket.
func toBucket(from *url.URL, req *http.Request) bool {
	_, asked, _ := strings.Cut(from.Path, protocolPath)
	isFile := strings.HasPrefix(asked, "packs/") || strings.HasPrefix(asked, "manifests/")
	return isFile && req.Response != nil && req.Response.StatusCode == http.StatusTemporaryRedirect &&
		!strings.HasSuffix(strings.TrimSuffix(req.URL.Path, "/"), protocolPath+asked)
}

// moved tells people where requests for the portal are redirected, and which
// address to use instead.
func moved(portal, from, to *url.URL) error {
	at, target := shown(portal), shown(to)
	_, asked, _ := strings.Cut(from.Path, protocolPath)
	base, same := strings.CutSuffix(strings.TrimSuffix(target, "/"), protocolPath+asked)
	var text string
	switch {
	case from.Scheme == "https" && to.Scheme != "https":
		text = "agents do not follow to an address without encryption. Let the proxy there serve " + protocolPath + " itself"
	case same && base == at:
		text = "that is the same address again. Mend the redirect in the proxy there"
	case same:
		text = "start the agent with --portal " + base
	case to.Host == portal.Host:
		text = "no agent is answered there. Let the proxy there pass " + protocolPath + " on to the portal"
	default:
		text = "if the portal is there now, start the agent with --portal " + to.Scheme + "://" + to.Host + "; if people sign in there, let " + protocolPath + " pass without"
	}
	return slipway.Errorf(slipway.Conflict, "The portal's address %s redirects to %s: %s.", at, target, text)
}

// maxShown is how many bytes of an address are shown.
const maxShown = 200

// shown returns an address without its query and without a password.
func shown(u *url.URL) string {
	short := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	text := strings.TrimSuffix(short.String(), "/")
	if len(text) > maxShown {
		text = text[:maxShown] + "…"
	}
	return text
}
