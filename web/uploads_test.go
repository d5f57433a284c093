package web

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strconv"
	"strings"
	"testing"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// sent is a file of a plain form.
type sent struct{ name, text string }

// form is a plain form with files and then pairs of fields, as a browser sends it.
func form(t *testing.T, path string, files []sent, pairs ...string) *http.Request {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for _, f := range files {
		h := textproto.MIMEHeader{"Content-Type": {"application/octet-stream"}}
		h.Set("Content-Disposition", `form-data; name="files"; filename="`+strings.ReplaceAll(f.name, `"`, "%22")+`"`)
		w, err := m.CreatePart(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.text)); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		if err := m.WriteField(pairs[i], pairs[i+1]); err != nil {
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

// stagedFiles are the paths of the version that a staged deploy would make.
func (a *app) stagedFiles(t *testing.T, by slipway.Actor, number int) string {
	t.Helper()
	r, err := a.engine.Review(t.Context(), a.Sales.ID, number, by)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range r.Plan.Changes {
		all = append(all, string(c.Op)+" "+c.Path)
	}
	return strings.Join(all, ", ")
}

// packed returns text compressed by gzip.
func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, text)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPlainForm(t *testing.T) {
	whole := string(storetest.Archive(t, map[string]string{"dags/b.py": dag, "Dockerfile": "FROM x"}))
	for name, tt := range map[string]struct {
		files  []sent
		fields []string
		want   string
		merge  slipway.Merge
		upload string
	}{
		"archive":             {[]sent{{"dags.tar.gz", whole}}, nil, "removed a.py, added b.py", slipway.ReplaceAll, "dags.tar.gz"},
		"archive added":       {[]sent{{"dags.tar.gz", whole}}, []string{"merge", "add"}, "added b.py", slipway.AddFiles, "dags.tar.gz"},
		"archive renamed":     {[]sent{{"dags (1).gz", whole}}, nil, "removed a.py, added b.py", slipway.ReplaceAll, "dags (1).gz"},
		"one file":            {[]sent{{"b.py", dag}, {"", ""}}, nil, "added b.py", slipway.AddFiles, "b.py"},
		"files in a folder":   {[]sent{{"b.py", dag}, {"c.sql", "x"}}, []string{"folder_path", "/x/y/"}, "added x/y/b.py, added x/y/c.sql", slipway.AddFiles, "2 files"},
		"folder":              {[]sent{{"sales/b.py", dag}, {"sales/sql/c.sql", "x"}}, nil, "added sales/b.py, added sales/sql/c.sql", slipway.AddFiles, "2 files"},
		"folder replaced":     {[]sent{{"b.py", dag}}, []string{"merge", "folder", "folder_path", "x"}, "added x/b.py", slipway.ReplaceFolder, "b.py"},
		"archive to a folder": {[]sent{{"dags.tar.gz", whole}}, []string{"folder_path", "dags/x"}, "added x/b.py", slipway.ReplaceFolder, "dags.tar.gz"},
		"archive, all else":   {[]sent{{"dags.tar.gz", whole}}, []string{"merge", "replace", "folder_path", "x"}, "removed a.py, added x/b.py", slipway.ReplaceAll, "dags.tar.gz"},
		"files replace":       {[]sent{{"b.py", dag}}, []string{"merge", "replace"}, "removed a.py, added b.py", slipway.ReplaceAll, "b.py"},
		"two archives":        {[]sent{{"x.zip", "x"}, {"y.zip", "y"}}, nil, "added x.zip, added y.zip", slipway.AddFiles, "2 files"},
		"a packed table":      {[]sent{{"t.csv.gz", packed(t, "1,2")}}, nil, "added t.csv.gz", slipway.AddFiles, "t.csv.gz"},
		"whole Windows path":  {[]sent{{`C:\dags\b.py`, dag}}, nil, "added b.py", slipway.AddFiles, "b.py"},
		"a name with quotes":  {[]sent{{`b "c".py`, dag}}, nil, `added b "c".py`, slipway.AddFiles, `b "c".py`},
		"project folder wins": {[]sent{{"proj/dags/b.py", dag}, {"proj/x.txt", "x"}}, nil, "added b.py", slipway.AddFiles, "2 files"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			a.run(t)
			a.live(t, a.Ada, map[string]string{"a.py": dag})

			w := a.as(t, a.Eve).do(form(t, a.page("/deploys"), tt.files, append(tt.fields, "description", "Why")...))

			goesTo(t, w, a.page("/deploys/2"))
			got := a.reaches(t, 2, slipway.Staged)
			if files := a.stagedFiles(t, a.Eve, 2); files != tt.want {
				t.Errorf("staged %s, want %s", files, tt.want)
			}
			if got.Merge != tt.merge || got.Upload != tt.upload || got.Description != "Why" || got.By.User != a.Eve.User || got.By.IP == "" {
				t.Errorf("deploy %+v, want merge %s of %s", got, tt.merge, tt.upload)
			}
		})
	}
}

func TestPlainFormIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		files  []sent
		fields []string
		status int
		want   string
	}{
		"nothing chosen":  {[]sent{{"", ""}}, nil, http.StatusUnprocessableEntity, "Choose an archive, files or a folder first."},
		"unknown merge":   {[]sent{{"b.py", dag}}, []string{"merge", "mix"}, http.StatusUnprocessableEntity, "Files can be merged by add, folder or replace"},
		"long text":       {[]sent{{"b.py", dag}}, []string{"description", strings.Repeat("x", 1001)}, http.StatusUnprocessableEntity, "A description may have at most"},
		"no folder":       {[]sent{{"b.py", dag}}, []string{"merge", "folder"}, http.StatusUnprocessableEntity, "Name the folder inside dags that the files replace"},
		"folder above it": {[]sent{{"b.py", dag}}, []string{"folder_path", "../x"}, http.StatusUnprocessableEntity, ".."},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			want(t, a.as(t, a.Eve).do(form(t, a.page("/deploys"), tt.files, tt.fields...)), tt.status, tt.want, "data-upload")
		})
	}
}

// A bad archive is a deploy that failed, with the sentence on its page.
func TestBadArchive(t *testing.T) {
	a := newApp(t)
	a.run(t)
	b := a.as(t, a.Eve)
	bad := storetest.Archive(t, map[string]string{"a.py": dag, "x": "-> /etc/passwd"})
	goesTo(t, b.do(form(t, a.page("/deploys"), []sent{{"dags.tar.gz", string(bad)}})), a.page("/deploys/1"))
	w := a.reaches(t, 1, slipway.Failed)
	want(t, b.get(a.page("/deploys/1")), http.StatusOK, "FAILED", "absolute target", "Upload again")
	if !strings.Contains(w.Reason, "absolute target") {
		t.Errorf("reason %q", w.Reason)
	}
}

// tusRequest is a request of a tus client.
func tusRequest(method, path, body string, header ...string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Tus-Resumable", tusVersion)
	r.Header.Set("Accept", "*/*")
	if method == http.MethodPatch {
		r.Header.Set("Content-Type", "application/offset+octet-stream")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func coded(pairs ...string) string {
	var all []string
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, pairs[i]+" "+base64.StdEncoding.EncodeToString([]byte(pairs[i+1])))
	}
	return strings.Join(all, ",")
}

// begin starts a tus upload of length bytes and returns its address.
func (b *browser) begin(length int) string {
	b.t.Helper()
	meta := coded("deployment", string(b.Sales.ID), "kind", "archive", "filename", "dags.tar.gz", "merge", "replace", "description", "Für März")
	w := b.do(tusRequest(http.MethodPost, "/uploads", "", "Upload-Length", strconv.Itoa(length), "Upload-Metadata", meta))
	if w.Code != http.StatusCreated || !strings.HasPrefix(w.Header().Get(deployHeader), b.page("/deploys/")) {
		b.t.Fatalf("answer %d %v: %s", w.Code, w.Header(), w.Body)
	}
	return w.Header().Get("Location")
}

