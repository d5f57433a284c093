package docs_test

import (
	"path"
	"regexp"
	"strings"
	"testing"

	"slipway/docs"
)

var (
	links = regexp.MustCompile(`href="([^"]*)"`)
	ids   = regexp.MustCompile(`id="([^"]*)"`)
)

func TestDocumentsAreRendered(t *testing.T) {
	all, err := docs.All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 15 || all[0].Name != "airflow.md" {
		t.Fatalf("%d documents, the first is %s", len(all), all[0].Name)
	}
	for _, p := range all {
		if p.Title == p.Name || !strings.Contains(p.HTML, "<h1") {
			t.Errorf("%s has no title", p.Name)
		}
		if strings.Contains(p.HTML, `style="`) || strings.Contains(p.HTML, "raw HTML omitted") {
			t.Errorf("%s has markup that the pages do not allow", p.Name)
		}
	}
}

// Every link leads to a document and to a heading there, or to another site.
func TestLinksLeadSomewhere(t *testing.T) {
	all, err := docs.All()
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]bool{}
	for _, p := range all {
		anchors[p.Name] = true
		for _, m := range ids.FindAllStringSubmatch(p.HTML, -1) {
			anchors[p.Name+"#"+m[1]] = true
		}
	}
	for _, p := range all {
		for _, m := range links.FindAllStringSubmatch(p.HTML, -1) {
			to := m[1]
			switch {
			case strings.Contains(to, "://"):
				continue
			case strings.HasPrefix(to, "#"):
				to = p.Name + to
			default:
				to = path.Join(path.Dir(p.Name), to)
			}
			if !anchors[to] {
				t.Errorf("%s leads to %s, and there is nothing", p.Name, m[1])
			}
		}
	}
}
