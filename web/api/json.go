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

// maxBody is the most that a request other than an upload may hold, in bytes.
const maxBody = 1 << 20

func tooLong(limit int64) string {
	return fmt.Sprintf("This request is too large: it may have at most %d KiB.", limit>>10)
}

// object is a value of the API whose fields depend on what there is.
type object map[string]any

// ok answers with v. It is always 200: the CLI takes 201 and 202 for errors.
func ok(c echo.Context, v any) error { return c.JSON(http.StatusOK, v) }

// read returns the body of a request. Unknown fields are let pass: the CLI
// sends more than we need. Without a body it is the zero value.
func read[T any](c echo.Context) (v T, err error) {
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

// page is a part of a list.
type page struct{ limit, offset int }

const (
	defaultLimit = 20
	maxLimit     = 1000
)

// pageOf returns the part of a list that a request asks for.
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

// listed answers with the part of all that p is, as items made by of.
func listed[T any](c echo.Context, name string, all []T, of func(T) object) error {
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

// timeText returns t in RFC 3339, nil for none.
func timeText(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339Nano)
}
