package web

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/views"
)

// Parts of the list of Deployments, as in the address.
const (
	showAll       = ""
	showAttention = "attention"
	showToConfirm = "confirm"
)

// deploymentsQuery is the query of a list of Deployments.
type deploymentsQuery struct {
	text  string
	show  string
	order slipway.StandingOrder
	page  int // from 1
}

// deploymentsQueryOf reads the filters from the address. Unknown values count as
// none.
func deploymentsQueryOf(c echo.Context) (q deploymentsQuery) {
	q.text, q.page = firstWords(c.QueryParam("q")), pageNumber(c)
	switch show := c.QueryParam("show"); show {
	case showAttention, showToConfirm:
		q.show = show
	}
	switch order := slipway.StandingOrder(c.QueryParam("order")); order {
	case slipway.ByName, slipway.NewestFirst:
		q.order = order
	}
	return q
}

// searchedWords is how many words a search looks for: each costs a look at every row.
const searchedWords = 10

// firstWords returns the first words of a text, each once.
func firstWords(text string) string {
	var all []string
	for word := range strings.FieldsSeq(text) {
		if !slices.Contains(all, word) && len(all) < searchedWords {
			all = append(all, word)
		}
	}
	return strings.Join(all, " ")
}

// path returns the address of path with the query.
func (q deploymentsQuery) path(path string) string {
	at := url.Values{}
	for name, value := range map[string]string{"q": q.text, "show": q.show, "order": string(q.order)} {
		if value != "" {
			at.Set(name, value)
		}
	}
	if q.page > 1 {
		at.Set("page", strconv.Itoa(q.page))
	}
	if len(at) == 0 {
		return path
	}
	return path + "?" + at.Encode()
}

// shows reports whether a Deployment is in the chosen part of the list.
func (q deploymentsQuery) shows(s slipway.Standing) bool {
	switch q.show {
	case showAttention:
		return s.NeedsAttention()
	case showToConfirm:
		return s.ToConfirm > 0
	}
	return true
}

// shown returns the parts of the list, each with the number of the found rows.
func (q deploymentsQuery) shown(path string, rows []listed) (all []views.ShownDeployments) {
	for _, show := range []string{showAll, showAttention, showToConfirm} {
		part := deploymentsQuery{text: q.text, show: show, order: q.order}
		n := 0
		for _, row := range rows {
			if part.shows(row.standing) {
				n++
			}
		}
		all = append(all, views.ShownDeployments{Text: views.ShownTitle[show], URL: part.path(path), Count: n, Chosen: show == q.show})
	}
	return all
}