func TestTus(t *testing.T) {
	a := newApp(t)
	a.run(t)
	b := a.as(t, a.Eve)
	whole := string(storetest.Archive(t, map[string]string{"a.py": dag}))
	at := b.begin(len(whole))
	half := len(whole) / 2

	one := b.do(tusRequest(http.MethodPatch, at, whole[:half], "Upload-Offset", "0"))
	head := b.do(tusRequest(http.MethodHead, at, ""))
	wrong := b.do(tusRequest(http.MethodPatch, at, whole, "Upload-Offset", "0"))
	two := b.do(tusRequest(http.MethodPatch, at, whole[half:], "Upload-Offset", strconv.Itoa(half)))

	if one.Code != http.StatusNoContent || one.Header().Get("Upload-Offset") != strconv.Itoa(half) {
		t.Errorf("first piece: answer %d, offset %s", one.Code, one.Header().Get("Upload-Offset"))
	}
	if h := head.Header(); head.Code != http.StatusOK || h.Get("Upload-Offset") != strconv.Itoa(half) ||
		h.Get("Upload-Length") != strconv.Itoa(len(whole)) || h.Get("Cache-Control") != "no-store" || h.Get("Tus-Resumable") != tusVersion {
		t.Errorf("HEAD: answer %d %v", head.Code, h)
	}
	if wrong.Code != http.StatusConflict {
		t.Errorf("wrong offset: answer %d, want 409", wrong.Code)
	}
	if two.Code != http.StatusNoContent || two.Header().Get(deployHeader) != a.page("/deploys/1") {
		t.Errorf("second piece: answer %d %v", two.Code, two.Header())
	}
	w := a.reaches(t, 1, slipway.Staged)
	if w.Description != "Für März" || w.Bytes != int64(len(whole)) || w.Merge != slipway.ReplaceAll || w.Upload != "dags.tar.gz" {
		t.Errorf("deploy %+v", w)
	}
	late := b.do(tusRequest(http.MethodHead, at, "")) // the answer to the last bytes was lost
	if h := late.Header(); late.Code != http.StatusOK || h.Get(deployHeader) != a.page("/deploys/1") ||
		h.Get("Upload-Offset") != strconv.Itoa(len(whole)) || h.Get("Upload-Length") != h.Get("Upload-Offset") {
		t.Errorf("HEAD of the complete upload: answer %d %v", late.Code, h)
	}
	want(t, a.as(t, a.Ada).do(tusRequest(http.MethodHead, at, "")), http.StatusNotFound, "")
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		w.UploadedAt = tx.Now.Add(-2 * time.Hour)
		_, err := tx.SaveDeploy(w)
		return err
	})
	want(t, a.as(t, a.Eve).do(tusRequest(http.MethodHead, at, "")), http.StatusNotFound, "")
}

