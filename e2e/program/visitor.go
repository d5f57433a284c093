package program

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"html"
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

// Visitor is a person with a browser without JavaScript, signed in at a portal.
type Visitor struct {
	http.Client
	Context context.Context                        // of all requests
	Base    string                                 // address of the portal
	OnReply func(method, path string, reply Reply) // called with each reply; may be nil
}

// Reply is a whole answer of a portal.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// Location returns the target of a redirect, or the address of a new upload.
func (r Reply) Location() string { return r.Header.Get("Location") }

var alert = regexp.MustCompile(`(?s)role="alert".*?<div>(.*?)</div>`)

// Said returns the sentence of a reply: the alert of a page, else the beginning
// of the body.
func (r Reply) Said() string {
	if m := alert.FindStringSubmatch(r.Body); m != nil {
		return m[1]
	}
	return r.Body[:min(len(r.Body), 300)]
}

// NewVisitor opens a browser with the cookies of jar, also with cookies of a
// portal that was killed since.
func NewVisitor(ctx context.Context, base string, jar http.CookieJar) *Visitor {
	v := &Visitor{Context: ctx, Base: base}
	v.Jar, v.Transport = jar, &http.Transport{MaxIdleConnsPerHost: 8}
	v.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return v
}

// SignInAda signs ada@example.com in with the password of storetest, and returns
// the cookies. In the storetest world she is the Owner.
func SignInAda(t testing.TB, base string) http.CookieJar {
	t.Helper()
	return SignIn(t, base, "ada@example.com")
}

// SignIn is SignInAda for another person of the storetest world.
func SignIn(t testing.TB, base, email string) http.CookieJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := NewVisitor(t.Context(), base, jar)
	defer v.CloseIdleConnections()
	r, err := v.Form("/signin", url.Values{"email": {email}, "password": {storetest.Password}})
	if err != nil || r.Status != http.StatusSeeOther {
		t.Fatalf("sign in: answer %d, %v\n%s", r.Status, err, r.Body)
	}
	return jar
}

// Send sends a request and reads the reply.
func (v *Visitor) Send(method, path string, body io.Reader, header http.Header) (Reply, error) {
	r, err := http.NewRequestWithContext(v.Context, method, v.Base+path, body)
	if err != nil {
		return Reply{}, err
	}
	r.Header = header
	resp, err := v.Do(r)
	if err != nil {
		return Reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	reply := Reply{Status: resp.StatusCode, Header: resp.Header, Body: string(text)}
	if v.OnReply != nil && err == nil {
		v.OnReply(method, path, reply)
	}
	return reply, err
}

// Form sends a form.
func (v *Visitor) Form(path string, values url.Values) (Reply, error) {
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"text/html"}}
	return v.Send(http.MethodPost, path, strings.NewReader(values.Encode()), h)
}

// Page reads a page.
func (v *Visitor) Page(path string) (Reply, error) {
	return v.Send(http.MethodGet, path, nil, http.Header{"Accept": {"text/html"}})
}

// DeploymentURL is the path of the Overview.
func DeploymentURL(of slipway.DeploymentID) string { return "/deployments/" + string(of) }

// DeployURL is the path of a deploy's page.
func DeployURL(of slipway.DeploymentID, number int) string {
	return fmt.Sprintf("/deployments/%s/deploys/%d", of, number)
}

// NumberIn returns the number of the deploy with the page at location, or 0.
func NumberIn(location string) int {
	n, err := strconv.Atoi(path.Base(location))
	if err != nil {
		return 0
	}
	return n
}

// TusHeader is the header of a request of the tus protocol.
func TusHeader() http.Header { return http.Header{"Tus-Resumable": {"1.0.0"}} }

// BeginUpload announces an upload of size bytes by the tus protocol. The reply
// holds the address of the upload; number is that of the new deploy.
func (v *Visitor) BeginUpload(of slipway.DeploymentID, merge slipway.Merge, size int) (r Reply, number int, err error) {
	h := TusHeader()
	h.Set("Upload-Length", strconv.Itoa(size))
	var pairs []string
	for key, value := range map[string]string{"deployment": string(of), "merge": string(merge), "filename": "dags.tar.gz"} {
		pairs = append(pairs, key+" "+base64.StdEncoding.EncodeToString([]byte(value)))
	}
	h.Set("Upload-Metadata", strings.Join(pairs, ","))
	r, err = v.Send(http.MethodPost, "/uploads", nil, h)
	return r, NumberIn(r.Header.Get("Slipway-Deploy")), err
}

