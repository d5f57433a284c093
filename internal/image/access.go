package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/distribution/distribution/v3/registry/auth"

	"slipway/internal/slipway"
)

// controller is the registry's access controller: first the Authorizer
// decides, then guard protects tags and images of Slipway.
type controller struct {
	store      *Store
	authorizer Authorizer
}

// Authorized implements auth.AccessController.
func (c *controller) Authorized(r *http.Request, access ...auth.Access) (*auth.Grant, error) {
	var wants []Access
	catalog := false
	for _, a := range access {
		if a.Type == "repository" {
			wants = append(wants, Access{Repository: a.Name, Action: Action(a.Action)})
		} else {
			catalog = true
		}
	}
	bearer := bearerOf(r)
	err := c.authorizer.Admit(r, bearer, wants)
	if err == nil && bufferedBodyOf(r).fill() == nil {
		err = c.authorizer.Admit(r, bearer, wants) // the right may have been withdrawn while the body arrived
	}
	if err != nil && !slipway.Explained(err) {
		return nil, refuse(r, http.StatusServiceUnavailable, "UNAVAILABLE", err)
	}
	if err != nil {
		return nil, challenge{error: err, realm: c.authorizer.Realm(r), wants: wants, known: bearer != ""}
	}
	if catalog { // of all Workspaces
		return nil, refuse(r, http.StatusMethodNotAllowed, "UNSUPPORTED", errNoCatalog)
	}
	if err := c.addAccount(r, bearer, wants); err != nil {
		return nil, refuse(r, http.StatusServiceUnavailable, "UNAVAILABLE", err)
	}
	if err := c.guard(r); err != nil {
		return nil, err
	}
	return &auth.Grant{}, nil
}

// addAccount notes the account of a request that pushes, or cancels a push.
func (c *controller) addAccount(r *http.Request, bearer string, wants []Access) error {
	i := slices.IndexFunc(wants, func(a Access) bool { return a.Action != Pulling })
	answer := responseOf(r.Context())
	if i < 0 || answer == nil || c.authorizer.Account == nil {
		return nil
	}
	account, err := c.authorizer.Account(r, bearer, wants[i].Repository)
	if err == nil {
		answer.account = account
	}
	return err
}

var errNoCatalog = slipway.Errorf(slipway.Invalid, "This registry has no list of all repositories. The page of each Deployment names its own, and /v2/NAME/tags/list has the tags of one.")

// challenge names the token endpoint and the scopes to a client.
type challenge struct {
	error

	realm string
	wants []Access
	known bool // a bearer came, but not a good one
}

// SetHeaders implements auth.Challenge.
func (c challenge) SetHeaders(_ *http.Request, w http.ResponseWriter) {
	text := fmt.Sprintf("Bearer realm=%q,service=%q", c.realm, registryName)
	if len(c.wants) > 0 {
		text += fmt.Sprintf(",scope=%q", scopeOf(c.wants))
	}
	if c.known {
		text += `,error="insufficient_scope"`
	}
	w.Header().Set("WWW-Authenticate", text)
}

// scopeOf returns wants in the form of a challenge:
// "repository:a/b:pull,push".
func scopeOf(wants []Access) string {
	var scopes []string
	for i, a := range wants {
		if i > 0 && wants[i-1].Repository == a.Repository {
			scopes[len(scopes)-1] += "," + string(a.Action)
			continue
		}
		scopes = append(scopes, "repository:"+a.Repository+":"+string(a.Action))
	}
	return strings.Join(scopes, " ")
}

// guard refuses to change tags and images of Slipway, even with the right to
// push. The driver checks again under a lock.
func (c *controller) guard(r *http.Request) error {
	t := targetOf(r.URL.Path)
	changes := r.Method == http.MethodPut || r.Method == http.MethodDelete
	switch {
	case t.blob && r.Method == http.MethodDelete:
		err := slipway.Errorf(slipway.Invalid, "Blobs cannot be deleted by themselves: they go when no image needs them any more.")
		return refuse(r, http.StatusMethodNotAllowed, "UNSUPPORTED", err)
	case r.Method == http.MethodPost: // an upload begins
		if err := c.hasRoom(r); err != nil {
			return refuse(r, http.StatusInsufficientStorage, "DENIED", err) // no client retries after DENIED
		}
		return nil
	case !changes || !t.manifest:
		return nil
	}
	return c.guardManifest(r, t)
}

// hasRoom refuses an upload without any room on the disk, or in the sender's account.
func (c *controller) hasRoom(r *http.Request) error {
	room, share := claims{claim: c.store.cfg.Claim}, shareOf(r.Context())
	defer room.release()
	if err := room.take(1); err != nil {
		return err
	}
	if err := share.take(1); err != nil {
		return err
	}
	share.left++ // nothing is written yet
	share.release()
	return nil
}

