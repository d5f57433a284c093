package web

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/internal/bundle"
	"slipway/internal/bundle/buckettest"
	"slipway/internal/slipway"
	"slipway/store/storetest"
)

// Agents read from the bucket itself, where it can sign, and do not show it
// their token; the portal sends what they need where it cannot.
func TestRemoteAgentMountsFromABucket(t *testing.T) {
	for name, start := range buckettest.Kinds {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			a := appOn(t, Config{}, func(dir string) (*bundle.Store, error) { return bundle.OpenBucket(t.Context(), dir, b.Address) })
			a.World = storetest.Seed(t, a.store)
			a.run(t)
			a.Sales = a.remoteDeployment(t)
			token, _ := a.agentToken(t, a.Sales.ID)
			dir, _ := a.remote(t, token, "worker-0")
			eventually(t, "it has reported", func() bool { return len(a.engine.Components(a.Sales.ID)) == 1 })
			live := a.live(t, a.Eve, map[string]string{"a.py": dag, "sales/b.py": dag + "# b"})
			if got, err := os.ReadFile(filepath.Join(dir, "current/dags/sales/b.py")); err != nil || string(got) != dag+"# b" {
				t.Errorf("mounted %q, %v", got, err)
			}
			files, err := a.engine.Files(t.Context(), a.Sales, live.Version)
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{"manifests/" + live.Version.Dir(), "packs/" + files[0].Pack} {
				w := a.asAgent(t, token, http.MethodGet, path, "")
				to := w.Header().Get("Location")
				if signed := w.Code == http.StatusTemporaryRedirect && strings.HasPrefix(to, "http://"+addr(b)); signed != b.Signs || !signed && w.Code != http.StatusOK {
					t.Errorf("%s: answer %d to %q", path, w.Code, to)
				}
				if b.Signs && w.Header().Get("Cache-Control") != "no-store" {
					t.Errorf("%s: the signed address may be kept: %v", path, w.Header())
				}
			}
		})
	}
}

// While a deploy waits for the bucket, its page and the readiness say why.
func TestPagesOfABucketThatIsAway(t *testing.T) {
	b := buckettest.Fake(t)
	a := appOn(t, Config{}, func(dir string) (*bundle.Store, error) { return bundle.OpenBucket(t.Context(), dir, b.Address) })
	a.World = storetest.Seed(t, a.store)
	a.run(t)
	w := a.staged(t, a.Eve, map[string]string{"a.py": dag})
	a.staged(t, a.Eve, map[string]string{"b.py": dag, ".airflowignore": "c.py\n"})
	b.Proxy.Set(buckettest.Refuse)
	a.confirm(t, a.Eve, w.Number)
	const unknown = "Slipway does not know whether there is anything to remark"
	const reason = "The bucket s3://slipway cannot be reached"
	for end := time.Now().Add(time.Minute); a.engine.Trouble(a.Sales.ID) == "" && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond) // a driver's tries
	}
	want(t, a.as(t, a.Mia).get(a.page("/deploys/1")), http.StatusOK, reason, "The deploy waits for the end of this fault", `"grow">a.py`, unknown)
	review := a.as(t, a.Eve).get(a.page("/deploys/2"))
	want(t, review, http.StatusOK, `href="#review">Why it cannot be confirmed`, reason, `"grow">.airflowignore`, unknown)
	if strings.Contains(review.Body.String(), "Airflow will show no DAGs") {
		t.Error("the page of the staged deploy judges what it cannot know")
	}
	want(t, a.as(t, a.Mia).get(a.page("")), http.StatusOK, reason)
	near := httptest.NewRequest(http.MethodGet, "/readyz", nil)
	near.RemoteAddr = "10.1.2.3:1234"
	want(t, a.browser(t).do(near), http.StatusServiceUnavailable, "not ready: "+reason)
	if far := a.browser(t).get("/readyz"); far.Code != http.StatusServiceUnavailable || far.Body.String() != "not ready: storage\n" {
		t.Errorf("from elsewhere: %d %s", far.Code, far.Body)
	}
	want(t, a.as(t, a.Mia).get(a.page("/deploys/1/patch")), http.StatusServiceUnavailable, reason)
	b.Proxy.Set(buckettest.None)
	for end := time.Now().Add(2 * time.Minute); a.deploy(t, w.Number).Status != slipway.Deployed; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the deploy does not go on")
		}
	}
	if body := text(a.as(t, a.Mia).get(a.page("/deploys/1"))); strings.Contains(body, reason) {
		t.Errorf("the page still says %q", body)
	}
}

func addr(b buckettest.Bucket) string {
	if b.Proxy == nil {
		return ""
	}
	return b.Proxy.Addr()
}
