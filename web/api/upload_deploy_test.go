package api_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/internal/auth"
	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// sendArchive posts an archive as curl --data-binary does, with headers.
func (a *app) sendArchive(t *testing.T, token, query string, body io.Reader, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", a.server.URL+a.sales()+"/deploys/upload?"+query, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded") // curl's own
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return a.do(t, r)
}

func (a *app) deployNow(t *testing.T, query string, files map[string]string, header ...string) answer {
	t.Helper()
	return a.sendArchive(t, a.owner, query, bytes.NewReader(archiveOf(t, files)), header...)
}

// total is how many deploys there are.
func (a *app) total(t *testing.T) any {
	t.Helper()
	return a.get(t, a.sales()+"/deploys")["totalCount"]
}

func TestUploadDeploy(t *testing.T) {
	a := newApp(t)
	query := url.Values{
		"wait": {"30s"}, "description": {"nightly"}, "name": {"dags.tar.gz"},
		"commit": {"abc123"}, "branch": {"main"}, "repository": {"acme/dags"}, "url": {"https://git.example.com/c/abc123"}, "author": {"Eve"},
	}
	w := a.deployNow(t, query.Encode(), map[string]string{"a.py": dag, "b.py": dag})
	wantOK(t, w)
	git := w.body["git"].(map[string]any)
	if w.body["status"] != "DEPLOYED" || w.body["number"] != float64(1) || w.body["description"] != "nightly" ||
		w.body["url"] != a.server.URL+"/deployments/"+string(a.Sales.ID)+"/deploys/1" || len(w.body["warnings"].([]any)) != 0 {
		t.Errorf("%v", w.body)
	}
	if git["commitSha"] != "abc123" || git["branch"] != "main" || git["repo"] != "acme/dags" || git["commitUrl"] != "https://git.example.com/c/abc123" || git["authorName"] != "Eve" {
		t.Errorf("git: %v", git)
	}
	if a.mounted(t, "a.py") != dag {
		t.Error("Airflow does not see it")
	}

	w = a.deployNow(t, "wait=30s", map[string]string{"a.py": dag})
	wantOK(t, w)
	if warnings := w.body["warnings"].([]any); len(warnings) != 1 || !strings.Contains(warnings[0].(string), "b.py") {
		t.Errorf("warnings: %v", warnings)
	}
	w = a.deployNow(t, "wait=30s&merge=add&folder=more", map[string]string{"c.txt": "x"})
	wantOK(t, w)
	if a.mounted(t, "a.py") != dag || a.mounted(t, "more/c.txt") != "x" {
		t.Error("a.py and more/c.txt are not both there")
	}
}

// TestUploadDeployDoesNotWait unless it is asked to.
func TestUploadDeployDoesNotWait(t *testing.T) {
	a := newApp(t)
	w := a.deployNow(t, "", map[string]string{"a.py": dag})
	wantOK(t, w)
	if w.body["finalizedBy"] == nil {
		t.Errorf("it is not finalized: %v", w.body)
	}
	a.awaitDeployed(t, started{id: w.body["id"].(string)})
}

// field is a field of a form; a file has a name.
type field struct{ name, file, text string }

