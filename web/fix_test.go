package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"strings"
	"testing"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// fixForm is what a browser sends of a fix: names and values, and a file whose
// field is "file".
func fixForm(t *testing.T, path string, pairs ...string) *http.Request {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		var err error
		if pairs[i] == "file" {
			w, err2 := m.CreateFormFile("file", "whatever.txt")
			if err = err2; err == nil {
				_, err = w.Write([]byte(pairs[i+1]))
			}
		} else {
			err = m.WriteField(pairs[i], pairs[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, path, &b)
	r.Header.Set("Content-Type", m.FormDataContentType())
	return r
}

func TestFixPage(t *testing.T) {
	a := newApp(t)
	a.run(t)
	one := a.live(t, a.Ada, map[string]string{"a.py": dag, "old.py": dag})
	two := a.live(t, a.Ada, map[string]string{
		"a.py": "\n\n" + dag + "<b>&amp;</b>\n", "crlf.py": "a\r\nb\r\n", "mixed.py": "a\r\nb\n", "bin": "\x00", "s/link": "-> ../a.py", "50% off?#1.txt": "sale\n",
		"big": strings.Repeat("x", slipway.FixMax+1),
	})
	b := a.as(t, a.Eve)
	for name, tt := range map[string]struct {
		path   string
		status int
		want   string
	}{
		"text":        {"a.py", http.StatusOK, ">\n\n\n" + dag + "&lt;b&gt;&amp;amp;&lt;/b&gt;\n</textarea>"},
		"its base":    {"a.py", http.StatusOK, sumOf("\n\n" + dag + "<b>&amp;</b>\n")},
		"CRLF":        {"crlf.py", http.StatusOK, ">\na\r\nb\r\n</textarea>"},
		"strange":     {"50%25%20off%3F%231.txt", http.StatusOK, a.page("/fix/50%25%20off%3F%231.txt")},
		"mixed lines": {"mixed.py", http.StatusOK, "end in different ways"},
		"not text":    {"bin", http.StatusOK, "The file is not text. Upload a file in its place."},
		"too large":   {"big", http.StatusOK, "more than 1 MiB"},
		"gone":        {"old.py", http.StatusNotFound, "There is no file"},
		"never there": {"x/y.py", http.StatusNotFound, "There is no file"},
		"nothing":     {"", http.StatusNotFound, "There is no file"},
	} {
		t.Run(name, func(t *testing.T) { want(t, b.get(a.page("/fix/"+tt.path)), tt.status, tt.want) })
	}
	old := a.page("/versions/" + one.Version.Dir() + "/files/")
	now := a.page("/versions/" + two.Version.Dir() + "/files/")
	from := a.page("/fix/a.py?seen=" + one.Version.Dir())
	want(t, b.get(old+"a.py"), http.StatusOK, from)
	want(t, b.get(from), http.StatusOK, "The file was different in version "+one.Version.Short())
	for address, who := range map[string]slipway.Actor{old + "old.py": a.Eve, now + "s/link": a.Eve, now + "a.py": a.Mia} {
		if w := b.as(t, who).get(address); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "/fix/") {
			t.Errorf("%s offers %s a fix, or answers %d", address, who.Name, w.Code)
		}
	}
}

func TestFix(t *testing.T) {
	a := newApp(t)
	a.run(t)
	a.live(t, a.Ada, map[string]string{"a.py": dag, "s/crlf.sql": "a\r\nb\r\n"})
	b := a.as(t, a.Eve)

	goesTo(t, b.do(fixForm(t, a.page("/fix/s/crlf.sql"), "base", sumOf("a\r\nb\r\n"), "text", "a\r\nc", "description", "Why")), a.page("/deploys/2"))
	w := a.reaches(t, 2, slipway.Staged)
	if w.Fix != "s/crlf.sql" || w.Upload != "one-file fix of dags/s/crlf.sql" || w.Description != "Why" || w.By.User != a.Eve.User || w.By.IP == "" {
		t.Errorf("deploy %+v", w)
	}
	page := b.get(a.page("/deploys/2"))
	want(t, page, http.StatusOK, "made in the portal", "dags/s/crlf.sql", "Deploy DAGs", a.page("/deploys/2/patch"))
	if strings.Contains(page.Body.String(), "bring it into your repository") {
		t.Error("the page reminds of a deploy that is not live")
	}
	a.confirmed(t, a.Eve, 2)
	want(t, b.get(a.page("/deploys/2")), http.StatusOK, "Made in the portal: bring it into your repository.", "Download the patch", a.page("/history/s/crlf.sql"))
	want(t, b.get(a.page("/deploys")), http.StatusOK, "made in the portal")
	want(t, b.get(a.page("/deploys/2/patch")), http.StatusOK, "--- a/dags/s/crlf.sql\n+++ b/dags/s/crlf.sql\n@@ -1,2 +1,2 @@\n a\r\n-b\r\n+c\r\n")

	goesTo(t, b.do(fixForm(t, a.page("/fix/a.py"), "base", sumOf(dag), "file", "\x00\x01")), a.page("/deploys/3"))
	if w := a.reaches(t, 3, slipway.Staged); w.Fix != "a.py" || w.Counts.Changed != 1 {
		t.Errorf("deploy %+v", w)
	}
}

func TestFixIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		fields []string
		status int
		want   string
		typed  string // what is in the form afterwards
	}{
		"unchanged":     {[]string{"base", sumOf(dag), "text", dag}, http.StatusUnprocessableEntity, "Nothing is changed", dag},
		"empty":         {[]string{"base", sumOf(dag), "text", ""}, http.StatusUnprocessableEntity, "The text is empty.", dag},
		"no file":       {[]string{"base", sumOf(dag)}, http.StatusUnprocessableEntity, "Choose a file first.", dag},
		"empty file":    {[]string{"base", sumOf(dag), "file", ""}, http.StatusUnprocessableEntity, "The file is empty.", dag},
		"long text":     {[]string{"base", sumOf(dag), "text", strings.Repeat("x", slipway.FixMax)}, http.StatusRequestEntityTooLarge, "more than 1 MiB", "xxxxxxxx"},
		"much too long": {[]string{"text", strings.Repeat("x", maxFixForm)}, http.StatusRequestEntityTooLarge, "larger than", ""},
		"description":   {[]string{"base", sumOf(dag), "text", "typed", "description", strings.Repeat("x", 1001)}, http.StatusUnprocessableEntity, "A description may have at most", "typed"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			a.run(t)
			a.live(t, a.Ada, map[string]string{"a.py": dag})

			w := a.as(t, a.Eve).do(fixForm(t, a.page("/fix/a.py"), tt.fields...))

			want(t, w, tt.status, tt.want)
			if tt.typed != "" {
				want(t, w, tt.status, ">\n"+tt.typed)
			}
			storetest.View(t, a.store, func(tx *store.Tx) error {
				if last, _, err := tx.LastDeploy(a.Sales.ID); err != nil || last.Number != 1 {
					t.Errorf("it left deploy %+v, %v", last, err)
				}
				return nil
			})
		})
	}
}

