package api_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"slipway/internal/slipway"
	"slipway/web/api"
)

// spec is the description of the API, checked.
var spec = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	for _, schema := range doc.Components.Schemas {
		if v := schema.Value; len(v.Properties) > 0 && v.AdditionalProperties.Schema == nil {
			v.AdditionalProperties.Has = new(bool) // false: a field that the description forgets fails a test
		}
	}
	return doc, doc.Validate(context.Background())
})

func description(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := spec()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// operations are those of the description: "GET /v1/organizations/:org".
func operations(doc *openapi3.T) (all []string) {
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			all = append(all, method+" "+strings.NewReplacer("{", ":", "}", "").Replace(path))
		}
	}
	return all
}

// TestEveryRouteIsDescribed: and nothing else is.
func TestEveryRouteIsDescribed(t *testing.T) {
	described, routes := operations(description(t)), api.Operations()
	for _, r := range routes {
		if !slices.Contains(described, r) {
			t.Errorf("openapi.yaml does not have %s", r)
		}
	}
	for _, d := range described {
		if !slices.Contains(routes, d) {
			t.Errorf("openapi.yaml has %s, which is no route", d)
		}
	}
	if len(routes) < 25 {
		t.Errorf("only %d routes", len(routes))
	}
}

// TestEveryFieldOfARequestIsDescribed: and the description has no other field.
func TestEveryFieldOfARequestIsDescribed(t *testing.T) {
	for schema, body := range api.Bodies {
		described := description(t).Components.Schemas[schema].Value.Properties
		read := map[string]bool{}
		for _, f := range reflect.VisibleFields(body) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if read[name] = true; described[name] == nil {
				t.Errorf("openapi.yaml does not have the field %q of %s", name, schema)
			}
		}
		for name := range described {
			if !read[name] {
				t.Errorf("openapi.yaml has the field %s of %s, which is not read", name, schema)
			}
		}
	}
	change := description(t).Components.Schemas["DeploymentChange"].Value.Properties
	for name := range description(t).Components.Schemas["NewDeployment"].Value.Properties {
		if name != "isMountedHere" && change[name] == nil {
			t.Errorf("DeploymentChange lacks the field %s of NewDeployment", name)
		}
	}
}

// checkDescribed fails the test unless the answer to a request of the API is
// one that the description foresees. What has no route is none of its affair.
func checkDescribed(t *testing.T, r *http.Request, w answer) {
	t.Helper()
	path, item := describedPath(description(t), r)
	if item == nil || item.GetOperation(r.Method) == nil {
		return
	}
	options := &openapi3filter.Options{
		ExcludeResponseBody:   !strings.Contains(w.header.Get("Content-Type"), "json"),
		IncludeResponseStatus: true,
	}
	err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: r, Options: options,
			Route: &routers.Route{Spec: description(t), Path: path, PathItem: item, Method: r.Method, Operation: item.GetOperation(r.Method)},
		},
		Status: w.status, Header: w.header, Body: io.NopCloser(strings.NewReader(w.text)), Options: options,
	})
	if err != nil {
		t.Errorf("%s %s: the answer is not as openapi.yaml has it: %v", r.Method, path, err)
	}
}

// describedPath returns the path of the description that a request is for: of
// those that fit, the one with the fewest parameters.
func describedPath(doc *openapi3.T, r *http.Request) (path string, item *openapi3.PathItem) {
	for p, i := range doc.Paths.Map() {
		fits := i.GetOperation(r.Method) != nil && slices.EqualFunc(strings.Split(p, "/"), strings.Split(r.URL.Path, "/"), func(want, got string) bool {
			return want == got || strings.HasPrefix(want, "{") && got != ""
		})
		if fits && (item == nil || strings.Count(p, "{") < strings.Count(path, "{")) {
			path, item = p, i
		}
	}
	return path, item
}