func TestTusRefusals(t *testing.T) {
	a := newApp(t)
	eve := a.as(t, a.Eve)
	at := eve.begin(10)
	sales := coded("deployment", string(a.Sales.ID))
	for name, tt := range map[string]struct {
		who    slipway.Actor
		r      *http.Request
		status int
		want   string
	}{
		"no version":       {a.Eve, tusRequest("HEAD", at, "", "Tus-Resumable", ""), http.StatusPreconditionFailed, ""},
		"no length":        {a.Eve, tusRequest("POST", "/uploads", "", "Upload-Metadata", sales), http.StatusUnprocessableEntity, "Upload-Length must say"},
		"bad metadata":     {a.Eve, tusRequest("POST", "/uploads", "", "Upload-Length", "9", "Upload-Metadata", "deployment !"), http.StatusUnprocessableEntity, "not base64"},
		"a Member":         {a.Mia, tusRequest("POST", "/uploads", "", "Upload-Length", "9", "Upload-Metadata", sales), http.StatusForbidden, "needs the Author role"},
		"a stranger":       {a.Sam, tusRequest("POST", "/uploads", "", "Upload-Length", "9", "Upload-Metadata", sales), http.StatusNotFound, "There is no Deployment"},
		"too long":         {a.Eve, tusRequest("POST", "/uploads", "", "Upload-Length", "99999999999", "Upload-Metadata", sales), http.StatusRequestEntityTooLarge, "too large"},
		"foreign upload":   {a.Ada, tusRequest("PATCH", at, "x", "Upload-Offset", "0"), http.StatusNotFound, "This upload is over"},
		"foreign look":     {a.Ada, tusRequest("HEAD", at, ""), http.StatusNotFound, ""},
		"foreign removal":  {a.Ada, tusRequest("DELETE", at, ""), http.StatusNotFound, "This upload is over"},
		"more than agreed": {a.Eve, tusRequest("PATCH", at, "12345678901", "Upload-Offset", "0"), http.StatusRequestEntityTooLarge, "longer than the 10 bytes"},
		"wrong type":       {a.Eve, tusRequest("PATCH", at, "x", "Upload-Offset", "0", "Content-Type", "text/plain"), http.StatusUnsupportedMediaType, ""},
		"nobody":           {slipway.Actor{}, tusRequest("PATCH", at, "x", "Upload-Offset", "0"), http.StatusUnauthorized, "Sign in"},
	} {
		t.Run(name, func(t *testing.T) {
			w := a.as(t, tt.who).do(tt.r)
			want(t, w, tt.status, tt.want)
			if w.Body.Len() > 0 && !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
				t.Errorf("the refusal is %s", w.Header().Get("Content-Type"))
			}
		})
	}
}

func TestTusAbort(t *testing.T) {
	a := newApp(t)
	b := a.as(t, a.Eve)
	at := b.begin(10)
	if w := b.do(tusRequest(http.MethodDelete, at, "")); w.Code != http.StatusNoContent {
		t.Fatalf("answer %d: %s", w.Code, w.Body)
	}
	if w := a.deploy(t, 1); w.Status != slipway.Cancelled {
		t.Errorf("the deploy is %s, want cancelled", w.Status)
	}
	if w := b.do(tusRequest(http.MethodHead, at, "")); w.Code != http.StatusNotFound {
		t.Errorf("afterwards: answer %d, want 404", w.Code)
	}
}

func TestTusSaysWhatItSpeaks(t *testing.T) {
	a := newApp(t)
	w := a.as(t, a.Eve).do(httptest.NewRequest(http.MethodOptions, "/uploads", nil))
	if h := w.Header(); w.Code != http.StatusNoContent || h.Get("Tus-Version") != "1.0.0" || h.Get("Tus-Extension") != "creation,termination" {
		t.Errorf("answer %d %v", w.Code, h)
	}
}

// A PATCH past the announced length is refused, and nothing of it is kept, with
// and without a length of its own.
func TestPatchPastTheLength(t *testing.T) {
	a := newApp(t)
	a.run(t)
	b := a.as(t, a.Eve)
	at := b.begin(10)
	want(t, b.do(tusRequest(http.MethodPatch, at, "1234", "Upload-Offset", "0")), http.StatusNoContent)
	for name, size := range map[string]int64{"length": 7, "chunked": -1} {
		r := tusRequest(http.MethodPatch, at, "567890x", "Upload-Offset", "4")
		r.ContentLength = size
		want(t, b.do(r), http.StatusRequestEntityTooLarge, "longer than the 10 bytes", "go on from byte 4")
		if got := b.do(tusRequest(http.MethodHead, at, "")).Header().Get("Upload-Offset"); got != "4" {
			t.Errorf("%s: the upload is at byte %s, want 4", name, got)
		}
	}
	want(t, b.do(tusRequest(http.MethodPatch, at, "567890", "Upload-Offset", "4")), http.StatusNoContent)
}

