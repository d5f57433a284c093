package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
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
		return v, errors.Join(slipway.Errorf(slipway.Invalid, "The body of this request is not the JSON that belongs here: %s.", err), err)
	}
	return v, nil
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

// answerPage answers with one page of all, by the request's limit and offset.
// of makes an item, and name is the JSON field of the items.
func answerPage[T any](c echo.Context, name string, all []T, of func(T) object) error {
	p, err := pageOf(c)
	if err != nil {
		return err
	}
	items := []object{}
	for _, v := range all[min(p.offset, len(all)):min(p.offset+p.limit, len(all))] {
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