// AppendUpload sends bytes of an upload from an offset on.
func (v *Visitor) AppendUpload(upload string, offset int, body io.Reader) (Reply, error) {
	h := TusHeader()
	h.Set("Upload-Offset", strconv.Itoa(offset))
	h.Set("Content-Type", "application/offset+octet-stream")
	return v.Send(http.MethodPatch, upload, body, h)
}

// Upload sends a whole archive by the tus protocol, and returns the number of the
// deploy.
func (v *Visitor) Upload(of slipway.DeploymentID, merge slipway.Merge, archive []byte) (number int, r Reply, err error) {
	r, number, err = v.BeginUpload(of, merge, len(archive))
	if err != nil || r.Status != http.StatusCreated {
		return number, r, err
	}
	r, err = v.AppendUpload(r.Location(), 0, bytes.NewReader(archive))
	return number, r, err
}

// UploadByForm sends a file, such as an archive, by the plain form.
func (v *Visitor) UploadByForm(of slipway.DeploymentID, merge slipway.Merge, name string, content []byte) (Reply, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("files", name)
	if err == nil {
		_, err = part.Write(content)
	}
	if err == nil {
		err = form.WriteField("merge", string(merge))
	}
	if err != nil {
		return Reply{}, err
	}
	if err := form.Close(); err != nil {
		return Reply{}, err
	}
	h := http.Header{"Content-Type": {form.FormDataContentType()}, "Accept": {"text/html"}}
	return v.Send(http.MethodPost, DeploymentURL(of)+"/deploys", &body, h)
}

var (
	baseField = regexp.MustCompile(`name="base" value="([^"]*)"`)
	tagField  = regexp.MustCompile(`name="review" value="([^"]*)"`)
	typedName = regexp.MustCompile(`name="typed"[^>]* data-must-equal="([^"]*)"`)
)

// ConsentOn fills in the form that confirms a deploy, with every tick and the name
// that the page asks for. ok is false on a page without that form.
func ConsentOn(page string) (form url.Values, ok bool) {
	base := baseField.FindStringSubmatch(page)
	if base == nil {
		return nil, false
	}
	form = url.Values{"base": base[1:], "remove_dags": {"yes"}, "no_dags": {"yes"}, "runs_image": {"yes"}}
	if tag := tagField.FindStringSubmatch(page); tag != nil {
		form.Set("review", tag[1])
	}
	if name := typedName.FindStringSubmatch(page); name != nil {
		form.Set("typed", html.UnescapeString(name[1]))
	}
	return form, true
}

// Consent waits until a page shows the changes of a deploy, and fills in the form
// that confirms it. ok is false for a refused deploy, and when patience ends.
func (v *Visitor) Consent(page string, patience time.Duration) (form url.Values, ok bool, err error) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		r, err := v.Page(page)
		if err != nil {
			return nil, false, err
		}
		if form, ok := ConsentOn(r.Body); ok {
			return form, true, nil
		}
		if strings.Contains(r.Body, "refused") || r.Status != http.StatusOK {
			break
		}
	}
	return nil, false, nil
}

// Deploy uploads an archive and confirms the deploy: after a return without an
// error, the deploy is acknowledged.
func (v *Visitor) Deploy(of slipway.DeploymentID, merge slipway.Merge, archive []byte) (number int, err error) {
	number, r, err := v.Upload(of, merge, archive)
	if err == nil && r.Status != http.StatusNoContent {
		err = fmt.Errorf("upload: answer %d: %s", r.Status, r.Body)
	}
	if err != nil {
		return number, err
	}
	form, ok, err := v.Consent(DeployURL(of, number), 20*time.Second)
	if err == nil && !ok {
		err = fmt.Errorf("deploy #%d is not staged", number)
	}
	if err != nil {
		return number, err
	}
	r, err = v.Form(DeployURL(of, number)+"/confirm", form)
	if err == nil && r.Status != http.StatusSeeOther {
		err = fmt.Errorf("confirm: answer %d: %s", r.Status, r.Body)
	}
	return number, err
}

var statusField = regexp.MustCompile(`(?:&amp;|&|\?)status=([a-z]+)`)

// AwaitStatus waits until a deploy has the status want.
func (v *Visitor) AwaitStatus(of slipway.DeploymentID, number int, want slipway.Status, patience time.Duration) error {
	status := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		r, err := v.Page(DeployURL(of, number))
		if err != nil {
			return err
		}
		if m := statusField.FindStringSubmatch(r.Body); m != nil {
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
