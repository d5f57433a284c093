package web

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// Layouts of times in the query.
const (
	dayLayout  = "2006-01-02"
	timeLayout = "2006-01-02T15:04:05" // as a browser sends it, with or without seconds
)

// historyQuery is the query of a history page.
type historyQuery struct {
	values url.Values // of the filled fields
	filter store.DeployFilter
	live   time.Time // of the question for the live deploy; zero for none
	wrong  string    // why a field could not be read
}

// historyFields are the fields of the search form.
var historyFields = []string{"q", "kind", "status", "by", "commit", "from", "to", "live_at"}

// historyQueryOf reads the filters from the address.
func historyQueryOf(c echo.Context) historyQuery {
	a := historyQuery{values: url.Values{}}
	for _, name := range historyFields {
		if value := strings.TrimSpace(c.QueryParam(name)); value != "" {
			a.values.Set(name, value)
		}
	}
	get := a.values.Get
	a.filter = store.DeployFilter{
		Kind: slipway.DeployKind(get("kind")), Status: slipway.Status(get("status")), By: get("by"), Text: get("q"), Commit: get("commit"),
	}
	a.filter.From = a.time("from", dayLayout)
	if a.filter.Until = a.time("to", dayLayout); !a.filter.Until.IsZero() {
		a.filter.Until = a.filter.Until.AddDate(0, 0, 1)
	}
	layout := timeLayout
	if len(get("live_at")) == len("2006-01-02T15:04") {
		layout = "2006-01-02T15:04"
	}
	a.live = a.time("live_at", layout)
	return a
}

// time reads a field as a time, zero if empty. An unreadable field sets a.wrong.
func (a *historyQuery) time(name, layout string) time.Time {
	text := a.values.Get(name)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(layout, text)
	if err != nil || t.Year() < 1970 {
		a.wrong = fmt.Sprintf(views.NotTime, text, layout[:len("2006-01-02")])
		return time.Time{}
	}
	return t
}

// path is the address of the query's first page.
func (a historyQuery) path(path string) string {
	if len(a.values) == 0 {
		return path
	}
	return path + "?" + a.values.Encode()
}

// page is the address of another page of the query.
func (a historyQuery) page(path, key string, number int) string {
	at := url.Values{key: {strconv.Itoa(number)}}
	for name, value := range a.values {
		at[name] = value
	}
	return path + "?" + at.Encode()
}

// filters returns the filter form, filled in with the query.
func filters(tx *store.Tx, sc scene, a historyQuery) (f views.HistoryFilters, err error) {
	get := a.values.Get
	f = views.HistoryFilters{
		Action: sc.links().Deploys, Text: get("q"), Commit: get("commit"), From: get("from"), Until: get("to"), LiveAt: get("live_at"), Error: a.wrong,
		Kinds: []views.Option{{Text: "Every kind"}}, Statuses: []views.Option{{Text: "Every status"}}, By: []views.Option{{Text: "By everyone"}},
	}
	for _, k := range slipway.AllKinds {
		f.Kinds = append(f.Kinds, views.Option{Value: string(k), Text: k.Title(), Chosen: k == a.filter.Kind})
	}
	for _, s := range []slipway.Status{slipway.Initialized, slipway.Staged, slipway.Queued, slipway.Deploying, slipway.Deployed, slipway.Failed, slipway.Cancelled} {
		f.Statuses = append(f.Statuses, views.Option{Value: string(s), Text: views.StatusWord(s), Chosen: s == a.filter.Status})
	}
	for _, name := range historyFields {
		if a.values.Has(name) && name != "live_at" {
			f.Count++
		}
	}
	f.Others, f.More = f.Count, slices.ContainsFunc([]string{"commit", "from", "to", "live_at"}, a.values.Has)
	if day := a.day(); !day.IsZero() {
		f.Others -= 2
		f.Day, f.Date, f.EveryDayURL = views.DayTitle(day, sc.now), day.Format(dayLayout), a.everyDay(f.Action)
		f.More = slices.ContainsFunc([]string{"commit", "live_at"}, a.values.Has)
	}
	who, err := tx.Deployers(sc.ID)
	if err != nil {
		return f, err
	}
	for _, d := range who {
		name := d.Name
		if d.Token {
			name = "token " + name
		}
		f.By = append(f.By, views.Option{Value: d.ID, Text: name, Chosen: d.ID == a.filter.By})
	}
	return f, nil
}

// day is the one day that the filters choose, the zero time for none or several.
func (a historyQuery) day() time.Time {
	if a.wrong != "" || a.filter.From.IsZero() || !a.filter.Until.Equal(a.filter.From.AddDate(0, 0, 1)) {
		return time.Time{}
	}
	return a.filter.From
}

// everyDay is the address of the query without its days.
func (a historyQuery) everyDay(path string) string {
	values := maps.Clone(a.values)
	values.Del("from")
	values.Del("to")
	return historyQuery{values: values}.path(path)
}

// days is the number of filters that choose whole days.
func (a historyQuery) days() (n int) {
	for _, name := range []string{"from", "to"} {
		if a.values.Has(name) {
			n++
		}
	}
	return n
}

// liveThen returns the live deploy at the requested time.
func liveThen(tx *store.Tx, sc scene, a historyQuery) (*views.LiveThen, error) {
	if a.live.IsZero() {
		return nil, nil
	}
	l := &views.LiveThen{At: a.live.Format("2006-01-02 15:04:05 UTC")}
	was, next, err := tx.LiveAt(sc.ID, a.live)
	if err != nil || was == nil {
		return l, err
	}
	kept, err := tx.RetainedOf(sc.ID, []slipway.Version{was.After.Version})
	if err != nil {
		return l, err
	}
	l.Number, l.URL, l.By, l.Since = was.Number, deployPath(sc.ID, was.Number), was.By.Title(), sc.at(was.LiveAt)
	l.Row = views.HistoryRow{Version: was.After.Version, Image: was.After.ImageTag}
	if kept[was.After.Version] {
		l.Row.VersionURL = versionPath(sc.ID, was.After.Version)
	}
	if next != nil {
		l.NextNumber, l.NextURL, l.Until = next.Number, deployPath(sc.ID, next.Number), sc.at(next.LiveAt)
	}
	return l, nil
}
