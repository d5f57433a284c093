package web

import (
	"bytes"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

func TestStagedDeploy(t *testing.T) {
	a := newApp(t)
	a.run(t)
	a.live(t, a.Ada, map[string]string{"a.py": dag + "x = 1\n", "old.py": dag})
	a.live(t, a.Ada, map[string]string{"a.py": dag + "x = 2\n", "old.py": dag})
	a.staged(t, a.Eve, map[string]string{"dags/a.py": dag + "x = 1\n", "dags/new.py": dag, "dags/b.pyc": "x", "Dockerfile": "FROM x"})

	w := a.as(t, a.Eve).get(a.page("/deploys/3?open=all"))

	want(t, w, http.StatusOK, "What this deploy will do", "against #2", `name="base" value="`+string(a.deploy(t, 2).Version)+`"`,
		"Yes, remove the DAG file old.py", "goes back to how it was in", "#1 (Ada Lovelace",
		`<b class="ok">+1</b> <b class="bad">−1</b>`, "back to #1", "Dockerfile", "1 outside of dags/ not deployed", "need an image deploy. DAG files are deployed from the dags folder alone", "1 file left out", "b.pyc", "Deploy DAGs", "Discard")
	plain := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(w.Body.String(), "") // changed words are marked
	if !strings.Contains(plain, "-x = 2") || !strings.Contains(plain, "+x = 1") {
		t.Errorf("the difference is not shown:\n%s", plain)
	}
	member := a.as(t, a.Mia).get(a.page("/deploys/3"))
	want(t, member, http.StatusOK, "Deploying DAGs needs the Author role")
	if strings.Contains(member.Body.String(), "Discard") {
		t.Error("a Member may discard")
	}
}

func TestConfirm(t *testing.T) {
	for name, tt := range map[string]struct {
		form   []string
		status int
		want   string
		deploy slipway.Status
	}{
		"all of it":    {[]string{"remove_dags", "yes", "description", "Tidy up"}, http.StatusSeeOther, "", slipway.Deployed},
		"without tick": {[]string{"description", "Tidy up"}, http.StatusUnprocessableEntity, "This deploy removes the DAG file old.py. Tick that it may.", slipway.Staged},
		"other review": {[]string{"remove_dags", "yes", "description", "Tidy up", "review", "0123456789abcdef"}, http.StatusConflict, "Another folder, or another place for the files, was chosen in between.", slipway.Staged},
		"other base":   {[]string{"remove_dags", "yes", "description", "Tidy up", "base", "2026-11-22T14:03:51.2040000Z"}, http.StatusConflict, "Deploy #1 by Ada Lovelace came in between.", slipway.Staged},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			a.run(t)
			base := a.live(t, a.Ada, map[string]string{"a.py": dag, "old.py": dag}).Version
			a.staged(t, a.Eve, map[string]string{"a.py": dag})

			w := a.as(t, a.Eve).post(a.page("/deploys/2/confirm"), append([]string{"base", string(base)}, tt.form...)...)

			want(t, w, tt.status, tt.want)
			if tt.status != http.StatusSeeOther {
				want(t, w, tt.status, `name="base" value="`+string(base)+`"`, "Tidy up")
			}
			got := a.reaches(t, 2, tt.deploy)
			if got.Description != "Tidy up" {
				t.Errorf("description %q", got.Description)
			}
			if live := a.deployment(t).Version == got.Version; live != (tt.deploy == slipway.Deployed) {
				t.Errorf("%s, and live is %v", got.Status, live)
			}
		})
	}
}

