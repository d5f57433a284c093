package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

func TestFileHistory(t *testing.T) {
	a := newApp(t)
	a.run(t)
	one := a.live(t, a.Ada, map[string]string{"s/a b.py": dag + "x = 1\n", "b.py": dag})
	two := a.live(t, a.Eve, map[string]string{"s/a b.py": dag + "x = 2\n", "b.py": dag})
	a.live(t, a.Eve, map[string]string{"s/a b.py": "-> ../b.py", "b.py": dag})
	a.live(t, a.Eve, map[string]string{"b.py": dag})
	a.staged(t, a.Eve, map[string]string{"s/a b.py": dag, "b.py": dag}) // never live
	b := a.as(t, a.Mia)
	path := a.page("/history/s/a%20b.py")

	page := b.get(path)
	want(t, page, http.StatusOK, "History of a b.py", "+\u00a0added", "~\u00a0changed", "−\u00a0removed", "a link", "Ada Lovelace", "Eve Author", "LIVE",
		a.page("/deploys/2?file=s%2Fa+b.py#file-"), a.page("/versions/"+one.Version.Dir()+"/files/s/a%20b.py"), a.page("/versions/"+two.Version.Dir()+"/files/s/a%20b.py"))
	if n := strings.Count(page.Body.String(), `data-testid="file-step"`); n != 4 {
		t.Errorf("%d steps, want 4", n)
	}
	for name, tt := range map[string]struct {
		query  string
		status int
		want   []string
	}{
		"two":          {"?from=1&to=2", http.StatusOK, []string{"From #1 to #2", `-x = <span class="hl-n"><mark>1</mark></span>`, `+x = <span class="hl-n"><mark>2</mark></span>`}},
		"backwards":    {"?from=2&to=1", http.StatusOK, []string{"From #2 to #1", `+x = <span class="hl-n"><mark>1</mark></span>`}},
		"looks":        {"?from=1&to=2", http.StatusOK, []string{path + "?from=1&amp;to=2&amp;view=split", path + "?from=1&amp;to=2&amp;wrap=1", `aria-current="true">Unified`}},
		"side by side": {"?from=1&to=2&view=split&wrap=1", http.StatusOK, []string{`class="diff split"`, `class="card wrapped"`, path + "?from=1&amp;to=2&amp;view=split", `name="view" value="split"`, `name="wrap" value="1"`, "Do not wrap"}},
		"to nothing":   {"?from=2&to=4", http.StatusOK, []string{"removed", `-x = <span class="hl-n">2</span>`}},
		"the same":     {"?from=2&to=2", http.StatusOK, []string{"The file held the same after #2 and after #2."}},
		"with a link":  {"?from=2&to=3", http.StatusOK, []string{"The file was a link then"}},
		"one alone":    {"?from=2", http.StatusOK, []string{"History of a b.py"}},
		"no step":      {"?from=1&to=5", http.StatusNotFound, []string{"Deploy #5 did nothing to the file"}},
		"unreadable":   {"?from=x&to=-1", http.StatusOK, []string{"History of a b.py"}},
		"another path": {"x", http.StatusNotFound, []string{"There is no file &#34;s/a b.pyx&#34; in the history"}},
	} {
		t.Run(name, func(t *testing.T) { want(t, b.get(path+tt.query), tt.status, tt.want...) })
	}
	if w := b.get(path); strings.Contains(w.Body.String(), "Fix it") {
		t.Error("a Member is offered a fix, of a file that is gone")
	}
	want(t, a.as(t, a.Eve).get(a.page("/history/b.py")), http.StatusOK, a.page("/fix/b.py"))
}

// Contents that are no longer kept cannot be compared, and are not linked to.
func TestFileHistoryOutlivesVersions(t *testing.T) {
	a := newApp(t)
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		for n := range pageSize*2 + 1 {
			w, err := tx.AddDeploy(slipway.Deploy{Deployment: a.Sales.ID, Kind: slipway.DAGOnly, Status: slipway.Queued, By: a.Eve})
			if err != nil {
				return err
			}
			c := slipway.Change{Op: slipway.Changed, Path: "a.py", New: slipway.File{Path: "a.py", SHA256: sumOf(fmt.Sprint(n))}}
			if err := tx.AddChanges(w, []slipway.Change{c}); err != nil {
				return err
			}
		}
		return nil
	})
	b := a.as(t, a.Mia)
	path := a.page("/history/a.py")

	for query, part := range map[string][]string{
		"":           {"#101", "#52", path + "?before=52"},
		"?before=52": {"#51", "#2<", path + "?before=2", path + "?after=51"},
		"?before=2":  {"#1<", path + "?after=1"},
		"?after=1":   {"#51", "#2<", path + "?before=2", path + "?after=51"},
		"?after=51":  {"#101", "#52", path + "?before=52"},
	} {
		want(t, b.get(path+query), http.StatusOK, part...)
	}
	for query, part := range map[string]string{"": "?after=", "?after=51": "?after=", "?before=2": "?before="} {
		if strings.Contains(b.get(path+query).Body.String(), part) {
			t.Errorf("%q leads beyond the end", query)
		}
	}
	for _, part := range []string{"/files/", "Difference"} {
		if strings.Contains(b.get(path).Body.String(), part) {
			t.Errorf("the page offers %q of versions that are not kept", part)
		}
	}
	want(t, b.get(path+"?from=1&to=2"), http.StatusOK, "is no longer kept", `value="1" selected`)
}
