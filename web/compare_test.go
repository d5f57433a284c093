package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// threeVersions is a portal with three versions and one deploy that never went live.
func threeVersions(t *testing.T) (a *app, all []slipway.Deploy) {
	a = newApp(t)
	a.run(t)
	first := map[string]string{
		"orders.py": dag + "retries = 1\nx = 1\n", "old/moved.py": dag + "# moved", "logo.bin": "\x00\x01", "gone.sql": "SELECT 1;\n", "same.py": dag, "link": "-> same.py",
	}
	second := map[string]string{
		"orders.py": dag + "retries = 4\nx = 1\n", "new/moved.py": dag + "# moved", "logo.bin": "\x00\x02\x03", "added/<b>.sql": "SELECT 2;\n", "same.py": dag, "link": "-> orders.py",
	}
	third := map[string]string{"long.py": dag + strings.Repeat("x = 1\n", 1000)}
	for _, files := range []map[string]string{first, second, third} {
		all = append(all, a.live(t, a.Eve, files))
	}
	a.staged(t, a.Eve, first)
	return a, all
}

func TestCompare(t *testing.T) {
	a, w := threeVersions(t)
	path := a.page("/compare")
	for name, tt := range map[string]struct {
		query  string
		status int
		parts  []string
		absent string
	}{
		"by number": {"?from=1&to=2&open=all", http.StatusOK, []string{
			"#1", "#2", `-retries = <span class="hl-n"><mark>1</mark></span>`, `+retries = <span class="hl-n"><mark>4</mark></span>`, "from old/moved.py", "Binary", "2 B", "3 B", "sha256",
			"link to orders.py, before to same.py", ">added/<", "&lt;b&gt;.sql", "1 added, 3 changed, 1 removed, 1 renamed", "from=2&amp;", "Close all",
		}, `"grow">same.py`},
		"backwards":         {"?from=%232&to=%231&open=all", http.StatusOK, []string{`-retries = <span class="hl-n"><mark>4</mark></span>`, "from new/moved.py"}, ""},
		"by version":        {"?from=" + w[0].Version.Dir() + "&to=" + w[1].Version.Dir() + "&open=all", http.StatusOK, []string{`<mark>1</mark>`}, ""},
		"one is open":       {"?from=1&to=2", http.StatusOK, []string{"Show the difference", "Open all", "-retries"}, "SELECT"},
		"over several":      {"?from=1&to=3", http.StatusOK, []string{"1 added, 0 changed, 6 removed", "gone.sql"}, "new/moved.py"},
		"what nothing says": {"", http.StatusOK, []string{"#2", "#3", "long.py"}, "gone.sql"},
		"with nothing":      {"?from=none&to=1", http.StatusOK, []string{"Nothing", "6 added", "gone.sql"}, ">removed<"},
		"with itself":       {"?from=2&to=2", http.StatusOK, []string{"The two versions are the same"}, "Open all"},
		"side by side": {"?from=1&to=2&view=split&open=all", http.StatusOK, []string{
			`<td class="del">retries = <span class="hl-n"><mark>1</mark></span></td>`, `<td class="add">retries = <span class="hl-n"><mark>4</mark></span></td>`, `name="view" value="split"`,
		}, "+retries"},
		"one file":        {"?from=1&to=2&file=orders.py", http.StatusOK, []string{"-retries", "gone.sql"}, "SELECT"},
		"with all lines":  {"?from=1&to=2&file=orders.py&context=all", http.StatusOK, []string{"retries", "x = "}, "more above"},
		"long":            {"?from=2&to=3&open=all", http.StatusOK, []string{"Show all", "601 lines"}, ""},
		"long, all":       {"?from=2&to=3&file=long.py", http.StatusOK, []string{`data-n="1001"`}, "Show all"},
		"wrapped":         {"?from=1&to=2&wrap=1", http.StatusOK, []string{`class="card wrapped"`, "Do not wrap"}, ""},
		"a folder":        {"?from=1&to=2&under=added", http.StatusOK, []string{`?from=1&amp;to=2">dags</a>`, "added/"}, `"grow">orders.py`},
		"no such folder":  {"?from=1&to=2&under=nowhere", http.StatusNotFound, []string{"nothing is different there", "Compare versions"}, ""},
		"an equal file":   {"?from=1&to=2&file=same.py", http.StatusNotFound, []string{"is the same in both versions"}, ""},
		"never live":      {"?from=1&to=4", http.StatusConflict, []string{"Deploy #4 never went live", `<option value="` + w[2].Version.Dir()}, "Swap"},
		"no such deploy":  {"?from=1&to=9", http.StatusNotFound, []string{"There is no deploy #9"}, ""},
		"no such version": {"?from=" + strings.Replace(w[0].Version.Dir(), "20", "19", 1) + "&to=1", http.StatusNotFound, []string{"no longer kept", `<option value="` + strings.Replace(w[0].Version.Dir(), "20", "19", 1) + `" selected`}, ""},
		"not a version":   {"?from=%3Cscript%3E&to=1", http.StatusNotFound, []string{"no deploy", "&lt;script&gt;"}, "<script>&"},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.as(t, a.Mia).get(path + tt.query)
			want(t, got, tt.status, tt.parts...)
			if tt.absent != "" && strings.Contains(got.Body.String(), tt.absent) {
				t.Errorf("the page has %q", tt.absent)
			}
		})
	}
}