// A base that somebody else replaced needs reading anew: no tick is kept.
func TestConfirmAfterSomebodyElse(t *testing.T) {
	a := newApp(t)
	a.run(t)
	base := a.live(t, a.Ada, map[string]string{"a.py": dag, "old.py": dag}).Version
	a.staged(t, a.Eve, map[string]string{"a.py": dag})
	between := a.live(t, a.Ada, map[string]string{"a.py": dag, "old.py": dag, "c.py": dag})
	b := a.as(t, a.Eve)

	w := b.post(a.page("/deploys/2/confirm"), "base", string(base), "remove_dags", "yes")

	want(t, w, http.StatusConflict, "Deploy #3 by Ada Lovelace came in between", "against #3", "these 2 DAG files", `value="`+string(between.Version)+`"`)
	if regexp.MustCompile(`name="remove_dags"[^>]* checked`).MatchString(w.Body.String()) {
		t.Error("the tick for other files is kept")
	}
	goesTo(t, b.post(a.page("/deploys/2/confirm"), "base", string(between.Version), "remove_dags", "yes"), a.page("/deploys/2"))
	a.reaches(t, 2, slipway.Deployed)
	want(t, b.get(a.page("/deploys/2")), http.StatusOK, "DEPLOYED", `class="live-mark">LIVE`, "Changes against #3", "1 of 1 component", "Download")
}

// An archive without the DAG files of a Deployment: the names come first, the way back
// is the primary button, and ticks are not enough.
func TestWrongArchive(t *testing.T) {
	a := newApp(t)
	a.run(t)
	files := map[string]string{}
	for i := range 6 {
		files[fmt.Sprintf("sales/dag%d.py", i)] = dag
	}
	base := a.live(t, a.Ada, files).Version
	a.staged(t, a.Eve, map[string]string{"Q3/slides.txt": "x", "Q3/notes.txt": "y"})
	b, confirm := a.as(t, a.Eve), a.page("/deploys/2/confirm")

	want(t, b.get(a.page("/deploys/2")), http.StatusOK, "All 6 DAG files disappear from Airflow.", "dags.tar.gz has no DAG file in it.", "Q3/notes.txt",
		`<button class="btn primary">Discard and choose again`, "What goes", "dag5.py", `data-must-equal="sales-prod"`, `<button class="btn danger" data-guarded>Remove 6 DAG files`)
	want(t, b.post(confirm, "base", string(base), "remove_dags", "yes", "no_dags", "yes", "typed", "sales"), http.StatusUnprocessableEntity,
		"This deploy removes 6 DAG files. Type the name &#34;sales-prod&#34; to confirm, or discard the deploy.", `value="sales"`)
	a.reaches(t, 2, slipway.Staged)
	goesTo(t, b.post(confirm, "base", string(base), "typed", "sales-prod"), a.page("/deploys/2"))
	a.reaches(t, 2, slipway.Deployed)
	want(t, b.post(a.page("/deploys/1/return"), "base", string(a.deploy(t, 2).Version)), http.StatusSeeOther)
}

func TestDiscard(t *testing.T) {
	a := newApp(t)
	a.run(t)
	a.staged(t, a.Eve, map[string]string{"a.py": dag})
	b := a.as(t, a.Eve)
	goesTo(t, b.post(a.page("/deploys/1/cancel")), a.page(""))
	want(t, b.get(a.page("/deploys/1")), http.StatusOK, "CANCELLED", "Discarded by Eve Author.")
	want(t, b.post(a.page("/deploys/1/cancel")), http.StatusConflict, "has ended")
	want(t, b.get(a.page("/deploys/77")), http.StatusNotFound, "There is no deploy #77")
	want(t, b.get(a.page("/deploys/x")), http.StatusNotFound)
}

