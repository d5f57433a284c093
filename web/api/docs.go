package api

import (
	_ "embed" // for openAPI
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"
	"go.yaml.in/yaml/v3"

	"slipway/views"
)

// openAPI is the OpenAPI description of the API.
//
//go:embed openapi.yaml
var openAPI []byte

// showOpenAPI serves GET /v1/openapi.yaml.
func showOpenAPI(c echo.Context) error { return c.Blob(http.StatusOK, "application/yaml", openAPI) }

// specNames are the names of Astro's API for the parts of an address. The astro CLI
// fills organizationId and workspaceId in by itself.
var specNames = map[string]string{
	"org": "organizationId", "workspace": "workspaceId", "deployment": "deploymentId", "deploy": "deployId", "token": "tokenId",
}

// specPaths returns the operations below /v1 of the description, for a server
// whose address ends in /v1.
var specPaths = sync.OnceValues(func() (object, error) {
	var doc map[string]any
	if err := yaml.Unmarshal(openAPI, &doc); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	paths, ok := doc["paths"].(map[string]any)
	if !ok {
		return nil, errors.New("openapi.yaml has no paths")
	}
	short := object{}
	for path, item := range paths {
		if path, below := strings.CutPrefix(path, "/v1/"); below {
			for ours, name := range specNames {
				path = strings.ReplaceAll(path, "{"+ours+"}", "{"+name+"}")
			}
			short["/"+path] = item
		}
	}
	renamePathParameters(doc)
	doc["paths"] = short
	return doc, nil
})

// renamePathParameters gives the parameters in addresses the names of specNames.
func renamePathParameters(v any) {
	switch v := v.(type) {
	case map[string]any:
		if name, ok := v["name"].(string); ok && v["in"] == "path" && specNames[name] != "" {
			v["name"] = specNames[name]
		}
		for _, part := range v {
			renamePathParameters(part)
		}
	case []any:
		for _, part := range v {
			renamePathParameters(part)
		}
	}
}

// showSpec serves GET /spec/v1.0: the description in JSON, for "astro api cloud",
// which adds the paths in it to an address that ends in /v1.
func (d *docs) showSpec(c echo.Context) error {
	doc, err := specPaths()
	if err != nil {
		return err
	}
	doc = maps.Clone(doc)
	doc["servers"] = []object{{"url": d.portalURL(c) + "/v1"}}
	return ok(c, doc)
}

// docsPage makes the page of the API from the description, once.
var docsPage = sync.OnceValues(func() (views.APIDocs, error) {
	var s spec
	if err := yaml.Unmarshal(openAPI, &s); err != nil {
		return views.APIDocs{}, fmt.Errorf("openapi.yaml: %w", err)
	}
	return s.page()
})

// docs serves the description of the API, as YAML and as a page.
type docs struct {
	*core
}

// showDocs serves GET /v1/docs: the description as a page.
func (d *docs) showDocs(c echo.Context) error {
	page, err := docsPage()
	if err != nil {
		return err
	}
	return d.cfg.ShowDocs(c, page)
}

// spec is the part of an OpenAPI description for the page.
type spec struct {
	Info       struct{ Title, Description string }
	Tags       []struct{ Name string }
	Paths      yaml.Node
	Components struct {
		Parameters map[string]parameter
		Schemas    yaml.Node
	}
}

// parameter is a parameter of an operation, or a reference to one.
type parameter struct {
	Ref                   string `yaml:"$ref"`
	Name, In, Description string
	Required              bool
	Schema                schema
}

// schema is the type of a value, or a reference to one.
type schema struct {
	Ref         string `yaml:"$ref"`
	Type        any
	Items       *schema
	Enum        []string
	Description string
	Required    []string
	Properties  yaml.Node
}

// specOperation is an operation in an OpenAPI description.
type specOperation struct {
	Summary, Description string
	Tags                 []string
	Security             *[]any
	Parameters           []parameter
	RequestBody          struct {
		Content map[string]struct{ Schema schema }
	} `yaml:"requestBody"`
	Responses map[string]struct {
		Description string
		Content     map[string]struct{ Schema schema }
	}
}

// pair is an entry of a YAML mapping. A slice of pairs keeps the order of the
// file; a Go map would not.
type pair[T any] struct {
	key   string
	value T
}