// Clients that can only send POST name the method in a header; nowhere else does
// the header count.
func TestMethodOverride(t *testing.T) {
	a := newApp(t)
	a.run(t)
	b := a.as(t, a.Eve)
	at := b.begin(10)
	override := func(path, method, body string, header ...string) *httptest.ResponseRecorder {
		t.Helper()
		return b.do(tusRequest(http.MethodPost, path, body, append(header, "X-HTTP-Method-Override", method)...))
	}
	want(t, override(at, "PATCH", "12345", "Upload-Offset", "0", "Content-Type", "application/offset+octet-stream"), http.StatusNoContent)
	if got := override(at, "HEAD", "").Header().Get("Upload-Offset"); got != "5" {
		t.Errorf("the upload is at byte %q, want 5", got)
	}
	want(t, override(at, "options", ""), http.StatusNoContent)
	want(t, override(at, "DELETE", ""), http.StatusNoContent)
	want(t, override(at, "PUT", ""), http.StatusMethodNotAllowed)
	want(t, override("/signout", "PATCH", ""), http.StatusSeeOther)
}

// Anyone may ask what uploads can do.
func TestTusOptions(t *testing.T) {
	a := newApp(t)
	for _, path := range []string{"/uploads", "/uploads/any"} {
		w := a.browser(t).do(httptest.NewRequest(http.MethodOptions, path, nil))
		want(t, w, http.StatusNoContent)
		for name, value := range map[string]string{"Tus-Resumable": "1.0.0", "Tus-Version": "1.0.0", "Tus-Extension": "creation,termination"} {
			if got := w.Header().Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", path, name, got, value)
			}
		}
		if n, err := strconv.ParseInt(w.Header().Get("Tus-Max-Size"), 10, 64); n < 1<<20 || err != nil {
			t.Errorf("Tus-Max-Size %d, %v", n, err)
		}
	}
}

// No sentence has a hole where a value is missing or empty.
func TestSentencesHaveNoHoles(t *testing.T) {
	a := newApp(t)
	a.run(t)
	b := a.as(t, a.Eve)
	at := b.begin(10)
	for _, r := range []*http.Request{
		tusRequest("POST", "/uploads", ""),
		tusRequest("POST", "/uploads", "", "Upload-Length", "5"),
		tusRequest("POST", "/uploads", "", "Upload-Length", "5", "Upload-Metadata", ","),
		tusRequest("POST", "/uploads", "", "Upload-Length", "5", "Upload-Metadata", "deployment"),
		tusRequest("POST", "/uploads", "", "Upload-Length", "5", "Upload-Metadata", "deployment !"),
		tusRequest("POST", "/uploads", "", "Upload-Length", "0", "Upload-Metadata", coded("deployment", string(a.Sales.ID))),
		tusRequest("POST", "/uploads", "", "Upload-Length", "99999999999", "Upload-Metadata", coded("deployment", string(a.Sales.ID))),
		tusRequest("POST", "/uploads", "", "Upload-Length", "5", "Upload-Metadata", coded("deployment", string(a.Sales.ID), "part", "image")),
		tusRequest("POST", "/uploads", "", "Upload-Length", "5", "Upload-Metadata", coded("deployment", string(a.Sales.ID), "to", " ")),
		tusRequest("POST", "/uploads", "", "Upload-Length", "5", "Upload-Metadata", coded("deployment", string(a.Sales.ID), "merge", " ")),
		tusRequest("PATCH", at, "123"),
		tusRequest("PATCH", at, "123", "Upload-Offset", "7"),
		tusRequest("PATCH", at, "123", "Upload-Offset", "0", "Content-Type", "text/plain"),
		tusRequest("PATCH", "/uploads/none", "123", "Upload-Offset", "0"),
		tusRequest("DELETE", "/uploads/none", ""),
		tusRequest("DELETE", "/uploads/none", "", "Tus-Resumable", "0.2"),
		tusRequest("DELETE", "/uploads", ""),
	} {
		r.Header.Set("Accept", "*/*")
		w := b.do(r)
		text := strings.TrimSpace(w.Body.String())
		if w.Code < 400 || w.Code >= 500 || hole.MatchString(text) || len(strings.Fields(text)) < 5 {
			t.Errorf("%s %s with %v: answer %d %q", r.Method, r.URL, r.Header, w.Code, text)
		}
	}
}