// What somebody else changed meanwhile is shown, and what was typed stays.
func TestFixOfAFileThatChangedMeanwhile(t *testing.T) {
	a := newApp(t)
	a.run(t)
	a.live(t, a.Ada, map[string]string{"a.py": dag + "retries = 1\n", "b.py": dag})
	a.live(t, a.Ada, map[string]string{"a.py": dag + "retries = 2\n", "b.py": dag})
	b := a.as(t, a.Eve)
	mine := []string{"base", sumOf(dag + "retries = 1\n"), "text", dag + "retries = 9\r\n", "description", "My reason"}

	w := b.do(fixForm(t, a.page("/fix/a.py"), mine...))
	want(t, w, http.StatusConflict, "Deploy #2 by Ada Lovelace changed this file while you were at it.", `-retries = <span class="hl-n"><mark>1</mark></span>`, "retries = 9", "My reason", sumOf(dag+"retries = 2\n"))
	mine[1] = sumOf(dag + "retries = 2\n")
	goesTo(t, b.do(fixForm(t, a.page("/fix/a.py"), mine...)), a.page("/deploys/3"))
	a.reaches(t, 3, slipway.Staged)

	a.live(t, a.Ada, map[string]string{"b.py": dag})
	w = b.do(fixForm(t, a.page("/fix/a.py"), mine...))
	want(t, w, http.StatusConflict, "Deploy #4 by Ada Lovelace changed this file", `-retries = <span class="hl-n">2</span>`, "retries = 9", `name="base" value=""`)
	mine[1] = ""
	goesTo(t, b.do(fixForm(t, a.page("/fix/a.py"), mine...)), a.page("/deploys/5"))
	if w := a.reaches(t, 5, slipway.Staged); w.Counts.Added != 1 {
		t.Errorf("the file does not come back: %+v", w.Counts)
	}
}

func TestFixInTheWordsOfTheRule(t *testing.T) {
	for name, tt := range map[string]struct {
		who    func(*app) slipway.Actor
		change func(*slipway.Deployment)
		status int
		want   string
	}{
		"a Member":   {mia, func(*slipway.Deployment) {}, http.StatusForbidden, "Deploying DAGs needs the Author role"},
		"CI/CD":      {eve, func(d *slipway.Deployment) { d.CICDEnforced = true }, http.StatusForbidden, "CI/CD is enforced for this Deployment"},
		"switch off": {eve, func(d *slipway.Deployment) { d.DAGDeploys = false }, http.StatusConflict, "DAG-only deploys are not enabled for this Deployment."},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			a.run(t)
			a.live(t, a.Ada, map[string]string{"a.py": dag})
			storetest.Update(t, a.store, func(tx *store.Tx) error {
				d, err := tx.LoadDeployment(a.Sales.ID)
				tt.change(&d)
				return errors.Join(err, tx.SaveSettings(d), tx.SaveState(d))
			})
			b := a.as(t, tt.who(a))

			page := b.get(a.page("/fix/a.py"))
			want(t, page, http.StatusOK, tt.want)
			if strings.Contains(page.Body.String(), "<textarea") || strings.Contains(page.Body.String(), `type="file"`) {
				t.Error("there is a form all the same")
			}
			want(t, b.do(fixForm(t, a.page("/fix/a.py"), "base", sumOf(dag), "text", "x")), tt.status, tt.want)
		})
	}
}