func TestReturn(t *testing.T) {
	a := newApp(t)
	a.run(t)
	first := a.live(t, a.Ada, map[string]string{"a.py": dag})
	second := a.live(t, a.Ada, map[string]string{"a.py": dag + "#", "b.py": dag})
	b := a.as(t, a.Eve)
	path := a.page("/deploys/1/return")
	want(t, b.get(path), http.StatusOK, "Return to #1", "Yes, remove the DAG file b.py", "Mounts version "+first.Version.Short()+" again", `name="reason"`)
	want(t, b.post(path, "base", string(second.Version), "reason", "It broke"), http.StatusUnprocessableEntity, "Tick that it may.", `value="It broke"`)
	want(t, b.post(path, "base", string(first.Version), "remove_dags", "yes"), http.StatusConflict, "came in between")

	goesTo(t, b.post(path, "base", string(second.Version), "remove_dags", "yes", "reason", "It broke"), a.page("/deploys/3"))

	w := a.reaches(t, 3, slipway.Deployed)
	if d := a.deployment(t); w.ReturnTo != 1 || d.Version != first.Version {
		t.Errorf("deploy %+v, live is %s", w, d.Version)
	}
	want(t, b.get(a.page("/deploys/3")), http.StatusOK, "Returned to #1", "It broke")
	want(t, b.get(a.page("/deploys/2")), http.StatusOK, "Undone by #3", "Return to #2")
	if got := b.get(a.page("/deploys/3")).Body.String(); strings.Contains(got, "/deploys/3/return") {
		t.Error("what is current can be returned to")
	}
}

func TestHistoryPages(t *testing.T) {
	a := newApp(t)
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		for n := range 120 {
			w := slipway.Deploy{Deployment: a.Sales.ID, Kind: slipway.DAGOnly, Status: slipway.Failed, Reason: "No.", By: a.Eve, Description: fmt.Sprintf("try %d", n+1)}
			if _, err := tx.AddDeploy(w); err != nil {
				return err
			}
		}
		return nil
	})
	b := a.as(t, a.Mia)
	for path, tt := range map[string]struct {
		first, last  int
		newer, older string
	}{
		"":            {120, 71, "", "?before=71"},
		"?before=71":  {70, 21, "?after=70", "?before=21"},
		"?before=21":  {20, 1, "?after=20", ""},
		"?after=20":   {70, 21, "?after=70", "?before=21"},
		"?after=70":   {120, 71, "", "?before=71"},
		"?before=abc": {120, 71, "", "?before=71"},
	} {
		t.Run(path, func(t *testing.T) {
			w := b.get(a.page("/deploys" + path))
			page := w.Body.String()
			want(t, w, http.StatusOK, fmt.Sprintf("try %d<", tt.first), fmt.Sprintf("try %d<", tt.last))
			if n := strings.Count(page, `data-testid="deploy"`); n != tt.first-tt.last+1 {
				t.Errorf("%d rows, want %d", n, tt.first-tt.last+1)
			}
			for rel, link := range map[string]string{`rel="prev"`: tt.newer, `rel="next"`: tt.older} {
				if strings.Contains(page, rel) != (link != "") || link != "" && !strings.Contains(page, rel+` href="`+a.page("/deploys"+link)+`"`) {
					t.Errorf("want %s to %q", rel, link)
				}
			}
		})
	}
}

func TestHistoryHasSwitches(t *testing.T) {
	a := newApp(t)
	a.run(t)
	a.live(t, a.Ada, map[string]string{"a.py": dag})
	for _, on := range []bool{false, true} {
		if _, err := a.engine.Switch(t.Context(), a.Sales.ID, on, a.Ada, true); err != nil {
			t.Fatal(err)
		}
	}
	a.live(t, a.Ada, map[string]string{"a.py": dag + "#"})
	page := text(a.as(t, a.Mia).get(a.page("/deploys")))
	order := []string{"#2", "DAG-only deploys turned on", "DAG-only deploys turned off", "#1"}
	at := 0
	for _, part := range order {
		i := strings.Index(page[at:], part)
		if i < 0 {
			t.Fatalf("%q is not after what precedes it in %v:\n%s", part, order, page)
		}
		at += i
	}
}

// Names and contents come from strangers: nothing of them is markup.
func TestEscaping(t *testing.T) {
	a := newApp(t)
	a.run(t)
	evil := `<script>alert(1)</script>`
	w := a.live(t, a.Ada, map[string]string{`a"><img src=x>.py`: dag + evil, "a.py": dag})
	b := a.as(t, a.Mia)
	for _, path := range []string{"/deploys/1", "/versions/" + w.Version.Dir(), "/versions/" + w.Version.Dir() + "/files/a%22%3E%3Cimg%20src=x%3E.py"} {
		got := b.get(a.page(path))
		want(t, got, http.StatusOK, "&lt;img src=x&gt;.py")
		if page := got.Body.String(); strings.Contains(page, evil) || strings.Contains(page, "<img") {
			t.Errorf("%s holds markup of the file:\n%s", path, page)
		}
	}
}