// A file that somebody opens brings its difference alone, and more lines of it.
func TestCompareOneFile(t *testing.T) {
	a := newApp(t)
	a.run(t)
	text := func(changed string) string {
		lines := strings.Split(dag+strings.Repeat("x = 1\n", 60), "\n")
		lines[30] = changed
		return strings.Join(lines, "\n")
	}
	a.live(t, a.Eve, map[string]string{"a.py": text("y = 1"), "b.py": dag})
	a.live(t, a.Eve, map[string]string{"a.py": text("y = 2"), "b.py": dag})
	for name, tt := range map[string]struct {
		page, query string
		status      int
		parts       []string
		absent      string
	}{
		"a comparison":    {"/compare", "?from=1&to=2&file=a.py", http.StatusOK, []string{"20 more above", "20 more below", "<mark>2</mark>", "lines=8-27"}, `data-n="27"`},
		"a deploy":        {"/deploys/2", "?file=a.py", http.StatusOK, []string{"20 more above", "<mark>2</mark>", "history"}, `data-n="27"`},
		"a return":        {"/deploys/1/return", "?file=a.py", http.StatusOK, []string{"20 more above", "<mark>1</mark>"}, `data-n="27"`},
		"more lines":      {"/deploys/2", "?file=a.py&lines=8-27", http.StatusOK, []string{`data-n="8"`, "all 7 lines", "20 more below", "lines=8-27%2C35-54"}, `data-n="7"`},
		"all lines":       {"/deploys/2", "?file=a.py&lines=all", http.StatusOK, []string{`data-n="1"`, `data-n="61"`}, "more"},
		"an equal file":   {"/deploys/2", "?file=b.py", http.StatusNotFound, []string{"is not changed here"}, ""},
		"in a comparison": {"/compare", "?from=1&to=2&file=b.py", http.StatusNotFound, []string{"is not changed here"}, ""},
		"of a file":       {"/history/a.py", "?from=1&to=2&lines=8-27", http.StatusOK, []string{`data-n="8"`, "all 7 lines"}, `data-n="7"`},
	} {
		r := httptest.NewRequest(http.MethodGet, a.page(tt.page+tt.query), nil)
		r.Header.Set("HX-Request", "true")
		got := a.as(t, a.Eve).do(r)
		want(t, got, tt.status, tt.parts...)
		if body := got.Body.String(); strings.Contains(body, "<main") || tt.absent != "" && strings.Contains(body, tt.absent) {
			t.Errorf("%s: the answer is a page, or has %q:\n%s", name, tt.absent, body)
		}
	}
}

