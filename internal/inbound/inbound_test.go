package inbound

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"slipway/internal/slipway"
)

// logged is a log that is read while it is written.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve serves h on a port of this machine, as the portal does.
func serve(t *testing.T, h http.HandlerFunc, cfg Config) (address string, log *logged) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log = &logged{}
	if cfg.Most == 0 {
		cfg.Most, cfg.FromNetwork = 100, 100
	}
	cfg.Network = func(ip string) string { return ip }
	server := &http.Server{Handler: Handler(h, cmp.Or(cfg.Wait, Wait)), ConnContext: WithConn, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go func() { _ = server.Serve(NewListener(l, cfg, slog.New(slog.NewTextHandler(log, nil)))) }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String(), log
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// answer reads an answer with its body.
func answer(c net.Conn) (status int, text string, err error) {
	in := bufio.NewReader(c)
	r, err := http.ReadResponse(in, nil)
	if err == nil && r.StatusCode == http.StatusContinue {
		r, err = http.ReadResponse(in, nil)
	}
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	all, err := io.ReadAll(r.Body)
	return r.StatusCode, string(all), err
}

// A client that writes the whole request before it reads gets every answer.
func TestEarlyAnswers(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 12<<20)
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		want    int
	}{
		"status alone": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, http.StatusNoContent},
		"refusal":      {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "No.", http.StatusUnauthorized) }, http.StatusUnauthorized},
		"text alone":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "Known.") }, http.StatusOK},
		"flushed":      {func(w http.ResponseWriter, _ *http.Request) { _ = http.NewResponseController(w).Flush() }, http.StatusOK},
		"nothing":      {func(http.ResponseWriter, *http.Request) {}, http.StatusOK},
		"after a part": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
			http.Error(w, "Too large.", http.StatusRequestEntityTooLarge)
		}, http.StatusRequestEntityTooLarge},
		"after another limit": {func(w http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 1<<20))
			http.Error(w, fmt.Sprint(err), http.StatusRequestEntityTooLarge)
		}, http.StatusRequestEntityTooLarge},
	} {
		address, _ := serve(t, tt.handler, Config{})
		for _, head := range []string{
			fmt.Sprintf("POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n", len(body)),
			fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(body)),
			fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body)), // but does not wait
			fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", len(body)),
		} {
			t.Run(name+"/"+strings.ReplaceAll(head[7:min(60, len(head))], "\r\n", " "), func(t *testing.T) {
				t.Parallel()
				c := dial(t, address)
				end := ""
				if strings.Contains(head, "chunked") {
					end = "\r\n0\r\n\r\n"
				}
				for _, part := range [][]byte{[]byte(head), body, []byte(end)} {
					if _, err := c.Write(part); err != nil {
						t.Fatalf("the request was cut off: %v", err)
					}
				}
				if status, text, err := answer(c); status != tt.want || err != nil {
					t.Errorf("answer %d %q, %v; want %d", status, text, err, tt.want)
				}
			})
		}
	}
}

// A client that asks before it sends gets the answer without sending.
func TestAnswerInsteadOfContinue(t *testing.T) {
	address, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "No.", http.StatusUnauthorized) }, Config{})
	c := dial(t, address)
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", 1<<30)
	if status, _, err := answer(c); status != http.StatusUnauthorized || err != nil {
		t.Errorf("answer %d, %v", status, err)
	}
}

// TestSpeed sends bodies in pieces with pauses, where a portion may take 300 ms.
func TestSpeed(t *testing.T) {
	const wait = 300 * time.Millisecond
	address, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		if kind, text := slipway.Explain(errors.Join(slipway.Errorf(slipway.Invalid, "broken"), err)); kind == slipway.TooSlow {
			http.Error(w, text, http.StatusRequestTimeout)
		}
	}, Config{Wait: wait})
	for name, tt := range map[string]struct {
		piece, pieces int // bytes, and number
		pause         time.Duration
		want          int
	}{
		"fast":                 {portion, 20, 0, http.StatusOK},
		"slow but moving":      {portion / 2, 20, wait / 6, http.StatusOK},
		"small at once":        {10, 3, 0, http.StatusOK},
		"stalls":               {10, 2, time.Hour, http.StatusRequestTimeout},
		"stalls in the midst":  {portion * 4, 2, time.Hour, http.StatusRequestTimeout},
		"a few bytes for ever": {10, 1000, wait / 30, http.StatusRequestTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, address)
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", tt.piece*tt.pieces)
			began := time.Now()
			go func() {
				for i := range tt.pieces {
					if i > 0 {
						time.Sleep(min(tt.pause, 2*time.Second))
					}
					if _, err := c.Write(make([]byte, tt.piece)); err != nil {
						return
					}
				}
			}()
			status, text, err := answer(c)
			if status != tt.want || err != nil {
				t.Errorf("answer %d %q after %s, %v; want %d", status, text, time.Since(began), err, tt.want)
			}
			if took := time.Since(began); tt.want == http.StatusRequestTimeout && took > 3*wait {
				t.Errorf("the portal waited for %s", took)
			}
		})
	}
}

