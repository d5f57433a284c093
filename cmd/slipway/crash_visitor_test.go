package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"slipway/internal/slipway"
	"slipway/store/storetest"
)

// visitor is somebody signed in at a portal, as long as that runs.
type visitor struct {
	http.Client
	ctx  context.Context // of all requests
	base string
	read func(method, path string, r reply) // is shown each answer; nil for nobody
}

// reply is what a portal answered, as a whole.
type reply struct {
	status int
	header http.Header
	body   string
}

// location returns where the reply leads to.
func (r reply) location() string { return r.header.Get("Location") }

// newVisitor opens a browser without JavaScript. jar keeps what it was given
// before, also by a portal that was killed meanwhile.
func newVisitor(ctx context.Context, base string, jar http.CookieJar) *visitor {
	v := &visitor{ctx: ctx, base: base}
	v.Jar, v.Transport = jar, &http.Transport{MaxIdleConnsPerHost: 8}
	v.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return v
}

// signInAda signs the Owner of the storetest world in.
func signInAda(t testing.TB, base string) http.CookieJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := newVisitor(t.Context(), base, jar)
	defer v.CloseIdleConnections()
	r, err := v.form("/signin", url.Values{"email": {"ada@example.com"}, "password": {storetest.Password}})
	if err != nil || r.status != http.StatusSeeOther {
		t.Fatalf("sign in: answer %d, %v\n%s", r.status, err, r.body)
	}
	return jar
}

// send sends a request and reads the answer.
func (v *visitor) send(method, path string, body io.Reader, header http.Header) (reply, error) {
	r, err := http.NewRequestWithContext(v.ctx, method, v.base+path, body)
	if err != nil {
		return reply{}, err
	}
	r.Header = header
	resp, err := v.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	answer := reply{status: resp.StatusCode, header: resp.Header, body: string(text)}
	if v.read != nil && err == nil {
		v.read(method, path, answer)
	}
	return answer, err
}

func (v *visitor) form(path string, values url.Values) (reply, error) {
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"text/html"}}
	return v.send(http.MethodPost, path, strings.NewReader(values.Encode()), h)
}

func (v *visitor) page(path string) (reply, error) {
	return v.send(http.MethodGet, path, nil, http.Header{"Accept": {"text/html"}})
}

func deploymentURL(of slipway.DeploymentID) string { return "/deployments/" + string(of) }

func deployURL(of slipway.DeploymentID, number int) string {
	return fmt.Sprintf("/deployments/%s/deploys/%d", of, number)
}

// numberIn returns the number of the deploy whose page is at location.
func numberIn(location string) int {
	n, err := strconv.Atoi(path.Base(location))
	if err != nil {
		return 0
	}
	return n
}

func tusHeader() http.Header { return http.Header{"Tus-Resumable": {"1.0.0"}} }

// begin announces an upload of size bytes. The reply leads to it, and names its
// deploy.
func (v *visitor) begin(of slipway.DeploymentID, merge slipway.Merge, size int) (r reply, number int, err error) {
	h := tusHeader()
	h.Set("Upload-Length", strconv.Itoa(size))
	var pairs []string
	for key, value := range map[string]string{"deployment": string(of), "merge": string(merge), "filename": "dags.tar.gz"} {
		pairs = append(pairs, key+" "+base64.StdEncoding.EncodeToString([]byte(value)))
	}
	h.Set("Upload-Metadata", strings.Join(pairs, ","))
	r, err = v.send(http.MethodPost, "/uploads", nil, h)
	return r, numberIn(r.header.Get("Slipway-Deploy")), err
}

// append sends bytes of an upload from an offset on.
func (v *visitor) append(upload string, offset int, body io.Reader) (reply, error) {
	h := tusHeader()
	h.Set("Upload-Offset", strconv.Itoa(offset))
	h.Set("Content-Type", "application/offset+octet-stream")
	return v.send(http.MethodPatch, upload, body, h)
}

