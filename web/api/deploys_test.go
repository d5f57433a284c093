package api_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// blob is the client that the CLI uploads with.
func (a *app) blob(t *testing.T, d started) *blockblob.Client {
	t.Helper()
	client, err := blockblob.NewClientWithNoCredential(d.url, &blockblob.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: a.server.Client(), Retry: policy.RetryOptions{MaxRetries: 1, RetryDelay: time.Millisecond},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestDeploy is the sequence of section 5, with the very client of the CLI.
func TestDeploy(t *testing.T) {
	noise := make([]byte, 60<<20)
	rand.Read(noise) // it never fails
	for name, tt := range map[string]struct {
		serve func(http.Handler) *httptest.Server
		noise []byte
	}{
		"small, http":  {serve: httptest.NewServer},
		"small, https": {serve: httptest.NewTLSServer},
		"60 MB, http":  {serve: httptest.NewServer, noise: noise},
		"60 MB, https": {serve: httptest.NewTLSServer, noise: noise},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAppOn(t, tt.serve)
			o := a.get(t, a.sales())
			if o["isCicdEnforced"] != false || o["workspaceId"] != string(a.Workspace.ID) || o["isDagDeployEnabled"] != true {
				t.Fatalf("%v", o)
			}
			w := a.post(t, a.sales()+"/deploys", `{"type":"DAG_ONLY","description":"nightly","git":{"provider":"GITHUB","account":"acme","repo":"dags",
				"branch":"main","commitSha":"abc123","commitUrl":"https://github.com/acme/dags/commit/abc123","authorName":"Eve","path":"airflow"}}`)
			wantOK(t, w)
			d := started{w.body["id"].(string), w.body["dagsUploadUrl"].(string)}
			b := archiveOf(t, map[string]string{"a.py": dag, "noise.bin": string(tt.noise)})

			up, err := a.blob(t, d).UploadStream(t.Context(), bytes.NewReader(b), nil)
			if err != nil || up.VersionID == nil {
				t.Fatalf("upload: %+v, %v", up, err)
			}
			fin := a.finalize(t, d, *up.VersionID)

			wantOK(t, fin)
			if fin.body["dagTarballVersion"] != *up.VersionID || fin.body["id"] != d.id {
				t.Errorf("finalized: %v", fin.body)
			}
			git := a.awaitDeployed(t, d)["git"].(map[string]any)
			if git["commitSha"] != "abc123" || git["branch"] != "main" || git["repo"] != "acme/dags" || git["authorName"] != "Eve" ||
				git["commitUrl"] != "https://github.com/acme/dags/commit/abc123" {
				t.Errorf("git: %v", git)
			}
			if a.mounted(t, "a.py") != dag || a.mounted(t, "noise.bin") != string(tt.noise) {
				t.Error("Airflow sees other files")
			}
			if o := a.get(t, a.sales()); o["status"] != "HEALTHY" || o["dagTarballVersion"] != *up.VersionID {
				t.Errorf("afterwards: %v", o)
			}
		})
	}
}

func TestFinalizeRefusals(t *testing.T) {
	a := newApp(t)
	d, other := a.start(t), a.start(t)
	wantRefused(t, a.finalize(t, d, "2026-11-22T14:03:51.2040000Z"), http.StatusConflict, "have not been uploaded yet")
	version := a.upload(t, d, map[string]string{"a.py": dag})
	foreign := a.upload(t, other, map[string]string{"b.py": dag})
	wantRefused(t, a.finalize(t, d, foreign), http.StatusBadRequest, "is not that of deploy #1")
	wantRefused(t, a.finalize(t, d, ""), http.StatusBadRequest, "dagTarballVersion is empty")
	wantRefused(t, a.post(t, a.sales()+"/deploys/nope/finalize", `{}`), http.StatusNotFound, "There is no deploy nope")
	wantOK(t, a.finalize(t, d, version))
	again := a.finalize(t, d, version)
	wantOK(t, again)
	if again.body["id"] != d.id || again.body["dagTarballVersion"] != version {
		t.Errorf("finalized twice: %v", again.body)
	}
	wantRefused(t, a.finalize(t, d, foreign), http.StatusBadRequest, "is not that of deploy #1")
	a.awaitDeployed(t, d)

	bad := a.start(t)
	wantBlob(t, a.put(t, bad.url, []byte("this is no archive"), "x-ms-blob-type", "BlockBlob"), http.StatusCreated, "")
	w := a.finalize(t, bad, "2026-11-22T14:03:51.2040000Z")
	if w.status != http.StatusBadRequest || !strings.Contains(w.body["message"].(string), "archive") {
		t.Errorf("answer %d %s", w.status, w.text)
	}
}

