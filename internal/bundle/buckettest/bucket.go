// Package buckettest starts the servers for tests of bundles in a bucket,
// each behind a proxy that fails on request.
package buckettest

import (
	"bufio"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// name is the bucket's name on every server.
const name = "slipway"

// startFor is the most time that a server may take to start.
const startFor = 30 * time.Second

// Bucket is an empty bucket on its own server.
type Bucket struct {
	Address string // as in --bucket
	Signs   bool   // the server signs addresses
	Proxy   *Proxy // in front of the server; nil for a folder
}

// Kinds are the ways to get a bucket, by name.
var Kinds = map[string]func(*testing.T) Bucket{
	"file": File, "gofakes3": Fake, "versitygw": Gateway, "azurite": Azure, "fake-gcs-server": Google,
}

// File returns a folder for gocloud.dev's fileblob.
func File(t *testing.T) Bucket {
	return Bucket{Address: "file://" + filepath.ToSlash(t.TempDir()) + "/bucket"}
}

// Fake returns a bucket of an S3 server in the test's process.
func Fake(t *testing.T) Bucket {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(name); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
	t.Cleanup(server.Close)
	return s3(t, proxy(t, "tcp", server.Listener.Addr().String()))
}

// Gateway returns a bucket of S3 in versitygw.
func Gateway(t *testing.T) Bucket {
	t.Helper()
	path := tool(t, "bin/versitygw")
	short, err := os.MkdirTemp("", "vgw") // the path of a socket must not be long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	data := filepath.Join(short, "data")
	for _, dir := range []string{filepath.Join(data, name), filepath.Join(short, "meta")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(short, "s")
	cmd := exec.Command(path, "--port", socket, "--keep-alive", "--quiet", "posix", "--sidecar", filepath.Join(short, "meta"), data)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
	start(t, cmd)
	for end := time.Now().Add(startFor); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("unix", socket)
		if err == nil {
			_ = c.Close() // only the connect was needed
			break
		}
		if time.Now().After(end) {
			t.Fatalf("versitygw does not come up: %v", err)
		}
	}
	return s3(t, proxy(t, "unix", socket))
}

const (
	accessKey = "slipway-test"
	secretKey = "not a secret at all"
)

func s3(t *testing.T, p *Proxy) Bucket {
	t.Helper()
	setenv(t, map[string]string{"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_EC2_METADATA_DISABLED": "true"})
	q := url.Values{"region": {"us-east-1"}, "endpoint": {"http://" + p.Addr()}, "use_path_style": {"true"}}
	return Bucket{Address: "s3://" + name + "?" + q.Encode(), Signs: true, Proxy: p}
}

// setenv is t.Setenv for parallel tests: every test sets the same values, and
// nobody resets them.
func setenv(t *testing.T, all map[string]string) {
	t.Helper()
	for name, value := range all {
		if err := os.Setenv(name, value); err != nil {
			t.Fatal(err)
		}
	}
}

// The account of Azurite, from its documentation.
const (
	azureAccount = "devstoreaccount1"
	azureKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// Answering are buckets of S3, Azure and Google on servers that answer every
// request with h, by the scheme of the address.
var Answering = map[string]func(t *testing.T, h http.Handler) Bucket{
	"s3":     func(t *testing.T, h http.Handler) Bucket { return s3(t, answering(t, h)) },
	"azblob": func(t *testing.T, h http.Handler) Bucket { return azure(t, answering(t, h), name) },
	"gs":     func(t *testing.T, h http.Handler) Bucket { return google(t, answering(t, h)) },
}

func answering(t *testing.T, h http.Handler) *Proxy {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return proxy(t, "tcp", server.Listener.Addr().String())
}

// Azure returns a container of Azurite.
func Azure(t *testing.T) Bucket {
	t.Helper()
	p := proxy(t, "tcp", azurite.use(t))
	container := strings.ToLower(rand.Text())
	makeContainer(t, p, container)
	return azure(t, p, container)
}

func azure(t *testing.T, p *Proxy, container string) Bucket {
	t.Helper()
	setenv(t, map[string]string{"AZURE_STORAGE_ACCOUNT": azureAccount, "AZURE_STORAGE_KEY": azureKey})
	q := url.Values{"protocol": {"http"}, "domain": {p.Addr()}, "localemu": {"true"}}
	return Bucket{Address: "azblob://" + container + "?" + q.Encode(), Signs: true, Proxy: p}
}

func makeContainer(t *testing.T, p *Proxy, container string) {
	t.Helper()
	key, err := azblob.NewSharedKeyCredential(azureAccount, azureKey)
	if err != nil {
		t.Fatal(err)
	}
	client, err := azblob.NewClientWithSharedKeyCredential("http://"+p.Addr()+"/"+azureAccount, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateContainer(t.Context(), container, nil); err != nil {
		t.Fatal(err)
	}
}

// Google returns a bucket of Google Cloud Storage in fake-gcs-server, which does
// not sign addresses for an anonymous client.
func Google(t *testing.T) Bucket {
	t.Helper()
	path := tool(t, "bin/fake-gcs-server")
	port := freePort(t)
	p := proxy(t, "tcp", net.JoinHostPort("127.0.0.1", port))
	start(t, exec.Command(path, "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", port, "-public-host", p.Addr(), "-log-level", "error"))
	for end := time.Now().Add(startFor); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Post("http://127.0.0.1:"+port+"/storage/v1/b?project=test", "application/json", strings.NewReader(`{"name":"`+name+`"}`)) //nolint:noctx // bounded by the loop
		if err == nil {
			_ = resp.Body.Close() // nothing is read
			break
		}
		if time.Now().After(end) {
			t.Fatalf("fake-gcs-server does not come up: %v", err)
		}
	}
	return google(t, p)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err := errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	return port
}

// emulator is held by a test with a bucket of Google: the client finds the server
// by one variable of the process.
var emulator sync.Mutex

func google(t *testing.T, p *Proxy) Bucket {
	t.Helper()
	emulator.Lock()
	t.Cleanup(emulator.Unlock)
	setenv(t, map[string]string{"STORAGE_EMULATOR_HOST": p.Addr()})
	return Bucket{Address: "gs://" + name + "?anonymous=true", Proxy: p}
}

// azurite is shared by all tests that run at the same time: starting takes a
// second.
var azurite server

// server is a process, stopped after its last test.
type server struct {
	mu    sync.Mutex
	users int
	at    string
	cmd   *exec.Cmd
}

// use returns the address of the server.
func (s *server) use(t *testing.T) string {
	t.Helper()
	script := tool(t, "buckets/node_modules/azurite/dist/src/blob/main.js")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == 0 {
		s.start(t, script)
	}
	s.users++
	t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.users--; s.users == 0 {
			kill(s.cmd)
		}
	})
	return s.at
}

var listens = regexp.MustCompile(`listens on http://(\S+)`)

func (s *server) start(t *testing.T, script string) {
	t.Helper()
	s.cmd = exec.Command("node", script, "--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence",
		"--skipApiVersionCheck", "--disableTelemetry", "--silent")
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.at = ""
	for lines := bufio.NewScanner(out); s.at == "" && lines.Scan(); {
		if m := listens.FindStringSubmatch(lines.Text()); m != nil {
			s.at = m[1]
		}
	}
	if s.at == "" {
		kill(s.cmd)
		t.Fatal("azurite ended and did not say where it listens")
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // until the process ends
}

func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // killed, so always an error
}

// start runs a server until the test ends.
func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(cmd) })
}

// tool returns the path of a tool installed by scripts/bucket-deps.sh, and
// skips the test if missing; make test has all tools.
func tool(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
	}
	found := filepath.Join(dir, ".cache", filepath.FromSlash(path))
	if _, err := os.Stat(found); err != nil {
		if os.Getenv("E2E") != "" {
			t.Fatalf("scripts/bucket-deps.sh has not run: %v", err)
		}
		t.Skip("needs scripts/bucket-deps.sh")
	}
	return found
}
