package airflow_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"slipway/store/storetest"
)

func TestAirflow2(t *testing.T) {
	dir := workDir(t)
	d := newPortal(t, dir).deployment(t, "two", dir)
	a := newAirflow(t, 2, dir, map[string]string{"AIRFLOW__CORE__DAGS_FOLDER": filepath.Join(d.mount, "current", "dags")})
	ok(t, os.WriteFile(filepath.Join(a.home, "webserver_config.py"), []byte("AUTH_ROLE_PUBLIC = 'Admin'\n"), 0o644))
	a.start(t)
	s := &story{airflow: a, deployment: d, code: code{prefix: "two"}, way: "Folder"}
	s.promises(t)
}

// TestAirflow3 connects one Airflow to two mounts, one in each way there is,
// and to a third that nobody has made: a bundle that fails fails alone.
func TestAirflow3(t *testing.T) {
	dir := workDir(t)
	p := newPortal(t, dir)
	classy, plain := p.deployment(t, "classy", dir), p.deployment(t, "plain", dir)
	a := newAirflow(t, 3, dir, nil)
	copyFile(t, filepath.Join(root, "examples", "airflow", "slipway_bundle.py"), filepath.Join(a.lib, "slipway_bundle.py"))
	a.env = append(a.env, "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST="+bundles(t, a, classy, plain))
	a.start(t)
	for _, s := range []*story{
		{airflow: a, deployment: classy, code: code{prefix: "classy"}, way: "SlipwayBundle", pinned: true},
		{airflow: a, deployment: plain, code: code{prefix: "plain"}, way: "LocalDagBundle"},
	} {
		s.promises(t)
	}
	t.Run("ABundleThatFailsFailsAlone", func(t *testing.T) {
		log := string(must[[]byte](t)(os.ReadFile(filepath.Join(a.home, "dag-processor.log"))))
		if !strings.Contains(log, "nothing is mounted yet") {
			t.Error("the DAG processor did not say that nothing is mounted for the third bundle")
		}
	})
}

// bundleConfig is a bundle as Airflow 3 is configured.
type bundleConfig struct {
	Name  string         `json:"name"`
	Class string         `json:"classpath"`
	Args  map[string]any `json:"kwargs"`
}

var bundleList = regexp.MustCompile(`(?s)dag_bundle_config_list = (\[.*?\n    \}\}?\])`)

// bundles returns the example's configuration with the test's own mounts.
func bundles(t *testing.T, a *airflow, classy, plain *deployment) string {
	t.Helper()
	m := bundleList.FindSubmatch(must[[]byte](t)(os.ReadFile(a.example())))
	var shown []bundleConfig
	if m == nil {
		t.Fatalf("%s configures no bundle", a.example())
	}
	ok(t, json.Unmarshal(m[1], &shown))
	own := shown[0]
	address := strings.ReplaceAll(own.Args["view_url_template"].(string), "https://slipway.example.com", classy.portal.url())
	own.Args["view_url_template"] = strings.ReplaceAll(address, "/ID/", "/"+string(classy.id)+"/")
	own.Args["mount"], own.Args["mark_every"] = classy.mount, 5
	every := own.Args["refresh_interval"]
	all := []bundleConfig{
		{"broken", own.Class, map[string]any{"mount": filepath.Join(a.home, "nowhere"), "refresh_interval": every}},
		own,
		{"plain", "airflow.dag_processing.bundles.local.LocalDagBundle",
			map[string]any{"path": filepath.Join(plain.mount, "current", "dags"), "refresh_interval": every}},
	}
	return string(must[[]byte](t)(json.Marshal(all)))
}

// page returns a page of the portal, as a person who is signed in sees it.
func (p *portal) page(t *testing.T, address string) string {
	t.Helper()
	client := http.Client{Jar: must[*cookiejar.Jar](t)(cookiejar.New(nil))}
	form := url.Values{"email": {"ada@example.com"}, "password": {storetest.Password}}
	in := must[*http.Response](t)(client.PostForm(p.url()+"/signin", form))
	ok(t, in.Body.Close())
	resp := must[*http.Response](t)(client.Get(address))
	defer resp.Body.Close()
	b := must[[]byte](t)(io.ReadAll(resp.Body))
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %d: %.2000s", address, resp.StatusCode, b)
	}
	return string(b)
}