// A deploy of another Deployment is none here.
func TestDeployOfAnotherDeployment(t *testing.T) {
	a := newApp(t)
	d := a.start(t)
	version := a.upload(t, d, map[string]string{"a.py": dag})
	var second slipway.Deployment
	storetest.Update(t, a.store, func(tx *store.Tx) (err error) {
		second, err = storetest.AddDeployment(tx, a.Workspace.ID, "second")
		return err
	})
	path := orgPath + "/deployments/" + string(second.ID) + "/deploys/" + d.id
	wantRefused(t, a.post(t, path+"/finalize", `{"dagTarballVersion":"`+version+`"}`), http.StatusNotFound, "There is no deploy")
	wantRefused(t, a.send(t, a.owner, "GET", path, ""), http.StatusNotFound, "There is no deploy")
}

func TestOrderOfFinalizingWins(t *testing.T) {
	a := newApp(t)
	first, second := a.start(t), a.start(t)
	v1, v2 := a.upload(t, first, map[string]string{"a.py": dag + "# first\n"}), a.upload(t, second, map[string]string{"a.py": dag + "# second\n"})
	wantOK(t, a.finalize(t, second, v2))
	wantOK(t, a.finalize(t, first, v1))
	a.awaitDeployed(t, second)
	a.awaitDeployed(t, first)
	if got := a.mounted(t, "a.py"); !strings.HasSuffix(got, "# first\n") {
		t.Errorf("Airflow sees %q", got)
	}
}

// From finalizing on, until the version is live everywhere, --wait must wait.
func TestStatusWhileDeploying(t *testing.T) {
	a := newApp(t)
	a.deployed(t, map[string]string{"a.py": dag})
	if o := a.get(t, a.sales()); o["status"] != "HEALTHY" {
		t.Fatalf("status %v: %v", o["status"], o["statusReason"])
	}
	d := a.start(t)
	version := a.upload(t, d, map[string]string{"a.py": dag + "#2\n"})
	wantOK(t, a.finalize(t, d, version))
	for {
		o := a.get(t, a.sales())
		if o["status"] == "HEALTHY" {
			break
		}
		if o["status"] != "DEPLOYING" {
			t.Fatalf("status %v: %v", o["status"], o["statusReason"])
		}
	}
	if !strings.HasSuffix(a.mounted(t, "a.py"), "#2\n") {
		t.Error("it was HEALTHY before the new version was live")
	}
}

func TestWarningsAndGuard(t *testing.T) {
	a := newApp(t)
	a.deployed(t, map[string]string{"a.py": dag, "b.py": dag})
	d := a.start(t)
	wantOK(t, a.finalize(t, d, a.upload(t, d, map[string]string{"a.py": dag})))
	if w := a.awaitDeployed(t, d); w["note"] != "It removes the DAG file b.py." {
		t.Errorf("note %q", w["note"])
	}
	wantOK(t, a.post(t, a.sales(), `{"isApiDeployGuarded":true}`))
	d = a.start(t)
	version := a.upload(t, d, map[string]string{"x.txt": "no DAG"})
	wantRefused(t, a.finalize(t, d, version), http.StatusConflict,
		fmt.Sprintf("has to confirm this one. Open %s/deployments/%s/deploys/3", a.server.URL, a.Sales.ID))
	if w := a.get(t, a.sales()+"/deploys/"+d.id); w["status"] != "STAGED" {
		t.Errorf("the guarded deploy is %v", w["status"])
	}
	if _, err := a.engine.Confirm(t.Context(), a.Sales.ID, 3, a.Eve, versionNow(t, a), slipway.Ticks{RemoveDAGs: true, NoDAGs: true}); err != nil {
		t.Fatal(err)
	}
	a.awaitDeployed(t, d)
}

