package airflow_test

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"slipway/store/storetest"
)

func TestAirflow2(t *testing.T) {
	t.Parallel()
	dir := workDir(t)
	d := newPortal(t, dir).deployment(t, "two", dir)
	shown := d.snippet(t, `(?m)^dags_folder = (.*)$`)
	if want := filepath.Join(d.mount, "current", "dags"); shown != want {
		t.Errorf("the portal shows the dags_folder %s, want %s", shown, want)
	}
	a := newAirflow(t, 2, dir, map[string]string{"AIRFLOW__CORE__DAGS_FOLDER": shown})
	ok(t, os.WriteFile(filepath.Join(a.home, "webserver_config.py"), []byte("AUTH_ROLE_PUBLIC = 'Admin'\n"), 0o644))
	a.start(t)
	s := &story{airflow: a, deployment: d, code: code{prefix: "two"}, way: "Folder"}
	t.Run(s.way, s.promises)
}

// TestAirflow3 connects one Airflow to two mounts, one in each way there is,
// and to a third that nobody has made: a bundle that fails fails alone.
func TestAirflow3(t *testing.T) {
	t.Parallel()
	dir := workDir(t)
	p := newPortal(t, dir)
	classy, plain := p.deployment(t, "classy", dir), p.deployment(t, "plain", dir)
	a := newAirflow(t, 3, dir, nil)
	copyFile(t, filepath.Join(root, "examples", "airflow", "slipway_bundle.py"), filepath.Join(a.lib, "slipway_bundle.py"))
	a.env = append(a.env, "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST="+bundles(t, a, classy, plain))
	a.start(t)
	s := &story{airflow: a, deployment: classy, code: code{prefix: "classy"}, way: "SlipwayBundle", pinned: true}
	other := &story{airflow: a, deployment: plain, code: code{prefix: "plain"}, way: "LocalDagBundle"}
	t.Run("Ways", func(t *testing.T) {
		for _, s := range []*story{s, other} {
			t.Run(s.way, func(t *testing.T) {
				t.Parallel()
				s.promises(t)
			})
		}
	})
	if !t.Failed() {
		t.Run("ABundleThatFailsFailsAlone", func(t *testing.T) { s.failsAlone(t, other) })
	}
}

// failsAlone checks that the bundle without a mount fails, and lets that of s
// lose the version that is current. Airflow lists its DAGs all the while, and a
// change of the other bundle.
func (s *story) failsAlone(t *testing.T, other *story) {
	s.says(t, "nothing is mounted yet")
	w := s.watch()
	defer w.end(t)
	back := s.astray(t)
	s.says(t, "but there is no folder")
	other.deploy(t, other.pair("9", "9"))
	other.listed(t, map[string][]string{"pair": tags("9", "9")})
	w.sees(t, 2*refreshes)
	back()
	w.sees(t, refreshes)
}

// astray has current lead to a version that is not there, until back is called:
// again and again, as the agent sees that and turns it back.
func (s *story) astray(t *testing.T) (back func()) {
	t.Helper()
	link := filepath.Join(s.mount, "current")
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		for tick := time.NewTicker(100 * time.Millisecond); err == nil; {
			if err = os.Symlink("versions/2026-01-01T00-00-00.0000000Z", link+".test"); err == nil {
				err = os.Rename(link+".test", link)
			}
			select {
			case <-tick.C:
			case <-stop:
				tick.Stop()
				done <- err
				return
			}
		}
		done <- err
	}()
	return func() {
		close(stop)
		ok(t, <-done)
	}
}

// says waits for words in the log of the DAG processor.
func (a *airflow) says(t *testing.T, words string) {
	t.Helper()
	until(t, func() error {
		log, err := os.ReadFile(filepath.Join(a.home, "dag-processor.log"))
		if err == nil && !strings.Contains(string(log), words) {
			err = fmt.Errorf("the DAG processor did not say %q", words)
		}
		return err
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
	var local []bundleConfig // as the portal shows it
	ok(t, json.Unmarshal([]byte(plain.snippet(t, `(?m)^dag_bundle_config_list = (.*)$`)), &local))
	every := own.Args["refresh_interval"]
	local[0].Args["refresh_interval"] = every
	broken := bundleConfig{"broken", own.Class, map[string]any{"mount": filepath.Join(a.home, "nowhere"), "refresh_interval": every}}
	return string(must[[]byte](t)(json.Marshal([]bundleConfig{broken, own, local[0]})))
}

// snippet returns the part in parentheses of what the portal shows for
// airflow.cfg on the page of d.
func (d *deployment) snippet(t *testing.T, pattern string) string {
	t.Helper()
	page := html.UnescapeString(d.portal.page(t, d.portal.url()+"/deployments/"+string(d.id)))
	m := regexp.MustCompile(pattern).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("the page of the Deployment shows nothing like %s", pattern)
	}
	line, _, _ := strings.Cut(m[1], "<")
	return strings.ReplaceAll(line, "%%", "%")
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
