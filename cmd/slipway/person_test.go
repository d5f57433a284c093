package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"slipway/internal/slipway"
)

// person is somebody signed in, in a browser without JavaScript.
type person struct {
	http.Client
	base string
}

func signedIn(t *testing.T, base string) *person {
	t.Helper()
	jar, _ := cookiejar.New(nil)
	p := &person{base: base, Client: http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if _, err := p.post("/signin", url.Values{"email": {"ada@example.com"}, "password": {strings.TrimSpace(password)}}); err != nil {
		t.Fatal(err)
	}
	return p
}

// post sends a form and returns where it leads to.
func (p *person) post(path string, form url.Values) (string, error) {
	return leadsTo(p.PostForm(p.base+path, form))
}

func leadsTo(resp *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusSeeOther {
		err = errors.Join(err, fmt.Errorf("answer %d to %s:\n%s", resp.StatusCode, resp.Request.URL, b))
	}
	return resp.Header.Get("Location"), err
}

var baseField = regexp.MustCompile(`name="base" value="([^"]*)"`)

// deploy adds a file to a Deployment: it uploads it and confirms that once it
// is staged. When it returns, the deploy is acknowledged.
func (p *person) deploy(of slipway.DeploymentID, name, text string) error {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("files", name)
	if err == nil {
		_, err = io.WriteString(part, text)
	}
	if err := errors.Join(err, form.WriteField("merge", "add"), form.Close()); err != nil {
		return err
	}
	page, err := leadsTo(p.Post(p.base+"/deployments/"+string(of)+"/deploys", form.FormDataContentType(), &body))
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		text, err := p.get(page)
		if err != nil {
			return err
		}
		if m := baseField.FindStringSubmatch(text); m != nil {
			_, err := p.post(page+"/confirm", url.Values{"base": {m[1]}})
			return err
		}
	}
	return fmt.Errorf("%s is not staged", page)
}

func (p *person) get(path string) (string, error) {
	resp, err := p.Get(p.base + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}