// TestCheckDescribed: the check of all other tests can fail.
func TestCheckDescribed(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://x/v1/organizations", nil)
	if err != nil {
		t.Fatal(err)
	}
	path, item := describedPath(description(t), r)
	for text, fits := range map[string]bool{
		`{"organizations":[{"id":"o","name":"n","product":"HOSTED"}],"totalCount":1}`:          true,
		`{"organizations":[{"id":"o","name":"n"}],"totalCount":1}`:                             false,
		`{"organizations":[],"totalCount":"1"}`:                                                false,
		`{"organizations":[{"id":"o","name":"n","product":"HOSTED","more":1}],"totalCount":1}`: false, // a field that is not described
	} {
		options := &openapi3filter.Options{IncludeResponseStatus: true}
		err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
			RequestValidationInput: &openapi3filter.RequestValidationInput{
				Request: r, Options: options, Route: &routers.Route{Spec: description(t), Path: path, PathItem: item, Method: "GET", Operation: item.Get},
			},
			Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader([]byte(text))), Options: options,
		})
		if (err == nil) != fits {
			t.Errorf("%s: %v, want it to fit: %v", text, err, fits)
		}
	}
}

// TestSpec: "astro api cloud" finds the operations by the description at its own address,
// and reaches them at the server that the description names.
func TestSpec(t *testing.T) {
	a := newApp(t)
	w := a.send(t, "", "GET", "/spec/v1.0", "")
	if w.status != http.StatusOK || !strings.HasPrefix(w.header.Get("Content-Type"), "application/json") {
		t.Fatalf("answer %d as %q", w.status, w.header.Get("Content-Type"))
	}
	doc, err := openapi3.NewLoader().LoadFromData([]byte(w.text))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(doc.Servers) != 1 || doc.Servers[0].URL != a.server.URL+"/v1" {
		t.Fatalf("servers: %v", doc.Servers)
	}
	var below int
	for _, r := range operations(description(t)) {
		if strings.Contains(r, " /v1/") {
			below++
		}
	}
	if got := len(operations(doc)); got != below || got < 20 {
		t.Errorf("%d operations, want %d", got, below)
	}
	list := doc.Paths.Value("/organizations/{organizationId}/deployments")
	if list == nil || list.Get == nil || list.Get.OperationID != "listDeployments" || list.Get.Parameters.GetByInAndName("path", "organizationId") == nil {
		t.Fatalf("no operation listDeployments in %v", operations(doc))
	}
	wantOK(t, a.send(t, a.owner, "GET", strings.TrimPrefix(doc.Servers[0].URL, a.server.URL)+"/organizations/slipway/deployments", ""))
}

func TestDocsPage(t *testing.T) {
	a := newApp(t)
	w := a.send(t, "", "GET", "/v1/docs", "")
	if w.status != http.StatusOK || !strings.HasPrefix(w.header.Get("Content-Type"), "text/html") {
		t.Fatalf("answer %d as %q:\n%s", w.status, w.header.Get("Content-Type"), w.text)
	}
	if got, want := strings.Count(w.text, `data-testid="operation"`), len(operations(description(t))); got != want {
		t.Errorf("the page has %d operations, want %d", got, want)
	}
	for _, part := range []string{"/v1/organizations/{org}/deployments/{deployment}/deploys/upload", "Idempotency-Key", "tokenExpiryPeriodInDays", "DAG_ONLY | IMAGE_ONLY", "multipart/form-data"} {
		if !strings.Contains(w.text, part) {
			t.Errorf("the page does not have %q", part)
		}
	}
	if w := a.send(t, "", "GET", "/v1/openapi.yaml", ""); w.status != http.StatusOK || !strings.HasPrefix(w.text, "openapi: 3.1.0\n") {
		t.Errorf("answer %d:\n%.80s", w.status, w.text)
	}
	if slipway.OrganizationID != "slipway" {
		t.Error("openapi.yaml names another Organization")
	}
}