func TestPatch(t *testing.T) {
	a := newApp(t)
	a.run(t)
	a.live(t, a.Ada, map[string]string{"a.py": dag})
	a.live(t, a.Ada, map[string]string{"a.py": dag + "x\n"})
	a.live(t, a.Ada, map[string]string{"a.py": dag + "x\n"})
	b := a.as(t, a.Mia)

	got := b.get(a.page("/deploys/2/patch"))
	want(t, got, http.StatusOK, "diff --git a/dags/a.py b/dags/a.py\n--- a/dags/a.py\n+++ b/dags/a.py\n", "+x\n")
	for name, value := range map[string]string{
		"Content-Type": "text/x-patch; charset=utf-8", "Content-Disposition": "attachment; filename=sales-prod-2.patch",
		"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'",
	} {
		if got := got.Header().Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	want(t, b.get(a.page("/deploys/2")), http.StatusOK, a.page("/deploys/2/patch"))
	if w := b.get(a.page("/deploys/3")); strings.Contains(w.Body.String(), "/patch") {
		t.Error("a deploy that changed nothing offers a patch")
	}
	want(t, b.get(a.page("/deploys/3/patch")), http.StatusConflict, "changes no file")
	want(t, b.get(a.page("/deploys/9/patch")), http.StatusNotFound, "There is no deploy #9")
	want(t, b.get(a.page("/deploys/x/patch")), http.StatusNotFound, "There is no such deploy")
}

// The editor tells what nobody sees in a form, and keeps what it tells.
func TestFixKeepsWhatIsHidden(t *testing.T) {
	a := newApp(t)
	a.run(t)
	files := map[string]string{
		"bom.sql": "\ufeffSELECT 1;\r\nSELECT\u200b 2;\r\n", "mac.sql": "SELECT 1;\rSELECT 2;\r", "plain.sql": "SELECT 1;\n", "latin.sql": "-- caf\xe9\u200b\n", "mixed.sql": "a\r\nb\n", "one": "x", "a.py": dag,
	}
	a.live(t, a.Eve, files)
	b := a.as(t, a.Eve)
	for name, tt := range map[string]struct {
		parts []string
		saved string // of the text as a browser sends the text, with one more line
	}{
		"bom.sql":   {[]string{"Encoding: UTF-8 with BOM. Line endings: CRLF. They stay as they are.", "Hidden: ZWSP (U+200B) in line 2", "\nSELECT 1;\r\n"}, files["bom.sql"] + "SELECT 3;\r\n"},
		"mac.sql":   {[]string{"Encoding: UTF-8. Line endings: CR. They stay as they are."}, files["mac.sql"] + "SELECT 3;\r"},
		"plain.sql": {[]string{"Encoding: UTF-8. Line endings: LF. They stay as they are."}, files["plain.sql"] + "SELECT 3;\n"},
		"one":       {[]string{"Encoding: UTF-8. They stay as they are."}, "xSELECT 3;\n"},
		"latin.sql": {[]string{"Encoding: unknown (shown as Latin-1). Line endings: LF.", "another encoding than UTF-8, which a form cannot keep"}, ""},
		"mixed.sql": {[]string{"Encoding: UTF-8. Line endings: mixed.", "end in different ways"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			page := b.get(a.page("/fix/" + name))
			want(t, page, http.StatusOK, tt.parts...)
			if strings.Contains(page.Body.String(), "\ufeff") {
				t.Error("the form has the BOM, which nobody sees and somebody removes")
			}
			if tt.saved == "" {
				return
			}
			text := strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(strings.TrimPrefix(files[name], "\ufeff")) + "SELECT 3;\r\n"
			w := b.do(fixForm(t, a.page("/fix/"+name), "base", sumOf(files[name]), "text", text))
			n, err := strconv.Atoi(path.Base(w.Header().Get("Location")))
			if w.Code != http.StatusSeeOther || err != nil {
				t.Fatalf("%d, %s", w.Code, w.Body)
			}
			a.reaches(t, n, slipway.Staged)
			r, err := a.engine.Review(t.Context(), a.Sales.ID, n, a.Eve)
			if err != nil || len(r.Plan.Changes) != 1 || r.Plan.Changes[0].New.SHA256 != sumOf(tt.saved) {
				t.Errorf("%+v, %v, want the content %q", r.Plan.Changes, err, tt.saved)
			}
		})
	}
}