func versionNow(t *testing.T, a *app) (v slipway.Version) {
	storetest.View(t, a.store, func(tx *store.Tx) error {
		d, err := tx.LoadDeployment(a.Sales.ID)
		v = d.Version
		return err
	})
	return v
}

func TestRollback(t *testing.T) {
	a := newApp(t)
	first := a.deployed(t, map[string]string{"a.py": dag + "#1\n"})
	a.deployed(t, map[string]string{"a.py": dag + "#2\n"})
	w := a.post(t, a.sales()+"/deploys/"+first.id+"/rollback", `{"description":"undo"}`)
	wantOK(t, w)
	if w.body["returnTo"] != float64(1) || w.body["description"] != "undo" {
		t.Errorf("%v", w.body)
	}
	a.awaitDeployed(t, started{id: w.body["id"].(string)})
	if got := a.mounted(t, "a.py"); !strings.HasSuffix(got, "#1\n") {
		t.Errorf("Airflow sees %q", got)
	}
	wantRefused(t, a.post(t, a.sales()+"/deploys/"+first.id+"/rollback", `{}`), http.StatusConflict, "is what runs already")
}

func TestListDeploys(t *testing.T) {
	a := newApp(t)
	for range 5 {
		a.start(t)
	}
	for query, want := range map[string]string{
		"": "5 4 3 2 1", "?limit=2": "5 4", "?limit=2&offset=2": "3 2", "?offset=4": "1", "?offset=5": "", "?offset=9": "", "?limit=0": "",
	} {
		w := a.get(t, a.sales()+"/deploys"+query)
		var got []string
		for _, d := range w["deploys"].([]any) {
			got = append(got, fmt.Sprint(d.(map[string]any)["number"]))
		}
		if strings.Join(got, " ") != want || w["totalCount"] != float64(5) {
			t.Errorf("%q: %v of %v, want %s", query, got, w["totalCount"], want)
		}
	}
}

func TestCreateDeployRefusals(t *testing.T) {
	a := newApp(t)
	for body, want := range map[string]string{
		`{"type":"BUNDLE","bundleType":"dbt"}`: "does not take dbt bundles",
		`{"type":"NONE"}`:                      "There is no kind of deploy",
		`{`:                                    "is not the JSON that belongs here: unexpected EOF.",
		`[]`:                                   "is not the JSON that belongs here: it is an object, and not of the kind array.",
		`{"type":7}`:                           "is not the JSON that belongs here: type is a string, and not of the kind number.",
		`{"type":{}}`:                          "is not the JSON that belongs here: type is a string, and not of the kind object.",
	} {
		wantRefused(t, a.post(t, a.sales()+"/deploys", body), http.StatusBadRequest, want)
	}
	wantOK(t, a.post(t, a.sales()+"/deploys", `{"type":"DAG_ONLY","description":"`+strings.Repeat("é", 2000)+`\u0007"}`))
	big := a.post(t, a.sales()+"/deploys", `{"type":"DAG_ONLY","description":"`+strings.Repeat("x", 2<<20)+`"}`)
	wantRefused(t, big, http.StatusRequestEntityTooLarge, "at most 1024 KiB")
}

// With CI/CD enforcement tokens deploy, and people who are logged in do not.
func TestEnforcement(t *testing.T) {
	a := newApp(t)
	wantOK(t, a.post(t, a.sales(), `{"isCicdEnforced":true}`))
	const body = `{"type":"DAG_ONLY","description":""}`
	wantRefused(t, a.send(t, a.login(t, a.Ada.User), "POST", a.sales()+"/deploys", body), http.StatusForbidden, "only API tokens deploy")
	wantOK(t, a.post(t, a.sales()+"/deploys", body))
}
