package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
)

// maxBody is the limit for the body of a request other than an upload, in bytes.
const maxBody = 1 << 20

// tooLargeText is the answer to a body over limit bytes.
func tooLargeText(limit int64) string {
	return fmt.Sprintf("This request is too large: it may have at most %d KiB.", limit>>10)
}

// object is a JSON object of the API. Some fields are present only with a value.
type object map[string]any

// ok answers with v and status 200, also after a creation: the CLI treats 201
// and 202 as errors.
func ok(c echo.Context, v any) error { return c.JSON(http.StatusOK, v) }

// readBody decodes the JSON body of a request, zero for an empty body. Unknown
// fields are ignored: the CLI sends more than the portal needs.
func readBody[T any](c echo.Context) (v T, err error) {
	body := http.MaxBytesReader(c.Response(), c.Request().Body, maxBody)
	err = json.NewDecoder(body).Decode(&v)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return v, fmt.Errorf("read body: %w", err)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return v, otherJSON(err)
	}
	return v, nil
}

// otherJSON refuses a body that json cannot decode, without words of Go for people.
func otherJSON(err error) error {
	text := strings.TrimPrefix(err.Error(), "json: ")
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		sent, _, _ := strings.Cut(e.Value, " ") // of a number also the digits
		if text = fmt.Sprintf("%s, and not of the kind %s", jsonKind(e.Type), sent); e.Field != "" {
			text = fmt.Sprintf("%s is %s", e.Field, text)
		} else {
			text = "it is " + text
		}
	}
	return errors.Join(slipway.Errorf(slipway.Invalid, "The body of this request is not the JSON that belongs here: %s.", text), err)
}

// jsonKind returns the words for the values in JSON that the type t takes.
func jsonKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Pointer:
		return jsonKind(t.Elem())
	}
	return "a number"
}

// readFields is readBody, and returns all fields of the body as well. The caller
// refuses the fields without an effect.
func readFields[T any](c echo.Context) (v T, fields map[string]json.RawMessage, err error) {
	raw, err := readBody[json.RawMessage](c)
	if err != nil || len(raw) == 0 {
		return v, nil, err
	}
	if err = json.Unmarshal(raw, &fields); err == nil {
		err = json.Unmarshal(raw, &v)
	}
	if err != nil {
		err = otherJSON(err)
	}
	return v, fields, err
}

// readKnown is readBody, and refuses fields that T does not have, unless they ask
// for nothing.
func readKnown[T any](c echo.Context) (v T, err error) {
	v, fields, err := readFields[T](c)
	if err != nil {
		return v, err
	}
	known := fieldNames[T]()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var value any
		if err := json.Unmarshal(fields[name], &value); err != nil {
			return v, fmt.Errorf("field %s: %w", name, err)
		}
		if !slices.Contains(known, name) && !isNothing(value) {
			return v, slipway.Errorf(slipway.Invalid, "There is no field %q in this request. The fields are %s. Nothing was changed.", name, strings.Join(known, ", "))
		}
	}
	return v, nil
}

// filters are the parameters of a list in a query, by name.
type filters url.Values

// filtersOf returns the parameters of a list, and refuses any but names: a list
// must not have more than was asked for.
func filtersOf(c echo.Context, names ...string) (filters, error) {
	f := filters(c.QueryParams())
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if name != "limit" && name != "offset" && !slices.Contains(names, name) {
			known := strings.Join(append([]string{"limit", "offset"}, names...), ", ")
			return f, slipway.Errorf(slipway.Invalid, "This list has no parameter %q. Its parameters are %s.", name, known)
		}
	}
	return f, nil
}

// values returns the values of the filter name, none for all. Ids may also be
// joined by commas.
func (f filters) values(name string) (all []string) {
	for _, v := range f[name] {
		if v != "" {
			all = append(all, v)
		}
		if strings.HasSuffix(name, "Ids") && strings.Contains(v, ",") {
			all = append(all, strings.Split(v, ",")...)
		}
	}
	return all
}

// search reports whether one of the texts has the text of the filter search, if
// any, in any case.
func (f filters) search(texts ...string) bool {
	text := strings.ToLower(strings.TrimSpace(url.Values(f).Get("search")))
	return text == "" || slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(strings.ToLower(t), text) })
}

// page is a part of a list: at most limit items from offset on.
type page struct{ limit, offset int }

// The number of items in a page: without a limit in the request, and at most.
const (
	defaultLimit = 20
	maxLimit     = 1000
)

// pageOf returns the page of a list by the query's limit and offset.
func pageOf(c echo.Context) (p page, err error) {
	p.limit = defaultLimit
	for name, n := range map[string]*int{"limit": &p.limit, "offset": &p.offset} {
		text := c.QueryParam(name)
		if text == "" {
			continue
		}
		if *n, err = strconv.Atoi(text); err != nil || *n < 0 {
			return p, slipway.Errorf(slipway.Invalid, "%s must be a number from 0 on, not %q.", name, text)
		}
	}
	p.limit = min(p.limit, maxLimit)
	return p, nil
}

// listingOf returns the part of a list that the query asks for, sorted by any of
// fields.
func listingOf(c echo.Context, fields ...string) (l store.Listing, err error) {
	p, err := pageOf(c)
	if err != nil {
		return l, err
	}
	l = store.Listing{Search: strings.TrimSpace(c.QueryParam("search")), Limit: p.limit, Offset: p.offset}
	for _, sort := range c.QueryParams()["sorts"] {
		field, order, _ := strings.Cut(sort, ":")
		if !slices.Contains(fields, field) || order != "" && order != "asc" && order != "desc" {
			return l, badSort(sort)
		}
		if !slices.ContainsFunc(l.Sorts, func(s store.Sort) bool { return s.Field == field }) { // the first one decides
			l.Sorts = append(l.Sorts, store.Sort{Field: field, Down: order == "desc"})
		}
	}
	return l, nil
}

// answerListed answers with a part of a list of total items, as in answerPage.
func answerListed[T any](c echo.Context, name string, all []T, total int, l store.Listing, of func(T) object) error {
	items := []object{}
	for _, v := range all {
		items = append(items, of(v))
	}
	return ok(c, object{name: items, "totalCount": total, "limit": l.Limit, "offset": l.Offset})
}

// answerPage answers with one page of all, by the request's limit and offset.
// of makes an item, and name is the JSON field of the items.
func answerPage[T any](c echo.Context, name string, all []T, of func(T) object) error {
	p, err := pageOf(c)
	if err != nil {
		return err
	}
	items := []object{}
	from := min(p.offset, len(all))
	for _, v := range all[from:][:min(p.limit, len(all)-from)] {
		items = append(items, of(v))
	}
	return ok(c, object{name: items, "totalCount": len(all), "limit": p.limit, "offset": p.offset})
}

// timeText returns t in RFC 3339, nil (null in JSON) for the zero time.
func timeText(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339Nano)
}