func (f field) write(t *testing.T, m *multipart.Writer) {
	t.Helper()
	create := m.CreateFormField
	if f.file != "" {
		create = func(name string) (io.Writer, error) { return m.CreateFormFile(name, f.file) }
	}
	part, err := create(f.name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(part, f.text); err != nil {
		t.Fatal(err)
	}
}

func TestUploadDeployForm(t *testing.T) {
	a := newApp(t)
	b := string(archiveOf(t, map[string]string{"a.py": dag}))
	for name, tt := range map[string]struct {
		fields []field
		status int
		says   string
	}{
		"fields, then the archive": {[]field{{"description", "", "by form"}, {"wait", "", "30s"}, {"archive", "dags.tar.gz", b}}, 200, ""},
		"the archive, then fields": {[]field{{"archive", "dags.tar.gz", b}, {"description", "", "late"}}, 400, `The field "description" comes after the archive.`},
		"no archive":               {[]field{{"description", "", "x"}}, 400, "no field archive"},
		"a field too many":         {[]field{{"colour", "", "red"}, {"archive", "x", b}}, 400, `There is no field "colour"`},
		"a field too long":         {[]field{{"description", "", strings.Repeat("x", 70<<10)}, {"archive", "x", b}}, 413, "is too long"},
	} {
		t.Run(name, func(t *testing.T) {
			var form bytes.Buffer
			m := multipart.NewWriter(&form)
			for _, f := range tt.fields {
				f.write(t, m)
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			w := a.sendArchive(t, a.owner, "", &form, "Content-Type", m.FormDataContentType())
			if tt.status != http.StatusOK {
				wantRefused(t, w, tt.status, tt.says)
				return
			}
			wantOK(t, w)
			if w.body["status"] != "DEPLOYED" || w.body["description"] != "by form" {
				t.Errorf("%v", w.body)
			}
		})
	}
	for _, o := range a.get(t, a.sales()+"/deploys")["deploys"].([]any) {
		if w := o.(map[string]any); w["status"] != "DEPLOYED" && (w["status"] != "FAILED" || w["reason"] == "") {
			t.Errorf("left over: %v", w)
		}
	}
}

func TestUploadDeployRefused(t *testing.T) {
	a := newApp(t)
	good := string(archiveOf(t, map[string]string{"a.py": dag}))
	bound := a.token(t, store.Token{Workspace: a.Workspace.ID, Role: slipway.Author, Kinds: slipway.FolderKinds, Folder: "team_b"})
	for name, tt := range map[string]struct {
		by, query, body string
		status          int
		says            string
	}{
		"no token":      {"", "", good, 401, "Send an API token"},
		"Member":        {a.login(t, a.Mia.User), "", good, 403, "needs the Author role"},
		"stranger":      {a.login(t, a.Sam.User), "", good, 404, "There is no Deployment"},
		"of other kind": {a.token(t, store.Token{Workspace: a.Workspace.ID, Role: slipway.Owner, Kinds: "IMAGE_ONLY"}), "", good, 403, "only make deploys of the kind Image."},
		"no archive":    {a.owner, "", "hello", 400, "archive"},
		"empty":         {a.owner, "", "", 400, "is empty"},
		"broken":        {a.owner, "", good[:len(good)-20], 400, ""},
		"base":          {a.owner, "base=1.2.3", good, 400, "base is a bundle version"},
		"wait":          {a.owner, "wait=1h", good, 400, "wait is a time up to 10m0s"},
		"merge":         {a.owner, "merge=mix", good, 400, "Say whether the files are added"},
		"folder":        {a.owner, "folder=../x", good, 400, ".."},
		"no folder":     {a.owner, "merge=folder", good, 400, "Name the folder inside dags"},
		"bound":         {bound, "folder=team_a", good, 403, "changes the folder dags/team_b alone, and not dags/team_a."},
		"bound, dags":   {bound, "folder=dags/&merge=add", good, 403, "and not dags."},
		"bound, all":    {bound, "merge=replace", good, 403, "or send merge=folder."},
		"bound, image":  {bound, "type=IMAGE_ONLY&image=quay.io/acme/airflow:1", "", 403, "only make deploys of the kind DAGs."},
		"unknown":       {a.owner, "colour=red", good, 400, "There is no field"},
	} {
		t.Run(name, func(t *testing.T) {
			wantRefused(t, a.sendArchive(t, tt.by, tt.query, strings.NewReader(tt.body)), tt.status, tt.says)
		})
	}
	wantRefused(t, a.deployNow(t, "", map[string]string{"a.py": dag}, "Idempotency-Key", "two words"), 400, "An Idempotency-Key has")
	if a.mounted(t, "a.py") != "" {
		t.Error("something was deployed")
	}
}

// TestUploadToAFolder: a named folder is replaced alone, and a token for one folder
// deploys there without naming the folder.
func TestUploadToAFolder(t *testing.T) {
	a := newApp(t)
	wantOK(t, a.deployNow(t, "wait=30s", map[string]string{"team_a/a.py": dag, "team_b/b.py": dag, "team_b/old.py": dag}))
	bound := a.token(t, store.Token{Workspace: a.Workspace.ID, Role: slipway.Author, Kinds: slipway.FolderKinds, Folder: "team_b"})
	for _, tt := range []struct {
		by, query, folder, merge string
	}{
		{a.owner, "folder=dags/team_b", "team_b", "folder"},
		{a.owner, "folder=team_b&merge=add", "team_b", "add"},
		{bound, "", "team_b", "folder"},
		{bound, "folder=team_b/sql", "team_b/sql", "folder"},
		{bound, "merge=add", "team_b", "add"},
	} {
		w := a.sendArchive(t, tt.by, "wait=30s&"+tt.query, bytes.NewReader(archiveOf(t, map[string]string{"b.py": dag, "new.py": dag + "# " + tt.query})))
		wantOK(t, w)
		if w.body["folder"] != tt.folder || w.body["merge"] != tt.merge || w.body["status"] != "DEPLOYED" {
			t.Errorf("%q: %v", tt.query, w.body)
		}
	}
	for path, want := range map[string]bool{"team_a/a.py": true, "team_b/b.py": true, "team_b/new.py": true, "team_b/sql/b.py": true, "team_b/old.py": false, "b.py": false} {
		if got := a.mounted(t, path) != ""; got != want {
			t.Errorf("%s is mounted: %v", path, got)
		}
	}
	first := a.get(t, a.sales()+"/deploys?limit=100")["deploys"].([]any)[5].(map[string]any)
	wantRefused(t, a.send(t, bound, "POST", a.sales()+"/deploys/"+first["id"].(string)+"/rollback", "{}"), 403, "a return restores all files")
}

func TestUploadDeployBase(t *testing.T) {
	a := newApp(t)
	first := a.deployNow(t, "wait=30s&base=none", map[string]string{"a.py": dag})
	wantOK(t, first)
	version := first.body["dagTarballVersion"].(string)
	wantRefused(t, a.deployNow(t, "base=none", map[string]string{"a.py": "x"}), 409, "The bundle version none was expected, but "+version+" is wanted by now.")
	wantOK(t, a.deployNow(t, "wait=30s&base="+url.QueryEscape(version), map[string]string{"a.py": dag, "b.py": dag}))
	wantRefused(t, a.deployNow(t, "base="+url.QueryEscape(version), map[string]string{"a.py": "x"}), 409, "was expected")
	if a.total(t) != float64(2) {
		t.Errorf("%v deploys, want 2", a.total(t))
	}
}

func TestIdempotencyKey(t *testing.T) {
	a := newApp(t)
	files := map[string]string{"a.py": dag}
	first := a.deployNow(t, "wait=30s", files, "Idempotency-Key", "run-17")
	again := a.deployNow(t, "wait=30s", files, "Idempotency-Key", "run-17")
	wantOK(t, first)
	wantOK(t, again)
	if again.body["id"] != first.body["id"] || a.total(t) != float64(1) {
		t.Errorf("%v, then %v of %v", first.body["id"], again.body["id"], a.total(t))
	}
	other := a.deployNow(t, "wait=30s", files, "Idempotency-Key", "run-18")
	token := a.sendArchive(t, a.token(t, store.Token{Workspace: a.Workspace.ID, Role: slipway.Author}), "wait=30s",
		bytes.NewReader(archiveOf(t, files)), "Idempotency-Key", "run-17")
	a.later.Store(int64(25 * time.Hour))
	later := a.deployNow(t, "wait=30s", files, "Idempotency-Key", "run-17")
	for name, w := range map[string]answer{"another key": other, "another token": token, "a day later": later} {
		wantOK(t, w)
		if w.body["id"] == first.body["id"] {
			t.Errorf("%s: the same deploy", name)
		}
	}
	if a.total(t) != float64(4) {
		t.Errorf("%v deploys, want 4", a.total(t))
	}
}

// repacked is the archive of the same files with other bytes: another order, other
// times, another compression.
func repacked(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	names := slices.Sorted(maps.Keys(files))
	slices.Reverse(names)
	for _, name := range names {
		text := files[name]
		if err := w.WriteHeader(&tar.Header{Name: "dags/" + name, Mode: 0o644, Size: int64(len(text)), ModTime: time.Unix(1e9, 0)}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestIdempotencyKeyIsBound: a key belongs to the content of a request. Other
// content is refused by name, and nothing is deployed.
func TestIdempotencyKeyIsBound(t *testing.T) {
	a := newApp(t)
	files := map[string]string{"a.py": dag, "b.txt": "b"}
	const query = "wait=30s&description=nightly&commit=abc"
	first := a.deployNow(t, query, files, "Idempotency-Key", "k")
	wantOK(t, first)
	b := archiveOf(t, files)
	for name, tt := range map[string]struct {
		query string
		body  []byte
		other string // the fields that differ; "": the same deploy
	}{
		"the same":             {query, b, ""},
		"another wait":         {"wait=29s&description=nightly&commit=abc", b, ""},
		"another base":         {query + "&base=" + url.QueryEscape(first.body["dagTarballVersion"].(string)), b, ""},
		"another name":         {query + "&name=tmp.123", b, ""},
		"packed again":         {query, repacked(t, files), ""},
		"one file more":        {query, archiveOf(t, map[string]string{"a.py": dag, "b.txt": "b", "c.txt": ""}), "archive"},
		"one byte":             {query, archiveOf(t, map[string]string{"a.py": dag, "b.txt": "c"}), "archive"},
		"one file less":        {query, archiveOf(t, map[string]string{"a.py": dag}), "archive"},
		"no archive":           {query, []byte("hello"), "archive"},
		"half an archive":      {query, b[:len(b)/2], "archive"},
		"empty":                {query, nil, "archive"},
		"a mode":               {query + "&merge=add", b, "merge"},
		"a folder":             {query + "&folder=team", b, "folder, merge"},
		"the usual merge":      {query + "&merge=replace", b, ""},
		"dags as the folder":   {query + "&folder=dags", b, ""},
		"a description":        {"wait=30s&description=other&commit=abc", b, "description"},
		"a dags folder":        {query + "&dagsPath=.", b, "dagsPath"},
		"commit and archive":   {"wait=30s&description=nightly&commit=def", archiveOf(t, map[string]string{"a.py": "x"}), "archive, commit"},
		"an image":             {query + "&type=IMAGE_AND_DAG&image=quay.io/acme/airflow:1", b, "image, type"},
		"an image, no archive": {query + "&type=IMAGE_ONLY&image=quay.io/acme/airflow:1", nil, "archive, image, type"},
	} {
		t.Run(name, func(t *testing.T) {
			w := a.sendArchive(t, a.owner, tt.query, bytes.NewReader(tt.body), "Idempotency-Key", "k")
			if tt.other != "" {
				wantRefused(t, w, 422, "The Idempotency-Key k belongs to deploy #1, which was made with another value of: "+tt.other+".")
				return
			}
			wantOK(t, w)
			if w.body["id"] != first.body["id"] || w.body["isWanted"] != true {
				t.Errorf("%v", w.body)
			}
		})
	}
	if a.total(t) != float64(1) {
		t.Errorf("%v deploys, want 1", a.total(t))
	}
}

// TestIdempotencyKeyOfOneFolder: all names of a folder make the same request.
func TestIdempotencyKeyOfOneFolder(t *testing.T) {
	a := newApp(t)
	files := map[string]string{"a.py": dag}
	first := a.deployNow(t, "wait=30s&folder=dags/team", files, "Idempotency-Key", "k")
	wantOK(t, first)
	for _, query := range []string{"folder=team", "folder=team/", `folder=dags%5Cteam`, "folder=team&merge=folder"} {
		if w := a.deployNow(t, "wait=30s&"+query, files, "Idempotency-Key", "k"); w.status != 200 || w.body["id"] != first.body["id"] {
			t.Errorf("%s: %d, %v", query, w.status, w.body)
		}
	}
	wantRefused(t, a.deployNow(t, "wait=30s&folder=team&merge=add", files, "Idempotency-Key", "k"), 422, "another value of: merge.")
}

// TestIdempotencyKeyOfABrokenRequest: a request under a known key whose body
// breaks off is none, and too large a body is refused.
func TestIdempotencyKeyOfABrokenRequest(t *testing.T) {
	a := newAppOn(t, httptest.NewServer, func(c *deploy.Config) { c.Limits.Archive = 4096 })
	files := map[string]string{"a.py": dag}
	wantOK(t, a.deployNow(t, "wait=30s", files, "Idempotency-Key", "k"))
	wantRefused(t, a.sendArchive(t, a.owner, "", bytes.NewReader(make([]byte, 4097)), "Idempotency-Key", "k"), 413, "too large")
	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	field{"archive", "x", string(archiveOf(t, files))}.write(t, m)
	broken := a.sendArchive(t, a.owner, "", bytes.NewReader(form.Bytes()), "Idempotency-Key", "k", "Content-Type", m.FormDataContentType())
	wantRefused(t, broken, 400, "broke off")
	field{"description", "", "late"}.write(t, m)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	late := a.sendArchive(t, a.owner, "", &form, "Idempotency-Key", "k", "Content-Type", m.FormDataContentType())
	wantRefused(t, late, 400, "comes after the archive")
}

// TestIdempotencyKeyOfADemotedToken: a token that may no longer deploy is refused
// before its key is looked up.
func TestIdempotencyKeyOfADemotedToken(t *testing.T) {
	a := newApp(t)
	files := map[string]string{"a.py": dag}
	wantOK(t, a.deployNow(t, "wait=30s", files, "Idempotency-Key", "k"))
	wantOK(t, a.deployNow(t, "wait=30s", files, "Idempotency-Key", "k"))
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		of, err := tx.Token(auth.Fingerprint(a.owner))
		if err != nil {
			return err
		}
		of.Role = slipway.Member
		_, err = tx.SaveToken(of)
		return err
	})
	for _, key := range []string{"k", "new", ""} {
		for _, content := range []string{dag, dag + "# other"} {
			wantRefused(t, a.deployNow(t, "wait=30s", map[string]string{"a.py": content}, "Idempotency-Key", key), 403, "")
		}
	}
}

// TestRepeatedDeployIsNoLongerWanted: a repeated request tells that another deploy
// replaced its own, until the same code is wanted again.
func TestRepeatedDeployIsNoLongerWanted(t *testing.T) {
	a := newApp(t)
	files := map[string]string{"a.py": dag}
	first := a.deployNow(t, "wait=30s", files, "Idempotency-Key", "k")
	wantOK(t, first)
	wantOK(t, a.deployNow(t, "wait=30s", map[string]string{"a.py": dag + "#"}))
	w := a.deployNow(t, "wait=30s", files, "Idempotency-Key", "k")
	wantOK(t, w)
	warnings := w.body["warnings"].([]any)
	if w.body["status"] != "DEPLOYED" || w.body["isWanted"] != false || len(warnings) != 1 || !strings.HasPrefix(warnings[0].(string), "Deploy #1 is no longer wanted: #2 came after it.") {
		t.Errorf("%v", w.body)
	}
	wantOK(t, a.post(t, a.sales()+"/deploys/"+first.body["id"].(string)+"/rollback", `{}`))
	w = a.deployNow(t, "wait=30s", files, "Idempotency-Key", "k")
	wantOK(t, w)
	if w.body["isWanted"] != true || len(w.body["warnings"].([]any)) != 0 || a.total(t) != float64(3) {
		t.Errorf("%v of %v", w.body, a.total(t))
	}
}

// TestIdempotencyKeyAfterAFailure: a deploy that failed is tried again under the
// same key, also with other files.
func TestIdempotencyKeyAfterAFailure(t *testing.T) {
	a := newAppOn(t, httptest.NewServer, func(c *deploy.Config) { c.MountTimeout = 300 * time.Millisecond })
	lagging := slipway.Report{Component: "worker-0"} // mounts nothing
	if err := a.engine.Portal(a.Sales).Report(t.Context(), lagging); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"a.py": dag}
	wantRefused(t, a.deployNow(t, "wait=30s", files, "Idempotency-Key", "k"), 409, "Deploy #1 is failed.")
	wantRefused(t, a.deployNow(t, "wait=30s", files, "Idempotency-Key", "k"), 409, "Deploy #2 is failed.")
	lagging.Leaving = true
	if err := a.engine.Portal(a.Sales).Report(t.Context(), lagging); err != nil {
		t.Fatal(err)
	}
	fixed := map[string]string{"a.py": dag + "# fixed"}
	for range 2 {
		w := a.deployNow(t, "wait=30s", fixed, "Idempotency-Key", "k")
		wantOK(t, w)
		if w.body["number"] != float64(3) || w.body["status"] != "DEPLOYED" || w.body["isWanted"] != true {
			t.Errorf("%v", w.body)
		}
	}
}

// TestIdempotencyKeyAfterARefusal: what never went live may be tried again.
func TestIdempotencyKeyAfterARefusal(t *testing.T) {
	a := newApp(t)
	wantRefused(t, a.sendArchive(t, a.owner, "wait=30s", strings.NewReader("no archive"), "Idempotency-Key", "k"), 400, "")
	w := a.deployNow(t, "wait=30s", map[string]string{"a.py": dag}, "Idempotency-Key", "k")
	wantOK(t, w)
	again := a.deployNow(t, "wait=30s", map[string]string{"a.py": dag}, "Idempotency-Key", "k")
	wantOK(t, again)
	if w.body["number"] != float64(2) || again.body["id"] != w.body["id"] || a.total(t) != float64(2) {
		t.Errorf("%v, then %v of %v", w.body["number"], again.body["number"], a.total(t))
	}
}

// TestIdempotencyKeyAfterACancel: what a person gave up is not deployed again by
// the same request.
func TestIdempotencyKeyAfterACancel(t *testing.T) {
	a := newApp(t)
	wantOK(t, a.deployNow(t, "wait=30s", map[string]string{"a.py": dag, "b.py": dag}))
	wantOK(t, a.post(t, a.sales(), `{"isApiDeployGuarded":true}`))
	files := map[string]string{"a.py": dag}
	wantRefused(t, a.deployNow(t, "wait=30s", files, "Idempotency-Key", "k"), 409, "a person has to confirm this one")
	if _, err := a.engine.Cancel(t.Context(), a.Sales.ID, 2, a.Ada); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, a.deployNow(t, "wait=30s", files, "Idempotency-Key", "k"), 409, "Deploy #2 is cancelled. Discarded by Ada Lovelace. Send another Idempotency-Key")
	if a.total(t) != float64(2) {
		t.Errorf("%v deploys, want 2", a.total(t))
	}
}

// TestUploadsAgainstOneBase: of many at once that expect the same version one
// goes live. The others say in the history what their senders were told.
func TestUploadsAgainstOneBase(t *testing.T) {
	a := newApp(t)
	const n = 12
	answers := make(chan answer, n)
	for i := range n {
		body := archiveOf(t, map[string]string{"a.py": fmt.Sprint(dag, i)})
		go func() {
			answers <- a.sendArchive(t, a.owner, "wait=30s&base=none", bytes.NewReader(body))
		}()
	}
	live := 0
	for range n {
		w := <-answers
		if w.status == http.StatusOK {
			live++
			continue
		}
		wantRefused(t, w, 409, "The bundle version none was expected, but ")
	}
	for _, o := range a.get(t, a.sales()+"/deploys")["deploys"].([]any) {
		w := o.(map[string]any)
		reason, _ := w["reason"].(string)
		if w["status"] != "DEPLOYED" && (w["status"] != "FAILED" || !strings.HasPrefix(reason, "The bundle version none was expected, but ")) {
			t.Errorf("#%v is %v: %q", w["number"], w["status"], reason)
		}
	}
	if live != 1 {
		t.Errorf("%d went live, want 1", live)
	}
}

// TestIdempotencyKeyUnderWay: of two at a time one is told to come again.
func TestIdempotencyKeyUnderWay(t *testing.T) {
	a := newApp(t)
	slow, in := io.Pipe()
	done := make(chan answer)
	go func() { done <- a.sendArchive(t, a.owner, "wait=30s", slow, "Idempotency-Key", "k") }()
	b := archiveOf(t, map[string]string{"a.py": dag})
	if _, err := in.Write(b[:10]); err != nil { // it has been let in
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); a.total(t) == float64(0) && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	wantRefused(t, a.deployNow(t, "", map[string]string{"a.py": dag}, "Idempotency-Key", "k"), 409, "is under way")
	if _, err := in.Write(b[10:]); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	wantOK(t, <-done)
	if a.total(t) != float64(1) {
		t.Errorf("%v deploys, want 1", a.total(t))
	}
}

// TestUploadDeployGuarded: where deploys of the API are guarded, a person
// confirms the one that removes a DAG file, and the same key finds it then.
func TestUploadDeployGuarded(t *testing.T) {
	a := newApp(t)
	wantOK(t, a.deployNow(t, "wait=30s", map[string]string{"a.py": dag, "b.py": dag}))
	wantOK(t, a.post(t, a.sales(), `{"isApiDeployGuarded":true}`))
	w := a.deployNow(t, "wait=30s", map[string]string{"a.py": dag}, "Idempotency-Key", "k")
	wantRefused(t, w, 409, fmt.Sprintf("Open %s/deployments/%s/deploys/2", a.server.URL, a.Sales.ID))
	if a.mounted(t, "b.py") != dag {
		t.Error("b.py is gone already")
	}
	r, err := a.engine.Review(t.Context(), a.Sales.ID, 2, a.Ada)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.engine.Confirm(t.Context(), a.Sales.ID, 2, a.Ada, r.Base, r.Plan.Ticks()); err != nil {
		t.Fatal(err)
	}
	w = a.deployNow(t, "wait=30s", map[string]string{"a.py": dag}, "Idempotency-Key", "k")
	wantOK(t, w)
	if w.body["status"] != "DEPLOYED" || w.body["number"] != float64(2) || a.mounted(t, "b.py") != "" {
		t.Errorf("%v", w.body)
	}
}

// TestUploadDeployTells: a deploy that fails while it is waited for fails the
// request, in words.
func TestUploadDeployTells(t *testing.T) {
	a := newAppOn(t, httptest.NewServer, func(c *deploy.Config) { c.MountTimeout = 300 * time.Millisecond })
	// A second component, which mounts nothing.
	if err := a.engine.Portal(a.Sales).Report(t.Context(), slipway.Report{Component: "worker-0"}); err != nil {
		t.Fatal(err)
	}
	w := a.deployNow(t, "wait=30s", map[string]string{"a.py": dag})
	wantRefused(t, w, 409, "Deploy #1 is failed. It was not mounted everywhere")
}