// pairs decodes the entries of a YAML mapping, in order.
func pairs[T any](n yaml.Node) (all []pair[T], err error) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		p := pair[T]{key: n.Content[i].Value}
		if err := n.Content[i+1].Decode(&p.value); err != nil {
			return nil, fmt.Errorf("openapi.yaml: %s: %w", p.key, err)
		}
		all = append(all, p)
	}
	return all, nil
}

// page returns the operations by tag, and the schemas, in the order of the file.
// An operation without a known tag is an error.
func (s spec) page() (views.APIDocs, error) {
	p := views.APIDocs{Title: s.Info.Title, Text: s.Info.Description}
	for _, t := range s.Tags {
		p.Groups = append(p.Groups, views.APIGroup{Name: t.Name})
	}
	paths, err := pairs[yaml.Node](s.Paths)
	if err != nil {
		return p, err
	}
	for _, path := range paths {
		operations, err := pairs[specOperation](path.value)
		if err != nil {
			return p, err
		}
		for _, o := range operations {
			i := slices.IndexFunc(p.Groups, func(g views.APIGroup) bool { return slices.Contains(o.value.Tags, g.Name) })
			if i < 0 {
				return p, fmt.Errorf("openapi.yaml: %s %s has no tag that is known", o.key, path.key)
			}
			op, err := s.operation(strings.ToUpper(o.key), path.key, o.value)
			if err != nil {
				return p, err
			}
			p.Groups[i].Operations = append(p.Groups[i].Operations, op)
		}
	}
	schemas, err := pairs[schema](s.Components.Schemas)
	if err != nil {
		return p, err
	}
	for _, o := range schemas {
		fields, err := o.value.fields()
		if err != nil {
			return p, err
		}
		p.Schemas = append(p.Schemas, views.APISchema{Name: o.key, Fields: fields})
	}
	return p, nil
}

// operation returns one operation of the page. References to parameters are
// resolved; references to schemas stay links.
func (s spec) operation(method, path string, o specOperation) (op views.APIOperation, err error) {
	op = views.APIOperation{Method: method, Path: path, Summary: o.Summary, Text: o.Description, Anyone: o.Security != nil}
	for _, p := range o.Parameters {
		if p.Ref != "" {
			p = s.Components.Parameters[refName(p.Ref)]
		}
		op.Parameters = append(op.Parameters, views.APIField{Name: p.Name, Where: p.In, Type: p.Schema.typeName(), Required: p.Required, Text: p.Description})
	}
	for _, kind := range slices.Sorted(maps.Keys(o.RequestBody.Content)) {
		m := o.RequestBody.Content[kind]
		fields, err := m.Schema.fields()
		if err != nil {
			return op, err
		}
		op.Bodies = append(op.Bodies, views.APIBody{Type: kind, Schema: refName(m.Schema.Ref), Text: m.Schema.Description, Fields: fields})
	}
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		r := o.Responses[status]
		a := views.APIBody{Type: status, Text: r.Description}
		for _, m := range r.Content {
			a.Schema = refName(m.Schema.Ref)
		}
		if status != "default" {
			op.Answers = append(op.Answers, a)
		}
	}
	return op, nil
}

// fields returns the properties of an object.
func (o schema) fields() (all []views.APIField, err error) {
	properties, err := pairs[schema](o.Properties)
	if err != nil {
		return nil, err
	}
	for _, p := range properties {
		f := views.APIField{Name: p.key, Type: p.value.typeName(), Required: slices.Contains(o.Required, p.key), Text: p.value.Description}
		all = append(all, f)
	}
	return all, nil
}

// typeName is the type of a value in a word or two, or the name of the schema.
func (o schema) typeName() string {
	switch t := o.Type.(type) {
	case string:
		if o.Items != nil {
			return "list of " + o.Items.typeName()
		}
		if len(o.Enum) > 0 {
			return strings.Join(o.Enum, " | ")
		}
		return t
	case []any:
		return fmt.Sprint(t[0])
	}
	return refName(o.Ref)
}

// refName is the last element of a reference: "Deploy" of
// "#/components/schemas/Deploy".
func refName(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }
