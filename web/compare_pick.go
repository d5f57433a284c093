package web

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// Values of the fields for choosing versions.
const (
	pickedVersions = 30     // the newest versions, offered in a comparison
	noVersion      = "none" // the empty version before the first
)

// compareSide is one side of a comparison.
type compareSide struct {
	value   string // in the address: a version's folder, a deploy's number, or noVersion
	title   string
	version slipway.Version // "" for none
}

// sides returns the two sides in the address; by default the current version
// and the version before.
func sides(c echo.Context, tx *store.Tx, sc scene, offered []store.BundleVersion) (from, to compareSide, err error) {
	from, to = compareSide{value: c.QueryParam("from")}, compareSide{value: c.QueryParam("to")}
	if to.value == "" {
		to.value = orNone(sc.Version)
	}
	if from.value == "" {
		from.value = before(to.value, offered)
	}
	if err := from.read(tx, sc); err != nil {
		return from, to, err
	}
	return from, to, to.read(tx, sc)
}

// orNone returns the value of v in an address, noVersion for "".
func orNone(v slipway.Version) string {
	if v == "" {
		return noVersion
	}
	return v.Dir()
}

// before returns the offered version before the named one.
func before(name string, offered []store.BundleVersion) string {
	i := slices.IndexFunc(offered, func(v store.BundleVersion) bool { return v.Version.Dir() == name })
	if i < 0 || i+1 >= len(offered) {
		return noVersion
	}
	return offered[i+1].Version.Dir()
}

// read loads the version named by p.
func (p *compareSide) read(tx *store.Tx, sc scene) error {
	if p.value == noVersion {
		p.title = "Nothing"
		return nil
	}
	if v, ok := slipway.VersionOfDir(p.value); ok {
		p.version = v // stays selected on the page of a refusal
		kept, err := tx.BundleVersion(sc.ID, v)
		if err == nil {
			p.title = deployTitle(kept.Number)
		}
		return err
	}
	number, err := strconv.Atoi(strings.TrimPrefix(p.value, "#"))
	if err != nil || number < 1 {
		return slipway.Errorf(slipway.NotFound, views.NoVersionDeploy, p.value)
	}
	w, err := tx.Deploy(sc.ID, number)
	if err != nil {
		return err
	}
	p.title = deployTitle(number)
	if !w.WentLive() {
		return slipway.Errorf(slipway.Conflict, views.NeverLive, number)
	}
	if p.version = w.After.Version; p.version != "" {
		_, err = tx.BundleVersion(sc.ID, p.version)
	}
	return err
}

// deployTitle is the title of a side chosen by deploy.
func deployTitle(number int) string { return "#" + strconv.Itoa(number) }

// view returns p as a field of the form.
func (p compareSide) view(sc scene, name, label string, offered []store.BundleVersion) views.ComparePick {
	v := views.ComparePick{Name: name, Label: label, Title: p.title, Version: p.version}
	if p.version != "" {
		v.URL = versionPath(sc.ID, p.version)
	}
	found := false
	for _, o := range offered {
		chosen := o.Version == p.version
		found = found || chosen
		v.Options = append(v.Options, views.Option{Value: o.Version.Dir(), Text: deployTitle(o.Number) + " · " + o.Version.Short(), Chosen: chosen})
	}
	v.Options = append(v.Options, views.Option{Value: noVersion, Text: views.NoVersionText, Chosen: p.value == noVersion})
	if !found && p.version != "" {
		older := views.Option{Value: p.version.Dir(), Text: strings.TrimPrefix(p.title+" · "+p.version.Short(), " · "), Chosen: true}
		v.Options = slices.Insert(v.Options, len(v.Options)-1, older)
	}
	return v
}

// byNumbers returns the address for deploys typed by number instead of chosen,
// "" without a typed number.
func byNumbers(c echo.Context) string {
	q := c.QueryParams()
	if q.Get("from_number")+q.Get("to_number") == "" {
		return ""
	}
	at := url.Values{}
	for _, name := range []string{"from", "to"} {
		if value := strings.TrimPrefix(strings.TrimSpace(q.Get(name+"_number")), "#"); value != "" {
			at.Set(name, value)
		} else {
			at.Set(name, q.Get(name))
		}
	}
	if q.Get("view") == "split" {
		at.Set("view", "split")
	}
	return comparePath(deploymentID(c)) + "?" + at.Encode()
}

// byTicks returns the address for deploys ticked in the history, "" without ticks.
func byTicks(c echo.Context) (address string, refusal error) {
	var ticked []int
	for _, text := range c.QueryParams()["with"] {
		if n, err := strconv.Atoi(text); err == nil {
			ticked = append(ticked, n)
		}
	}
	slices.Sort(ticked)
	switch ticked = slices.Compact(ticked); len(ticked) {
	case 0:
		return "", nil
	case 1:
		return comparePath(deploymentID(c)) + "?from=" + strconv.Itoa(ticked[0]), nil
	case 2:
		return comparePath(deploymentID(c)) + "?from=" + strconv.Itoa(ticked[0]) + "&to=" + strconv.Itoa(ticked[1]), nil
	}
	return "", slipway.Errorf(slipway.Invalid, views.TooManyTicks, len(ticked))
}

// comparePath is the address of the comparison page.
func comparePath(of slipway.DeploymentID) string { return deploymentPath(of) + "/compare" }

// compareURL is the address of the comparison of two versions.
func compareURL(of slipway.DeploymentID, from, to slipway.Version) string {
	return comparePath(of) + "?" + url.Values{"from": {orNone(from)}, "to": {orNone(to)}}.Encode()
}
