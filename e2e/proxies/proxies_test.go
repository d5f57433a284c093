// Package proxies puts nginx, Caddy and HAProxy in front of the built binary,
// with the settings of docs/proxies.md.
package proxies

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"slipway/e2e/program"
)

// site is an installation behind a proxy, or alone.
type site struct {
	*program.Installation
	proxy string // "" for none
	roots *x509.CertPool
}

// start sets a portal up behind a proxy. An archive may have 1 MiB.
func start(t *testing.T, proxy string) *site {
	t.Helper()
	s := &site{Installation: program.SetUp(t), proxy: proxy}
	listen, front := program.FreeAddress(t), program.FreeAddress(t)
	args := []string{"--listen", listen, "--max-archive", "1MiB", "--reserve", "0"}
	s.Base = "http://" + listen
	if proxy != "" {
		_, port, _ := net.SplitHostPort(front)
		s.Base = "https://localhost:" + port
		args = append(args, "--url", s.Base, "--trusted-proxies", "127.0.0.1/32")
	}
	s.Process = program.Launch(t, t.TempDir(), program.ServeArgs(program.Build(t, "slipway"), s.Data, args...)...)
	s.Process.MustBeReady(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the portal said:\n%s", s.Process.Tail())
		}
	})
	if proxy != "" {
		s.front(t, front, listen)
	}
	return s
}

// front starts the proxy, listening on an address of this machine.
func (s *site) front(t *testing.T, front, portal string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // workers of nginx run as another user
		t.Fatal(err)
	}
	s.roots = certify(t, dir)
	text := snippet(t, s.proxy)
	swap := func(old, now string) {
		t.Helper()
		if !strings.Contains(text, old) {
			t.Fatalf("the settings for %s have no %q", s.proxy, old)
		}
		text = strings.ReplaceAll(text, old, now)
	}
	swap("127.0.0.1:8888", portal)
	var argv []string
	switch s.proxy {
	case "nginx":
		swap("listen 443", "listen "+front)
		swap("slipway.example.com", "localhost")
		swap("/etc/ssl/slipway", dir+"/slipway")
		text = "daemon off; error_log stderr; pid " + dir + "/pid;\nevents {}\nhttp {\naccess_log off;\n" + temporary(dir) + text + "}\n"
		argv = []string{"nginx", "-p", dir, "-e", "stderr", "-c", dir + "/settings"}
	case "caddy":
		swap("slipway.example.com {", s.Base+" {\n\tbind 127.0.0.1\n\ttls "+dir+"/slipway.crt "+dir+"/slipway.key")
		text = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text
		argv = []string{"env", "HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "caddy", "run", "--adapter", "caddyfile", "--config", dir + "/settings"}
	case "haproxy":
		swap("bind :443", "bind "+front)
		swap("/etc/ssl/slipway", dir+"/slipway")
		argv = []string{"haproxy", "-db", "-f", dir + "/settings"}
	}
	if err := os.WriteFile(filepath.Join(dir, "settings"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := program.Launch(t, dir, argv...)
	program.Until(t, s.proxy+" listens", func() bool {
		c, err := net.Dial("tcp", front)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said:\n%s", s.proxy, p.Tail())
		}
	})
}

// temporary are nginx's folders, in dir.
func temporary(dir string) (text string) {
	for _, name := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		text += name + "_temp_path " + dir + "/" + name + ";\n"
	}
	return text
}

// snippet returns the settings of a proxy in docs/proxies.md.
func snippet(t *testing.T, proxy string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/proxies.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```" + proxy + "(?:file)?\n(.*?)```").FindSubmatch(text)
	if m == nil {
		t.Fatalf("docs/proxies.md has no settings for %s", proxy)
	}
	return string(m[1])
}

// certify writes a certificate of localhost with its key to dir, and returns the
// roots that trust it.
func certify(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	crt := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	for name, text := range map[string][]byte{"slipway.crt": crt, "slipway.key": private, "slipway.pem": append(bytes.Clone(crt), private...)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(crt)
	return roots
}

// client returns a client over HTTP/2 or HTTP/1.1 with cookies.
func (s *site) client(t *testing.T, h2 bool) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}, ForceAttemptHTTP2: h2}
	if !h2 {
		tr.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Jar: jar, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// everywhere runs a test without a proxy, and behind each.
func everywhere(t *testing.T, test func(t *testing.T, s *site)) {
	for _, proxy := range []string{"", "nginx", "caddy", "haproxy"} {
		t.Run("proxy="+proxy, func(t *testing.T) {
			if _, err := exec.LookPath(proxy); proxy != "" && err != nil {
				t.Skipf("%s is not installed: scripts/proxy-deps.sh", proxy)
			}
			test(t, start(t, proxy))
		})
	}
}