func TestCompareByTypedNumbers(t *testing.T) {
	a, w := threeVersions(t)
	got := a.as(t, a.Mia).get(a.page("/compare?from=" + w[0].Version.Dir() + "&from_number=&to=x&to_number=%232&view=split"))
	goesTo(t, got, a.page("/compare?from="+w[0].Version.Dir()+"&to=2&view=split"))
}

// What was recorded and what the manifests say are the same.
func TestCompareWithoutRecords(t *testing.T) {
	a, w := threeVersions(t)
	for _, pair := range [][2]slipway.Version{{w[0].Version, w[1].Version}, {w[2].Version, w[0].Version}, {"", w[1].Version}} {
		storetest.View(t, a.store, func(tx *store.Tx) error {
			_, there, err := tx.Steps(a.Sales.ID, pair[0], pair[1], 100)
			_, back, _ := tx.Steps(a.Sales.ID, pair[1], pair[0], 100)
			if there == back {
				t.Errorf("%v: recorded there %v, back %v, want one of them", pair, there, back)
			}
			return err
		})
		recorded, err := a.engine.Compare(t.Context(), a.Sales, pair[0], pair[1])
		if err != nil {
			t.Fatal(err)
		}
		old, err := a.engine.Files(t.Context(), a.Sales, pair[0])
		if err != nil {
			t.Fatal(err)
		}
		next, err := a.engine.Files(t.Context(), a.Sales, pair[1])
		if err != nil {
			t.Fatal(err)
		}
		read := slipway.Compare(slipway.Changes(old, next))
		same := slices.EqualFunc(recorded.Changes, read.Changes, func(a, b slipway.Change) bool {
			return a.Op == b.Op && a.Path == b.Path && a.Old.Path == b.Old.Path && a.Old.Same(b.Old) && a.New.Same(b.New) && a.Old.Size == b.Old.Size
		})
		if !same || recorded.Sum != read.Sum || len(read.Changes) == 0 {
			t.Errorf("%v: recorded %+v, read %+v", pair, recorded, read)
		}
	}
}

func TestHistorySearch(t *testing.T) {
	a, w := threeVersions(t)
	day := w[0].CreatedAt.Format(dayLayout)
	for name, tt := range map[string]struct {
		query  string
		want   []string // numbers of the deploys
		parts  []string
		absent string
	}{
		"all":        {"", []string{"4", "3", "2", "1"}, []string{`name="with" value="2"`, `name="with" value="3"`}, "Clear"},
		"number":     {"?q=%232", []string{"2"}, []string{"1 filter", "Clear", `value="#2"`}, ""},
		"person":     {"?q=eve", []string{"4", "3", "2", "1"}, nil, ""},
		"status":     {"?status=staged&kind=DAG_ONLY", []string{"4"}, []string{"2 filters", `<option value="staged" selected`}, ""},
		"by":         {"?by=" + string(a.Eve.User), []string{"4", "3", "2", "1"}, []string{`selected>Eve Author`}, ""},
		"day":        {"?from=" + day + "&to=" + day, []string{"4", "3", "2", "1"}, []string{"<span class=\"chip\">Today</span>", "Show every day", `aria-current="true"`}, "1 filter"},
		"no day":     {"?to=2001-01-01", nil, []string{"No deploy is like this", "Show all deploys"}, ""},
		"not a day":  {"?from=yesterday", nil, []string{"is no date or time"}, "No deploy is like this"},
		"live then":  {"?live_at=" + w[1].LiveAt.AddDate(1, 0, 0).Format(timeLayout), []string{"4", "3", "2", "1"}, []string{"#3</a> by Eve Author was live", w[2].Version.Short(), "it still is"}, "1 filter"},
		"live never": {"?live_at=2001-01-01T00:00", []string{"4", "3", "2", "1"}, []string{"At 2001-01-01 00:00:00 UTC nothing had been deployed yet."}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.as(t, a.Mia).get(a.page("/deploys" + tt.query))
			want(t, got, http.StatusOK, tt.parts...)
			var numbers []string
			for _, row := range strings.Split(got.Body.String(), `data-testid="deploy"`)[1:] {
				_, rest, _ := strings.Cut(row, `/deploys/`)
				n, _, _ := strings.Cut(rest, `"`)
				numbers = append(numbers, n)
			}
			if !slices.Equal(numbers, tt.want) {
				t.Errorf("deploys %v, want %v", numbers, tt.want)
			}
			if tt.absent != "" && strings.Contains(got.Body.String(), tt.absent) {
				t.Errorf("the page has %q", tt.absent)
			}
		})
	}
}

