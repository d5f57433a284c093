package image

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/distribution/distribution/v3/registry/auth"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
)

// Authorizer stands before the registry and is asked at every request.
type Authorizer struct {
	// Realm returns the address of the token endpoint.
	Realm func(*http.Request) string

	// Admit returns nil if bearer allows all of wants; without wants, if bearer is valid. A
	// refusal is a *slipway.Error.
	Admit func(r *http.Request, bearer string, wants []Access) error

	// Account returns where the bytes count that the sender of a request pushes to a
	// repository. nil: nowhere.
	Account func(r *http.Request, bearer, repository string) (Account, error)
}

// Account counts the bytes of one sender. The zero Account counts nothing.
type Account struct {
	Take   func(bytes int64) error // before bytes are written; a refusal is a *slipway.Error
	Return func(bytes int64)       // bytes that were not written, or not kept
}

// counts reports whether a is not zero.
func (a Account) counts() bool { return a.Take != nil }

// Access is an action of a request on a repository.
type Access struct {
	Repository string
	Action     Action
}

// Action is an action on a repository.
type Action string

// The actions.
const (
	Pulling  Action = "pull"
	Pushing  Action = "push"
	Deleting Action = "delete"
)

// registryName is the name of our driver and access controller in
// distribution's registries.
const registryName = "slipway"

// register registers both, once for each process.
var register = sync.OnceFunc(func() {
	factory.Register(registryName, driverFactory{})
	err := auth.Register(registryName, func(options map[string]any) (auth.AccessController, error) {
		c, ok := options["controller"].(auth.AccessController)
		if !ok {
			return nil, fmt.Errorf("no controller")
		}
		return c, nil
	})
	if err != nil {
		panic(err) // the name is ours alone
	}
	redirectLogs()
})

type driverFactory struct{}

// Create implements factory.StorageDriverFactory.
func (driverFactory) Create(_ context.Context, parameters map[string]any) (storagedriver.StorageDriver, error) {
	d, ok := parameters["driver"].(*driver)
	if !ok {
		return nil, fmt.Errorf("no driver")
	}
	return d, nil
}

// target is the object of a request.
type target struct {
	repository string
	reference  string // tag or digest
	manifest   bool   // else a blob, an upload or a list
	blob       bool
}

// targetOf parses the path of a request as distribution does. A repository's
// name may contain the words blobs and manifests, so the last one counts.
func targetOf(path string) target {
	name, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return target{}
	}
	if i := strings.LastIndex(name, "/manifests/"); i > 0 && !strings.Contains(name[i+len("/manifests/"):], "/") {
		return target{repository: name[:i], reference: name[i+len("/manifests/"):], manifest: true}
	}
	if i := strings.LastIndex(name, "/blobs/"); i > 0 {
		rest := name[i+len("/blobs/"):]
		return target{repository: name[:i], reference: rest, blob: !strings.HasPrefix(rest, "uploads/")}
	}
	return target{}
}

// withoutForbiddenMount turns a mount from a repository without pull right
// into an upload. Clients expect an upload also where the mount's source is
// missing.
func withoutForbiddenMount(r *http.Request, authorizer Authorizer) *http.Request {
	query := r.URL.Query()
	from := query.Get("from")
	if r.Method != http.MethodPost || from == "" || authorizer.Admit(r, bearerOf(r), []Access{{from, Pulling}}) == nil {
		return r
	}
	query.Del("from")
	query.Del("mount")
	plain := r.Clone(r.Context())
	plain.URL = &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: query.Encode()}
	return plain
}

// bearerOf returns the bearer of a request, "" without.
func bearerOf(r *http.Request) string {
	scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(bearer)
}
