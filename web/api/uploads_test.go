package api_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"slipway/internal/auth"
	"slipway/internal/deploy"
	"slipway/store"
	"slipway/store/storetest"
)

// blockID is of the CLI's form.
func blockID(n int) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(n), 0xfb}, 32)) // has + and /
}

func withBlock(d started, n int) string {
	return d.url + "&comp=block&blockid=" + url.QueryEscape(blockID(n))
}

func blockList(ids ...int) []byte {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<BlockList>")
	for _, n := range ids {
		b.WriteString("<Latest>" + blockID(n) + "</Latest>")
	}
	return []byte(b.String() + "</BlockList>")
}

func wantBlob(t *testing.T, w answer, status int, code string) {
	t.Helper()
	if w.status != status || w.header.Get("x-ms-error-code") != code {
		t.Fatalf("answer %d %q, want %d %q:\n%s", w.status, w.header.Get("x-ms-error-code"), status, code, w.text)
	}
}

func TestBlocksInAnyOrder(t *testing.T) {
	a := newApp(t)
	d := a.start(t)
	b := archiveOf(t, map[string]string{"a.py": dag, "b.txt": rand.Text()})
	third := len(b) / 3
	parts := [][]byte{b[:third], b[third : 2*third], b[2*third:]}
	for _, n := range []int{2, 0, 1, 0, 2} { // some come again
		wantBlob(t, a.put(t, withBlock(d, n), parts[n]), http.StatusCreated, "")
	}
	wantBlob(t, a.put(t, withBlock(d, 1), []byte("replaced by what comes next")), http.StatusCreated, "")
	wantBlob(t, a.put(t, withBlock(d, 1), parts[1]), http.StatusCreated, "")
	wantBlob(t, a.put(t, d.url+"&comp=blocklist", blockList(0, 1, 2, 3)), http.StatusBadRequest, "InvalidBlockList")

	w := a.put(t, d.url+"&comp=blocklist", blockList(0, 1, 2))

	wantBlob(t, w, http.StatusCreated, "")
	again := a.put(t, d.url+"&comp=blocklist", blockList(0, 1, 2))
	if v := w.header.Get("x-ms-version-id"); v == "" || again.status != http.StatusCreated || again.header.Get("x-ms-version-id") != v {
		t.Errorf("versions %q and then %d %q", v, again.status, again.header.Get("x-ms-version-id"))
	}
	wantOK(t, a.finalize(t, d, w.header.Get("x-ms-version-id")))
	a.awaitDeployed(t, d)
	if a.mounted(t, "a.py") != dag {
		t.Error("Airflow does not see a.py")
	}
	wantBlob(t, a.put(t, withBlock(d, 5), parts[0]), http.StatusConflict, "BlobImmutable")
}

func TestBlocksAreOfOneDeploy(t *testing.T) {
	a := newApp(t)
	mine, other := a.start(t), a.start(t)
	wantBlob(t, a.put(t, withBlock(other, 1), []byte("foreign")), http.StatusCreated, "")
	wantBlob(t, a.put(t, mine.url+"&comp=blocklist", blockList(1)), http.StatusBadRequest, "InvalidBlockList")
	_, query, _ := strings.Cut(mine.url, "?")
	path, _, _ := strings.Cut(other.url, "?")
	wantBlob(t, a.put(t, path+"?"+query+"&comp=blocklist", blockList(1)), http.StatusForbidden, "AuthenticationFailed")
}

func TestUploadAddress(t *testing.T) {
	a := newApp(t)
	d := a.start(t)
	u, err := url.Parse(d.url)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	turned := fmt.Sprintf("%s://%s%s?sig=%s&comp=block&se=%s&blockid=QQ%%3D%%3D", u.Scheme, u.Host, u.Path, q.Get("sig"), q.Get("se"))
	wantBlob(t, a.put(t, turned, []byte("x")), http.StatusCreated, "")
	for name, bad := range map[string]string{
		"no signature": fmt.Sprintf("%s://%s%s?se=%s", u.Scheme, u.Host, u.Path, q.Get("se")),
		"longer":       strings.Replace(d.url, "se="+q.Get("se"), "se=9999999999", 1),
		"bent":         d.url + "0",
	} {
		if w := a.put(t, bad, []byte("x"), "x-ms-blob-type", "BlockBlob"); w.status != http.StatusForbidden {
			t.Errorf("%s: answer %d, want 403", name, w.status)
		}
	}
	wantBlob(t, a.put(t, d.url, []byte("x")), http.StatusBadRequest, "InvalidHeaderValue")
	wantBlob(t, a.put(t, d.url+"&comp=lease", []byte("x")), http.StatusBadRequest, "InvalidQueryParameterValue")
	wantBlob(t, a.put(t, d.url+"&comp=block&blockid=no", []byte("x")), http.StatusBadRequest, "InvalidQueryParameterValue")
	wantBlob(t, a.put(t, d.url+"&comp=blocklist", []byte("<x")), http.StatusBadRequest, "InvalidXmlDocument")
}

// An address works as long as bytes come by it, and an hour beyond.
func TestUploadAddressExpires(t *testing.T) {
	a := newApp(t)
	d := a.start(t)
	for range 3 {
		a.later.Add(int64(50 * time.Minute))
		wantBlob(t, a.put(t, withBlock(d, 1), []byte("x")), http.StatusCreated, "")
	}
	a.later.Add(int64(61 * time.Minute))
	wantBlob(t, a.put(t, withBlock(d, 1), []byte("x")), http.StatusForbidden, "AuthenticationFailed")
}

func TestUploadLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*deploy.Config)
		status int
		code   string
	}{
		"too large": {func(c *deploy.Config) { c.Limits.Archive = 10 }, http.StatusRequestEntityTooLarge, "RequestBodyTooLarge"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAppOn(t, httptest.NewServer, tt.change)
			d := a.start(t)
			wantBlob(t, a.put(t, withBlock(d, 1), []byte("12345678")), http.StatusCreated, "")
			wantBlob(t, a.put(t, withBlock(d, 1), []byte("1234567890")), http.StatusCreated, "") // in place of itself
			wantBlob(t, a.put(t, withBlock(d, 2), []byte("1")), tt.status, tt.code)
			wantBlob(t, a.put(t, d.url+"&comp=blocklist", blockList(1, 1)), tt.status, tt.code)
			wantBlob(t, a.put(t, d.url, []byte("12345678901"), "x-ms-blob-type", "BlockBlob"), tt.status, tt.code)
		})
	}
	a := newAppOn(t, httptest.NewServer, func(c *deploy.Config) { c.Reserve = 1 << 60 })
	wantRefused(t, a.post(t, a.sales()+"/deploys", `{"type":"DAG_ONLY","description":""}`), http.StatusInsufficientStorage, "nearly full")
}

// What is uploaded after its sender lost the right to deploy is refused.
func TestUploadIsJudgedAnew(t *testing.T) {
	a := newApp(t)
	d := a.start(t)
	a.revoke(t, a.owner)
	wantBlob(t, a.put(t, withBlock(d, 1), []byte("x")), http.StatusForbidden, "AuthorizationFailure")
}

// revoke revokes a token.
func (a *app) revoke(t *testing.T, token string) {
	t.Helper()
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		u, err := tx.Token(auth.Fingerprint(token))
		if err != nil {
			return err
		}
		return tx.RevokeToken(u.ID)
	})
}