// The time of the portal's own work is nobody's slowness, before, within and
// after the body.
func TestOwnTimeDoesNotCount(t *testing.T) {
	const wait = 100 * time.Millisecond
	address, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		piece := make([]byte, 1000)
		for range 4 {
			time.Sleep(wait)
			if _, err := io.ReadFull(r.Body, piece); err != nil {
				t.Error(err)
			}
		}
		select {
		case <-r.Context().Done():
			t.Error("the request was cancelled")
		case <-time.After(3 * wait):
		}
		fmt.Fprint(w, "done")
	}, Config{Wait: wait})
	for name, head := range map[string]string{"length": "Content-Length: 4000\r\n\r\n", "chunked": "Transfer-Encoding: chunked\r\n\r\nfa0\r\n"} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, address)
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\n%s%s", head, strings.Repeat("x", 4000))
			if name == "chunked" {
				fmt.Fprint(c, "\r\n0\r\n\r\n")
			}
			if _, text, err := answer(c); text != "done" || err != nil {
				t.Errorf("answer %q, %v", text, err)
			}
		})
	}
}

// Somebody who takes no bytes loses the connection; a slow line gets everything.
func TestSlowReaders(t *testing.T) {
	const wait, size = 300 * time.Millisecond, 24 << 20
	ended := make(chan error, 2)
	address, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(make([]byte, size))
		ended <- err
	}, Config{Wait: wait})

	deaf := dial(t, address)
	fmt.Fprint(deaf, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the answer was sent, though nobody took it")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the portal waits for ever")
	}

	slow := dial(t, address)
	fmt.Fprint(slow, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	n, piece := 0, make([]byte, size/16)
	for err := error(nil); err == nil; {
		var m int
		m, err = io.ReadFull(slow, piece)
		n += m
		time.Sleep(wait / 6)
	}
	if n < size {
		t.Errorf("%d bytes came, want %d", n, size)
	}
}

// open sends text on a new connection.
func open(t *testing.T, address, text string) net.Conn {
	t.Helper()
	c := dial(t, address)
	fmt.Fprint(c, text)
	return c
}

const health = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

// TestCrowds opens more connections than one network, or all together, may have.
func TestCrowds(t *testing.T) {
	release := make(chan struct{})
	handler := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-release
		}
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, "fine")
	}
	for name, tt := range map[string]struct {
		cfg  Config
		text string // of each connection in the crowd
		want string
	}{
		"silent":             {Config{Most: 40, FromNetwork: 20}, "", "fine"},
		"half a header":      {Config{Most: 40, FromNetwork: 20}, "GET / HTTP", "fine"},
		"half a body":        {Config{Most: 40, FromNetwork: 20}, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", "fine"},
		"half a body in all": {Config{Most: 20, FromNetwork: 100}, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", "fine"},
		"in work":            {Config{Most: 40, FromNetwork: 20}, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			address, log := serve(t, handler, tt.cfg)
			var crowd []net.Conn
			for range 3 * tt.cfg.FromNetwork / 2 {
				crowd = append(crowd, open(t, address, tt.text))
			}
			time.Sleep(100 * time.Millisecond) // the requests are in work
			_, text, _ := answer(open(t, address, health))
			if text != tt.want {
				t.Errorf("the answer is %q, want %q", text, tt.want)
			}
			if got := log.String(); tt.want == "" && !strings.Contains(got, "connections are refused") || tt.want != "" && !strings.Contains(got, "silent connections make room") {
				t.Errorf("the log says %q", got)
			}
			if tt.want == "" { // a request in work is never ended
				close(release)
				if _, text, err := answer(crowd[0]); text != "fine" {
					t.Errorf("the first one got %q, %v", text, err)
				}
			}
		})
	}
}

// full is a listener of a process without a free descriptor, for a while.
type full struct {
	net.Listener
	left int
}

func (l *full) Accept() (net.Conn, error) {
	if l.left--; l.left >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

func TestAcceptErrors(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := &logged{}
	l := NewListener(&full{inner, 5}, Config{Most: 9, FromNetwork: 9, Network: strings.ToLower}, slog.New(slog.NewTextHandler(log, nil)))
	server := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	if status, _, err := answer(open(t, inner.Addr().String(), health)); status != http.StatusNotFound {
		t.Errorf("answer %d, %v", status, err)
	}
	if got := log.String(); strings.Count(got, "level=ERROR") != 1 || !strings.Contains(got, "too many open files") {
		t.Errorf("the log says %q", got)
	}
}