func TestHistorySearchLive(t *testing.T) {
	a, _ := threeVersions(t)
	b := a.as(t, a.Mia)
	path := a.page("/deploys")
	r := httptest.NewRequest(http.MethodGet, path+"?q=%231&kind=&status=&by=", nil)
	r.Header.Set("HX-Request", "true")
	got := b.do(r)
	want(t, got, http.StatusOK, `<div id="history"`)
	if strings.Contains(got.Body.String(), "<h1") || got.Header().Get("HX-Replace-Url") != path+"?q=%231" {
		t.Errorf("not a partial at %s:\n%s", got.Header().Get("HX-Replace-Url"), text(got))
	}
}

func TestHistoryKeepsFiltersOnItsPages(t *testing.T) {
	a := newApp(t)
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		for i := range 2 * (pageSize + 1) {
			kind := []slipway.DeployKind{slipway.DAGOnly, slipway.ImageOnly}[i%2]
			w := slipway.Deploy{Deployment: a.Sales.ID, Kind: kind, Status: slipway.Initialized, By: a.Eve, Description: fmt.Sprintf("row %d", i)}
			if _, err := tx.AddDeploy(w); err != nil {
				return err
			}
		}
		return nil
	})
	b := a.as(t, a.Mia)
	filters := url.Values{"kind": {"IMAGE_ONLY"}, "q": {"row"}}.Encode()
	older := "?before=4&amp;kind=IMAGE_ONLY&amp;q=row"
	want(t, b.get(a.page("/deploys?"+filters)), http.StatusOK, older, "#102<", "#4<")
	last := b.get(a.page("/deploys" + strings.ReplaceAll(older, "&amp;", "&")))
	want(t, last, http.StatusOK, "#2<", "?after=2&amp;kind=IMAGE_ONLY&amp;q=row")
	if strings.Contains(last.Body.String(), "Older") {
		t.Error("there is a page after the last")
	}
	want(t, b.get(a.page("/deploys?after=2&"+filters)), http.StatusOK, older, "#102<")
}

// A change of a mode is named as git names it wherever changes are shown, and many such
// changes take one line.
func TestModesAreNamed(t *testing.T) {
	a := newApp(t)
	a.run(t)
	files := func(mode, dagText string) map[string]string {
		all := map[string]string{"a.py": dag + dagText, "moved" + mode[:1] + ".sh": mode + "moved\n"}
		for i := range 30 {
			all[fmt.Sprintf("bin/f%02d.sh", i)] = mode + "echo\n"
		}
		return all
	}
	a.live(t, a.Eve, files("echo ", ""))
	staged := a.staged(t, a.Eve, map[string]string{"a.py": "+x " + dag, "moved+.sh": "+x echo moved\n", "bin/f00.sh": "+x echo echo\n", "bin/f01.sh": "+x other\n"})
	want(t, a.as(t, a.Mia).get(a.page(fmt.Sprintf("/deploys/%d", staged.Number))), http.StatusOK, "mode 100644 → 100755", `<b class="ok">+1</b>`, "(2 by mode alone)", "mode 100755")
	w := a.live(t, a.Eve, files("+x echo ", "x = 1\n"))
	live := a.page(fmt.Sprintf("/deploys/%d", w.Number))
	fold := "30 files differ by their mode alone: 100644 → 100755"
	lines := `+0</b> <b class="nil">−0</b><span class="visually-hidden">lines` // of a file whose content is the same
	for name, tt := range map[string]struct {
		path   string
		parts  []string
		absent string
	}{
		"deploy":        {live, []string{fold, "(30 by mode alone)", `<b class="ok">+1</b>`}, lines},
		"comparison":    {a.page("/compare?from=1&to=3"), []string{fold, "(30 by mode alone)", "renamed", "mode 100644 → 100755"}, lines},
		"the other way": {a.page("/compare?from=3&to=1"), []string{"30 files differ by their mode alone: 100755 → 100644", "mode 100755 → 100644"}, ""},
		"a folder":      {a.page("/compare?from=1&to=3&under=bin"), []string{fold}, lines},
		"one file":      {a.page("/compare?from=1&to=3&file=bin/f07.sh"), []string{"29 files differ by their mode alone", `id="` + anchor("bin/f07.sh"), "The content is the same."}, lines},
		"to one file":   {a.page("/compare?from=1&to=3"), []string{"file=bin%2Ff07.sh", "#" + anchor("bin/f07.sh")}, ""},
		"history":       {a.page("/history/bin/f07.sh"), []string{"mode 100644 → 100755"}, ""},
		"between steps": {a.page("/history/bin/f07.sh?from=1&to=3"), []string{"The file held the same after #1 and after #3, with another mode: 100644 → 100755."}, ""},
		"return":        {a.page("/deploys/1/return"), []string{"30 files differ by their mode alone: 100755 → 100644"}, ""},
		"overview":      {a.page(""), []string{"(2 by mode alone)"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.as(t, a.Eve).get(tt.path)
			want(t, got, http.StatusOK, tt.parts...)
			if tt.absent != "" && strings.Contains(got.Body.String(), tt.absent) {
				t.Errorf("the page has %q", tt.absent)
			}
		})
	}
}