// upload sends an archive in one go and returns the number of its deploy.
func (v *visitor) upload(of slipway.DeploymentID, merge slipway.Merge, archive []byte) (number int, r reply, err error) {
	r, number, err = v.begin(of, merge, len(archive))
	if err != nil || r.status != http.StatusCreated {
		return number, r, err
	}
	r, err = v.append(r.location(), 0, bytes.NewReader(archive))
	return number, r, err
}

// sendForm sends an archive by the plain form.
func (v *visitor) sendForm(of slipway.DeploymentID, merge slipway.Merge, archive []byte) (reply, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("files", "dags.tar.gz")
	if err == nil {
		_, err = part.Write(archive)
	}
	if err == nil {
		err = form.WriteField("merge", string(merge))
	}
	if err != nil {
		return reply{}, err
	}
	if err := form.Close(); err != nil {
		return reply{}, err
	}
	h := http.Header{"Content-Type": {form.FormDataContentType()}, "Accept": {"text/html"}}
	return v.send(http.MethodPost, deploymentURL(of)+"/deploys", &body, h)
}

// base waits until the changes of a deploy can be read on a page, and returns
// against which version; ok is false if that never comes.
func (v *visitor) baseOf(page string, patience time.Duration) (base string, ok bool, err error) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		r, err := v.page(page)
		if err != nil {
			return "", false, err
		}
		if m := baseField.FindStringSubmatch(r.body); m != nil {
			return m[1], true, nil
		}
		if strings.Contains(r.body, "refused") || r.status != http.StatusOK {
			break
		}
	}
	return "", false, nil
}

// ticked is a confirming form with every tick given.
func ticked(base string) url.Values {
	return url.Values{"base": {base}, "remove_dags": {"yes"}, "no_dags": {"yes"}}
}

// deployNow uploads an archive and confirms it. When it returns, the deploy is
// acknowledged.
func (v *visitor) deployNow(of slipway.DeploymentID, merge slipway.Merge, archive []byte) (number int, err error) {
	number, r, err := v.upload(of, merge, archive)
	if err == nil && r.status != http.StatusNoContent {
		err = fmt.Errorf("upload: answer %d: %s", r.status, r.body)
	}
	if err != nil {
		return number, err
	}
	base, ok, err := v.baseOf(deployURL(of, number), 20*time.Second)
	if err == nil && !ok {
		err = fmt.Errorf("deploy #%d is not staged", number)
	}
	if err != nil {
		return number, err
	}
	r, err = v.form(deployURL(of, number)+"/confirm", ticked(base))
	if err == nil && r.status != http.StatusSeeOther {
		err = fmt.Errorf("confirm: answer %d: %s", r.status, r.body)
	}
	return number, err
}

var statusField = regexp.MustCompile(`(?:&amp;|&|\?)status=([a-z]+)`)

// awaitStatus waits until a deploy has ended, as want says.
func (v *visitor) awaitStatus(of slipway.DeploymentID, number int, want slipway.Status, patience time.Duration) error {
	status := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		r, err := v.page(deployURL(of, number))
		if err != nil {
			return err
		}
		if m := statusField.FindStringSubmatch(r.body); m != nil {
			status = m[1]
		}
		if slipway.Status(status) == want {
			return nil
		}
		if slipway.Status(status).Ended() {
			break
		}
	}
	return fmt.Errorf("deploy #%d is %q, want %s", number, status, want)
}

// archiveOf returns a .tar.gz of files, by their names.
func archiveOf(files map[string]string) []byte { return packed(files, gzip.DefaultCompression) }

func packed(files map[string]string, level int) []byte {
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		panic(err) // there is no such level
	}
	tw := tar.NewWriter(zip)
	for name, text := range files {
		mustWrite(tw, &tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}, []byte(text))
	}
	if tw.Close() != nil || zip.Close() != nil {
		panic("a buffer cannot fail")
	}
	return out.Bytes()
}