func (c *controller) guardManifest(r *http.Request, t target) error {
	if err := c.mayChange(r, t); err != nil {
		if !slipway.Explained(err) {
			return refuse(r, http.StatusServiceUnavailable, "UNAVAILABLE", err)
		}
		return refuse(r, http.StatusBadRequest, "TAG_INVALID", err)
	}
	if err := checkPushed(bufferedBodyOf(r).text()); err != nil && r.Method == http.MethodPut {
		return refuse(r, http.StatusBadRequest, "MANIFEST_INVALID", err)
	}
	return nil
}

// checkPushed refuses manifests of another schema, and foreign layers, which
// are elsewhere. Distribution would answer a fault of its own (500), and
// clients would try again.
func checkPushed(raw []byte) error {
	var m struct {
		Schema int       `json:"schemaVersion"`
		Config foreign   `json:"config"`
		Layers []foreign `json:"layers"`
	}
	if json.Unmarshal(raw, &m) != nil {
		return nil // distribution refuses the manifest
	}
	if m.Schema != 2 {
		return slipway.Errorf(slipway.Invalid, "This manifest has the schema version %d. Push one of version 2, as all current tools do.", m.Schema)
	}
	for _, d := range append(m.Layers, m.Config) {
		if len(d.URLs) > 0 {
			return slipway.Errorf(slipway.Invalid, "The layer %s is not part of the image: it is to be fetched from another address (a foreign layer, as images of Windows have). Push an image with all of its layers.", clipped(d.Digest))
		}
	}
	return nil
}

// foreign is the part of a descriptor with the addresses of a foreign layer.
type foreign struct {
	Digest string   `json:"digest"`
	URLs   []string `json:"urls"`
}

func (c *controller) mayChange(r *http.Request, t target) error {
	if strings.Contains(t.reference, ":") {
		if r.Method != http.MethodDelete {
			return nil
		}
		return c.store.driver.pins.mayDelete(t.repository, t.reference)
	}
	if err := c.store.driver.pins.mayTag(t.repository, t.reference); err != nil {
		return err
	}
	if !Reserved(t.reference) {
		return nil
	}
	if c.store.cfg.MayPush == nil {
		return slipway.Errorf(slipway.Forbidden, "Tags that begin with %q are made by Slipway. Push another one.", reservedPrefix)
	}
	return c.store.cfg.MayPush(r.Context(), t.repository, t.reference)
}

// reservedPrefix begins the tags that Slipway makes.
const reservedPrefix = "deploy-"

// Reserved reports whether only Slipway may make a tag.
func Reserved(tag string) bool { return strings.HasPrefix(tag, reservedPrefix) }

type responseKey struct{}

// response is the response to a request.
type response struct {
	http.ResponseWriter
	status  int
	refusal *refusal
	account Account
}

// responseOf returns the response to the request of a context, nil outside of requests.
func responseOf(ctx context.Context) *response {
	a, _ := ctx.Value(responseKey{}).(*response)
	return a
}

// refusal is an answer of ours where distribution would send an empty one.
type refusal struct {
	error

	status int
	code   string // from the registry API
}

// refuse records an error as the response of the request. Without the record,
// distribution would answer with a challenge.
func refuse(r *http.Request, status int, code string, err error) error {
	why := &refusal{error: err, status: status, code: code}
	if a := responseOf(r.Context()); a != nil {
		a.refusal = why
	}
	return why
}

// Unwrap lets http.ResponseController through.
func (a *response) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Write implements http.ResponseWriter. After a refusal, the answer of distribution is
// left out.
func (a *response) Write(p []byte) (int, error) {
	if a.refusal != nil {
		return len(p), nil
	}
	return a.ResponseWriter.Write(p)
}

// refuseSpace makes err the answer, if err is for people: no room on the disk or in an
// account.
func (a *response) refuseSpace(err error) {
	if a != nil && slipway.Explained(err) {
		a.refusal = &refusal{error: err, status: http.StatusInsufficientStorage, code: "DENIED"}
	}
}

// WriteHeader implements http.ResponseWriter. Distribution calls WriteHeader
// twice in places; the first call counts.
func (a *response) WriteHeader(status int) {
	if a.status >= http.StatusOK {
		return
	}
	if a.refusal == nil {
		a.status = status
		a.ResponseWriter.WriteHeader(status)
		return
	}
	a.status = a.refusal.status
	a.Header().Set("Content-Type", "application/json")
	a.ResponseWriter.WriteHeader(a.status)
	_, text := slipway.Explain(a.refusal.error)
	err := json.NewEncoder(a.ResponseWriter).Encode(map[string]any{"errors": []any{map[string]any{"code": a.refusal.code, "message": text}}})
	if err != nil {
		a.refusal.error = errors.Join(a.refusal.error, err) // the client is gone
	}
}