// No page shows a hidden character of a file's name as nothing.
func TestHiddenCharactersInNames(t *testing.T) {
	a := newApp(t)
	a.run(t)
	name := "fo\u200blder/or\u3164ders.py"
	a.live(t, a.Eve, map[string]string{"a.py": dag, name: dag + "x = 1\n", "li\u200bnk": "-> a.py", "gone\u200b.py": dag, "moved\u200b.sql": "SELECT 1;\n"})
	w := a.live(t, a.Eve, map[string]string{"a.py": dag, name: dag + "x = 2\n", "li\u200bnk": "-> folder\u200b.py", "folder\u200b.py": dag, "left\u200b.pyc": "x", "new\u200b.sql": "SELECT 1;\n"})
	a.staged(t, a.Eve, map[string]string{"a.py": "", name: "", "sto\u200bp.txt": "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"})
	file := (&url.URL{Path: name}).EscapedPath()
	version := a.page("/versions/" + w.Version.Dir())
	missing := (&url.URL{Path: "no\u200bne"}).EscapedPath()
	for _, address := range []string{"/history/" + missing, "/fix/" + missing, "/versions/" + w.Version.Dir() + "/files/" + missing, "/versions/" + w.Version.Dir() + "?path=" + missing} {
		if page := a.as(t, a.Eve).get(a.page(address)); strings.Contains(page.Body.String(), "\u200b") {
			t.Errorf("%s has a hidden character: %s", address, page.Body)
		}
	}
	for address, marked := range map[string]string{
		a.page("/deploys/2"): "ZWSP", a.page("/deploys/3"): "Yes, deploy new files with characters in their names that nobody sees", a.page("/deploys/1/return"): "ZWSP", a.page("/compare?from=1&to=2"): "ZWSP",
		a.page("/compare?from=1&to=2&view=split&file=" + url.QueryEscape(name)): "ZWSP", a.page("/history/" + file): "ZWSP", a.page("/fix/" + file): "ZWSP",
		version: "ZWSP", version + "?path=" + url.QueryEscape("fo\u200blder"): "U+3164", version + "/files/" + file: "U+3164", version + "/files/li%E2%80%8Bnk": "ZWSP",
	} {
		page := a.as(t, a.Eve).get(address)
		want(t, page, http.StatusOK, marked)
		for _, r := range "\u200b\u3164" {
			if at := strings.IndexRune(page.Body.String(), r); at >= 0 {
				t.Errorf("%s has U+%04X: %.120q", address, r, page.Body.String()[max(0, at-60):])
			}
		}
	}
}