// TestUndo follows the way back: the Overview and the page of the live deploy
// lead to what the return does, and all other pages offer no undo.
func TestUndo(t *testing.T) {
	a := newApp(t)
	a.run(t)
	a.live(t, a.Eve, map[string]string{"a.py": dag})
	author := a.as(t, a.Eve)
	if body := author.get(a.page("")).Body.String(); strings.Contains(body, "Undo:") {
		t.Error("the first deploy can be undone")
	}
	a.live(t, a.Eve, map[string]string{"a.py": dag + "#"})
	undo := `href="` + a.page("/deploys/1/return") + `"`

	want(t, author.get(a.page("")), http.StatusOK, undo, "Undo: return to #1", "Compare with #1", "Files")
	want(t, author.get(a.page("/deploys/2")), http.StatusOK, undo, "Undo: return to #1")
	for path, who := range map[string]slipway.Actor{"/deploys/1": a.Eve, "": a.Mia, "/deploys/2": a.Mia} {
		if body := a.as(t, who).get(a.page(path)).Body.String(); strings.Contains(body, "Undo:") {
			t.Errorf("%s offers %s an undo", path, who.Name)
		}
	}
	base := string(a.deployment(t).Version)
	want(t, author.get(a.page("/deploys/1/return")), http.StatusOK, "This new deploy takes back #2: Airflow gets the DAG files as after #1; nothing restarts")
	if w := author.post(a.page("/deploys/1/return"), "base", base); w.Code != http.StatusSeeOther {
		t.Fatalf("the return is refused: %d %s", w.Code, w.Body)
	}
	a.reaches(t, 3, slipway.Deployed)
	want(t, author.get(a.page("")), http.StatusOK, "returned to #1", "Go back to #2, which #3 undid")
	if body := author.get(a.page("")).Body.String(); strings.Index(body, "Compare with #2") > strings.Index(body, "Go back to #2") {
		t.Error("the way back to an undone deploy is the first button")
	}
	if body := author.get(a.page("/deploys/1/return")).Body.String(); strings.Contains(body, "takes back") || !strings.Contains(body, "is what runs already") {
		t.Error("the page of a refused return says what the return would do")
	}
	want(t, author.get(a.page("/deploys/2/return")), http.StatusOK, "takes back #3")
}

// TestDescriptionSurvivesAChoice: who chooses a place for a file keeps what was typed.
func TestDescriptionSurvivesAChoice(t *testing.T) {
	a := newApp(t)
	a.run(t)
	a.live(t, a.Ada, map[string]string{"sales/orders.py": dag, "x/keep.py": dag})
	eve := a.Eve
	eve.Via = slipway.Portal
	n := deploy.NewUpload{Length: -1, Name: "dags.tar.gz", Merge: slipway.AddFiles}
	w, err := a.engine.Receive(t.Context(), a.Sales.ID, eve, n, bytes.NewReader(storetest.Archive(t, map[string]string{"orders.py": dag + "# changed\n"})))
	if err != nil {
		t.Fatal(err)
	}
	a.reaches(t, w.Number, slipway.Staged)
	b := a.as(t, a.Eve)
	page := b.get(a.page("/deploys/2")).Body.String()
	button := regexp.MustCompile(`form="confirm" formmethod="post" formaction="([^"]+)" formnovalidate>Add it as dags/orders.py<`).FindStringSubmatch(page)
	if button == nil {
		t.Fatalf("no button:\n%s", page)
	}
	want(t, b.post(html.UnescapeString(button[1]), "description", "Orders, anew", "base", "x"), http.StatusSeeOther)
	want(t, b.get(a.page("/deploys/2")), http.StatusOK, "Orders, anew", "orders.py goes beside dags/sales/orders.py as a new file", "Replace dags/sales/orders.py")
}
