package bundle

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/internal/bundle/buckettest"
	"slipway/internal/slipway"
)

// failWith answers as a service does: with a body unless to HEAD.
func failWith(status int, code, region string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if region != "" {
			h.Set("X-Amz-Bucket-Region", region)
		}
		if strings.HasPrefix(r.UserAgent(), "azsdk") {
			h.Set("X-Ms-Error-Code", code)
		}
		if strings.Contains(r.UserAgent(), "google") || strings.HasPrefix(r.URL.Path, "/storage/") || strings.HasPrefix(r.URL.Path, "/upload/") {
			h.Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error":{"code":%d,"message":"secret-of-the-driver","errors":[{"reason":%q,"message":"secret-of-the-driver"}]}}`, status, code)
			return
		}
		h.Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>secret-of-the-driver</Message></Error>`, code)
		}
	})
}

// Whatever a service says, people read a sentence with the reason, at the start
// and while the portal runs, and no text of a driver.
func TestBucketReasons(t *testing.T) {
	for _, tt := range []struct {
		scheme string
		status int
		code   string
		region string
		want   string
	}{
		{"s3", 400, "ExpiredToken", "", "refuses the portal's credentials, which have expired (ExpiredToken"},
		{"s3", 403, "InvalidAccessKeyId", "", "does not know the portal's credentials (InvalidAccessKeyId"},
		{"s3", 403, "SignatureDoesNotMatch", "", "does not accept the portal's credentials (SignatureDoesNotMatch"},
		{"s3", 403, "RequestTimeTooSkewed", "", "whose clock is wrong (RequestTimeTooSkewed"},
		{"s3", 403, "AccessDenied", "", "denies the portal access (AccessDenied"},
		{"s3", 403, "SomethingNew", "", "denies the portal access (SomethingNew"},
		{"s3", 403, "AllAccessDisabled", "", "because of its account (AllAccessDisabled"},
		{"s3", 400, "AuthorizationHeaderMalformed", "", "is in another region than its address says (AuthorizationHeaderMalformed"},
		{"s3", 301, "PermanentRedirect", "eu-west-3", "put region=eu-west-3 into --bucket."},
		{"s3", 400, "KMS.DisabledException", "", "cannot use its encryption key (KMS.DisabledException"},
		{"s3", 403, "InvalidObjectState", "", "has moved a file into its archive (InvalidObjectState"},
		{"s3", 503, "SlowDown", "", "asks for fewer requests (SlowDown"},
		{"s3", 507, "XMinioStorageFull", "", "is full (XMinioStorageFull"},
		{"s3", 404, "NoSuchBucket", "", "There is no bucket s3://slipway."},
		{"azblob", 403, "AuthenticationFailed", "", "does not accept the portal's credentials (AuthenticationFailed"},
		{"azblob", 403, "AuthorizationPermissionMismatch", "", "denies the portal access (AuthorizationPermissionMismatch"},
		{"azblob", 403, "AccountIsDisabled", "", "because of its account (AccountIsDisabled"},
		{"azblob", 404, "ContainerNotFound", "", "There is no bucket azblob://slipway."},
		{"gs", 401, "authError", "", "does not accept the portal's credentials (authError"},
		{"gs", 403, "forbidden", "", "denies the portal access (forbidden"},
		{"gs", 403, "accountDisabled", "", "because of its account (accountDisabled"},
		{"gs", 404, "notFound", "", "There is no bucket gs://slipway."},
	} {
		t.Run(tt.scheme+" "+tt.code, func(t *testing.T) {
			b := buckettest.Answering[tt.scheme](t, failWith(tt.status, tt.code, tt.region))
			dir := t.TempDir()
			_, err := OpenBucket(t.Context(), dir, b.Address)
			wantReason(t, "at the start", err, tt.want)
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("at the start: %q has several lines", err)
			}
			dialled := must[*bucket](t)(dial(t.Context(), dir, b.Address))
			s := &Store{dir: dir, backend: dialled}
			dialled.pause, dialled.tries, dialled.probeWait = time.Millisecond, 2, time.Minute // drivers try again after seconds
			_, err = s.Manifest(ns, version(1))
			wantReason(t, "a manifest", err, tt.want)
			wantReason(t, "the last request", s.Reachable(t.Context()), tt.want)
			dialled.state = bucketState{}
			wantReason(t, "a probe", s.Reachable(t.Context()), tt.want)
		})
	}
}

func wantReason(t *testing.T, what string, err error, want string) {
	t.Helper()
	kind, text := slipway.Explain(err)
	if kind != slipway.Unavailable || !strings.Contains(text, want) || !strings.HasSuffix(text, ".") {
		t.Errorf("%s: %v, want %q", what, text, want)
	}
	if before, _, _ := strings.Cut(text, " The cause: "); strings.Contains(before, "secret-of-the-driver") {
		t.Errorf("%s: %q shows a driver's text", what, text)
	}
}

// A bucket that answers again is reachable at once.
func TestBucketReachableAgain(t *testing.T) {
	b := buckettest.Fake(t)
	s := bucketStore(t, b)
	ok(t, s.Reachable(t.Context()))
	b.Proxy.Set(buckettest.Refuse)
	s.backend.(*bucket).tries = 1
	if _, err := s.Manifest(ns, version(1)); err == nil {
		t.Error("a bucket that refuses connections has a manifest")
	}
	wantReason(t, "away", s.Reachable(t.Context()), "cannot be reached")
	b.Proxy.Set(buckettest.None)
	s.backend.(*bucket).state = bucketState{}
	ok(t, s.Reachable(t.Context()))
	ok(t, Attach(t.TempDir()).Reachable(t.Context()))
}

// What cannot even be dialled is a sentence, too.
func TestBucketStartTexts(t *testing.T) {
	for address, want := range map[string]string{
		"s3://slipway?region=us-east-1&endpoint=http://127.0.0.1:1&use_path_style=true": "The bucket s3://slipway cannot be reached",
		"s3://slipway?region=us-east-1&endpoint=http://no-such-host.invalid":            "The host of the bucket s3://slipway is not known to the network.",
		"s3://slipway?profile=no-such-profile":                                          "The bucket s3://slipway cannot be opened: ",
		"s3://slipway?colour=blue":                                                      "cannot be opened: ",
	} {
		_, err := OpenBucket(t.Context(), filepath.Join(t.TempDir(), "data"), address)
		kind, text := slipway.Explain(err)
		if kind == slipway.Internal || !strings.Contains(text, want) || err.Error() != text || strings.Contains(text, "\n") || strings.Contains(text, "operation error") {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}

// Where agents cannot use signed addresses, the portal has none.
func TestSendAll(t *testing.T) {
	b := buckettest.Fake(t)
	s := bucketStore(t, b)
	if at := must[string](t)(s.PackURL(t.Context(), ns, sha("a"))); at == "" {
		t.Error("the bucket signs no address")
	}
	s.SendAll()
	if at := must[string](t)(s.PackURL(t.Context(), ns, sha("a"))); at != "" {
		t.Errorf("signed: %s", at)
	}
}
