package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"slipway/web/api"
)

// hole is a blank before a sign, two blanks, or quotes around nothing: a sentence without a word.
var hole = regexp.MustCompile(`\S {2,}\S|\S [.,;:!?)](\s|$)|\( |""|“”|\(\)|%!`)

// TestNoSentenceHasAHole sends blank values to every operation: as each part of the
// address, each parameter and each field.
func TestNoSentenceHasAHole(t *testing.T) {
	a := newApp(t)
	d := a.start(t)
	admin := a.login(t, a.Root.User)
	good := map[string]string{
		":org": "slipway", ":deployment": string(a.Sales.ID), ":workspace": string(a.Workspace.ID), ":deploy": d.id, ":token": "t", ":upload": "u",
	}
	asked := 0
	for _, operation := range api.Operations() {
		method, route, _ := strings.Cut(operation, " ")
		for _, blank := range []string{"", " \t"} {
			for _, r := range blanks(description(t), method, route, good, blank) {
				asked++
				w := a.send(t, admin, method, r.path, r.body)
				message, _ := w.body["message"].(string)
				if found := hole.FindString(message); found != "" {
					t.Errorf("%s %s with %s: answer %d with a hole, %q: %s", method, r.path, r.body, w.status, found, message)
				}
			}
		}
	}
	if asked < 200 {
		t.Errorf("only %d requests", asked)
	}
}

// blankRequest is a request with blank values.
type blankRequest struct{ path, body string }

// blanks are requests of an operation in which the text blank is a part of the address,
// a parameter or a field.
func blanks(doc *openapi3.T, method, route string, good map[string]string, blank string) (list []blankRequest) {
	fill := func(with map[string]string) string {
		parts := strings.Split(route, "/")
		for i, part := range parts {
			if value, ok := with[part]; ok {
				parts[i] = url.PathEscape(value)
			}
		}
		return strings.Join(parts, "/")
	}
	parts := strings.Split(route, "/")
	for name := range good {
		if slices.Contains(parts, name) {
			one := maps.Clone(good)
			one[name] = blank
			list = append(list, blankRequest{fill(one), ""})
		}
	}
	if method == http.MethodDelete {
		return list
	}
	for i, part := range parts {
		if strings.HasPrefix(part, ":") {
			parts[i] = "{" + part[1:] + "}"
		}
	}
	path, op := fill(good), doc.Paths.Value(strings.Join(parts, "/")).GetOperation(method)
	for _, p := range op.Parameters {
		list = append(list, blankRequest{path + "?" + url.Values{p.Value.Name: {blank}}.Encode(), ""})
	}
	list = append(list, blankRequest{path + "?" + url.Values{blank: {blank}}.Encode(), ""})
	fields := map[string]any{}
	if op.RequestBody != nil {
		for _, content := range op.RequestBody.Value.Content {
			for name := range content.Schema.Value.Properties {
				fields[name] = blank
				list = append(list, blankRequest{path, object(map[string]any{name: blank})})
			}
		}
	}
	return append(list, blankRequest{path, object(fields)}, blankRequest{path, object(map[string]any{blank: blank})})
}

func object(fields map[string]any) string {
	b, err := json.Marshal(fields)
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(b)
}
