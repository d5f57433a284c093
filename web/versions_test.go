package web

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

func TestVersions(t *testing.T) {
	a := newApp(t)
	b := a.as(t, a.Mia)
	want(t, b.get(a.page("/versions")), http.StatusOK, "No bundle versions yet")
	a.run(t)
	one := a.live(t, a.Ada, map[string]string{"a.py": dag})
	two := a.live(t, a.Ada, map[string]string{"a.py": dag, "sales/b.py": dag, "sales/sql/c.sql": "select 1"})

	w := b.get(a.page("/versions"))

	want(t, w, http.StatusOK, one.Version.Short(), two.Version.Short(), "MOUNTED", "#1", "#2", "Kept for 90 days",
		"stays: current", "stays: one of the last", " once it expires")
	if strings.Count(w.Body.String(), "MOUNTED") != 1 {
		t.Error("more than one version is mounted")
	}
	folder := a.page("/versions/" + two.Version.Dir())
	want(t, b.get(folder), http.StatusOK, "sales/", "2 files", "a.py", "DAG file")
	want(t, b.get(folder+"?path=sales"), http.StatusOK, "sql/", "b.py", "files/sales/b.py")
	want(t, b.get(folder+"?path=nowhere"), http.StatusNotFound, "There is no folder")
	want(t, b.get(a.page("/versions/2020-01-01T00-00-00.0000000Z")), http.StatusNotFound)
	want(t, b.get(a.page("/versions/..")), http.StatusNotFound)
	if w := b.get(a.page("/versions/image")); w.Code != http.StatusSeeOther || w.Header().Get("Location") != a.page("") {
		t.Errorf("the link of a run of the image's DAGs answers %d to %q, want the Deployment's page", w.Code, w.Header().Get("Location"))
	}
}

func TestVersionFile(t *testing.T) {
	a := newApp(t)
	a.run(t)
	w := a.live(t, a.Ada, map[string]string{
		"a.py": dag + "x = 1\r\n", "s/link.py": "-> ../a.py", "bin": "\x00\xff", "latin": "\xe9t\xe9", "empty": "",
		"long": strings.Repeat("x", maxShownBytes+1), "lines": strings.Repeat("\n", maxShownLines+1), "50% off?#1.txt": "sale",
	})
	b := a.as(t, a.Eve)
	files := a.page("/versions/" + w.Version.Dir() + "/files/")
	for name, want := range map[string]string{
		"a.py":                   `x = <span class="hl-n">1</span><span class="unseen" title="U+000D">CR</span></td>`, // the only line that ends so
		"s/link.py":              "A link to <code>../a.py</code>",
		"bin":                    "The file is not text.",
		"latin":                  "Encoding: unknown (shown as Latin-1)",
		"empty":                  "The file is empty.",
		"long":                   "too much to show here",
		"lines":                  "too many lines",
		"50%25%20off%3F%231.txt": "sale",
	} {
		t.Run(name, func(t *testing.T) {
			got := b.get(files + name)
			if got.Code != http.StatusOK || !strings.Contains(got.Body.String(), want) {
				t.Errorf("answer %d without %q: %.2000s", got.Code, want, text(got))
			}
		})
	}
	want(t, b.get(files+"a.py"), http.StatusOK, "Edit or replace", a.page("/fix/a.py"), a.page("/history/a.py"), `data-n="2"`)
	want(t, b.get(files+"nowhere.py"), http.StatusNotFound, "There is no file")
	want(t, b.get(files+"s/link.py?raw=1"), http.StatusNotFound, "is a link")
}

func TestRawFile(t *testing.T) {
	a := newApp(t)
	a.run(t)
	page := "<html><script>alert(1)</script>"
	w := a.live(t, a.Ada, map[string]string{"a.py": dag, "x/évil.html": page})

	got := a.as(t, a.Mia).get(a.page("/versions/" + w.Version.Dir() + "/files/x/%C3%A9vil.html?raw=1"))

	want(t, got, http.StatusOK)
	for name, value := range map[string]string{
		"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff",
		"Content-Security-Policy": "sandbox; default-src 'none'", "Content-Disposition": "attachment; filename*=utf-8''%C3%A9vil.html",
	} {
		if got := got.Header().Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	if got.Body.String() != page {
		t.Errorf("content %q", got.Body)
	}
}

func TestVersionArchive(t *testing.T) {
	a := newApp(t)
	a.run(t)
	w := a.live(t, a.Ada, map[string]string{"a.py": dag, "s/b.sql": "x"})
	got := a.as(t, a.Mia).get(a.page("/versions/" + w.Version.Dir() + "/archive"))
	want(t, got, http.StatusOK)
	if d := got.Header().Get("Content-Disposition"); d != "attachment; filename=sales-prod-"+w.Version.Dir()+".tar.gz" {
		t.Errorf("disposition %q", d)
	}
	z, err := gzip.NewReader(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			names = append(names, h.Name)
		}
	}
	if all := strings.Join(names, " "); all != "dags/a.py dags/s/b.sql" {
		t.Errorf("the archive holds %s", all)
	}
}

func TestEntries(t *testing.T) {
	files := []slipway.File{{Path: "a.py"}, {Path: "s/b.py"}, {Path: "s/t/c.py"}, {Path: "sx"}}
	var got []string
	for _, e := range entries("d", "", files, []string{"s/b.py"}, "s") {
		got = append(got, fmt.Sprint(e.Name, " ", e.DAG))
	}
	if all := strings.Join(got, ", "); all != "t false, b.py true" {
		t.Errorf("the folder s holds %s", all)
	}
}
