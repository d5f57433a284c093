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
	"testing/synctest"
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
	start(t, l, h, cfg, log)
	return l.Addr().String(), log
}

// start serves h on l, as the portal does, until the test ends.
func start(t *testing.T, l net.Listener, h http.HandlerFunc, cfg Config, log io.Writer) {
	t.Helper()
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	Guard(server, cmp.Or(cfg.Wait, Wait))
	go func() { _ = server.Serve(NewListener(l, cfg, slog.New(slog.NewTextHandler(log, nil)))) }()
	t.Cleanup(func() { _ = server.Close() })
}

// pipes is a listener without a network: its connections stand still in the time
// of a test, and hold nothing in between.
type pipes struct {
	come   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.come:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func (l *pipes) dial(t *testing.T) net.Conn {
	t.Helper()
	here, there := net.Pipe()
	l.come <- there
	t.Cleanup(func() { _ = here.Close() })
	return here
}

// inTime runs a test of times: no clock but that of the test counts, on a busy
// machine too.
func inTime(t *testing.T, h http.HandlerFunc, test func(t *testing.T, dial func() net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &pipes{come: make(chan net.Conn), closed: make(chan struct{})}
		start(t, l, h, Config{Most: 100, FromNetwork: 100, Network: strings.ToLower}, io.Discard)
		test(t, func() net.Conn { return l.dial(t) })
		time.Sleep(24 * time.Hour) // both sides end
	})
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

// TestSpeed sends bodies in pieces with pauses, where a portion may take a minute.
func TestSpeed(t *testing.T) {
	for name, tt := range map[string]struct {
		piece, pieces int // bytes, and number
		pause         time.Duration
		want          int
		after         time.Duration // of the answer
	}{
		"fast":                 {portion, 20, 0, http.StatusOK, 0},
		"slow but moving":      {portion / 2, 20, 29 * time.Second, http.StatusOK, 19 * 29 * time.Second},
		"just too slow":        {portion / 2, 20, 31 * time.Second, http.StatusRequestTimeout, time.Minute + 31*time.Second},
		"small at once":        {10, 3, 0, http.StatusOK, 0},
		"stalls":               {10, 2, time.Hour, http.StatusRequestTimeout, time.Minute},
		"stalls in the midst":  {portion * 4, 2, time.Hour, http.StatusRequestTimeout, time.Minute},
		"a few bytes for ever": {10, 1000, time.Second, http.StatusRequestTimeout, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			handler := func(w http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				if kind, text := slipway.Explain(errors.Join(slipway.Errorf(slipway.Invalid, "broken"), err)); kind == slipway.TooSlow {
					http.Error(w, text, http.StatusRequestTimeout)
				}
			}
			inTime(t, handler, func(t *testing.T, dial func() net.Conn) {
				c, began := dial(), time.Now()
				go func() {
					fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", tt.piece*tt.pieces)
					for i := range tt.pieces {
						if i > 0 {
							time.Sleep(tt.pause)
						}
						if _, err := c.Write(make([]byte, tt.piece)); err != nil {
							return
						}
					}
				}()
				status, text, err := answer(c)
				if took := time.Since(began); status != tt.want || took != tt.after || err != nil {
					t.Errorf("answer %d %q after %s, %v; want %d after %s", status, text, took, err, tt.want, tt.after)
				}
				_ = c.Close()
			})
		})
	}
}

// The time of the portal's own work is nobody's slowness, before, within and
// after the body.
func TestOwnTimeDoesNotCount(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		piece := make([]byte, 1000)
		for range 4 {
			time.Sleep(2 * Wait)
			if _, err := io.ReadFull(r.Body, piece); err != nil {
				t.Error(err)
			}
		}
		select {
		case <-r.Context().Done():
			t.Error("the request was cancelled")
		case <-time.After(3 * Wait):
		}
		fmt.Fprint(w, "done")
	}
	for name, head := range map[string]string{"length": "Content-Length: 4000\r\n\r\n", "chunked": "Transfer-Encoding: chunked\r\n\r\nfa0\r\n"} {
		t.Run(name, func(t *testing.T) {
			inTime(t, handler, func(t *testing.T, dial func() net.Conn) {
				c := dial()
				go func() {
					fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s%s", head, strings.Repeat("x", 4000))
					if name == "chunked" {
						fmt.Fprint(c, "\r\n0\r\n\r\n")
					}
				}()
				if _, text, err := answer(c); text != "done" || err != nil {
					t.Errorf("answer %q, %v", text, err)
				}
			})
		})
	}
}

// Somebody who takes too few bytes loses the connection; a slow line gets
// everything. The portal writes an answer at once, or piece by piece.
func TestSlowReaders(t *testing.T) {
	const size = 64 * portion
	for name, tt := range map[string]struct {
		take  int // bytes, in each pause
		pause time.Duration
		cut   bool
	}{
		"fast":                {portion, 0, false},
		"slow but moving":     {portion, 59 * time.Second, false},
		"nothing":             {1, time.Hour, true},
		"a byte a second":     {1, time.Second, true},
		"a kilobyte in three": {1 << 10, 3 * time.Second, true},
	} {
		for _, piece := range []int{size, 1 << 10} {
			t.Run(fmt.Sprint(name, "/", piece), func(t *testing.T) {
				ended := make(chan error, 1)
				handler := func(w http.ResponseWriter, _ *http.Request) {
					var err error
					for n := 0; n < size && err == nil; n += piece {
						_, err = w.Write(make([]byte, piece))
					}
					ended <- errors.Join(err, http.NewResponseController(w).Flush())
				}
				inTime(t, handler, func(t *testing.T, dial func() net.Conn) {
					c := dial()
					fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
					var got int64
					for err := error(nil); err == nil; time.Sleep(tt.pause) {
						var n int64
						n, err = io.CopyN(io.Discard, c, int64(tt.take))
						got += n
					}
					if err := <-ended; (err != nil) != tt.cut || (got < size) != tt.cut {
						t.Errorf("%d of %d bytes came, %v", got, size, err)
					}
				})
			})
		}
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

const (
	known    = "Authorization: Bearer good\r\n"
	halfBody = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n%s\r\nabc"
)

// unread is an answer that fits in no buffer of the kernel.
const unread = 64 << 20

// TestCrowds opens more connections than one network, or all together, may have.
func TestCrowds(t *testing.T) {
	both, all := Config{Most: 40, FromNetwork: 20}, Config{Most: 20, FromNetwork: 100}
	for name, tt := range map[string]struct {
		cfg  Config
		text string // of each connection in the crowd
		room bool   // for one more
	}{
		"silent":                         {both, "", true},
		"half a header":                  {both, "GET / HTTP", true},
		"half a body":                    {both, fmt.Sprintf(halfBody, ""), true},
		"half a body in all":             {all, fmt.Sprintf(halfBody, ""), true},
		"half a body of known ones":      {both, fmt.Sprintf(halfBody, known), false},
		"half a body of known ones, all": {all, fmt.Sprintf(halfBody, known), false},
		"between two requests":           {both, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
		"answers not taken":              {both, strings.Repeat("GET /much HTTP/1.1\r\nHost: a\r\n\r\n", 9), true},
		"answers not taken in all":       {all, strings.Repeat("GET /much HTTP/1.1\r\nHost: a\r\n\r\n", 9), true},
		"a refused body":                 {both, "POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", true},
		"in work":                        {both, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			begun, release := make(chan bool, 100), make(chan struct{})
			address, log := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "" {
					Known(r.Context())
				}
				begun <- true
				switch r.URL.Path {
				case "/wait":
					<-release
				case "/much":
					_, _ = w.Write(make([]byte, unread))
				case "/no":
					w.WriteHeader(http.StatusUnauthorized)
				}
				_, _ = io.Copy(io.Discard, r.Body)
				fmt.Fprint(w, "fine")
			}, tt.cfg)
			var crowd []net.Conn
			places := min(tt.cfg.Most, tt.cfg.FromNetwork)
			for i := range 3 * places / 2 {
				crowd = append(crowd, open(t, address, tt.text))
				if strings.Contains(tt.text, "\r\n\r\n") && i < places {
					<-begun // so that the first ones have a place
				}
			}
			_, text, _ := answer(open(t, address, health))
			if want := map[bool]string{true: "fine"}[tt.room]; text != want {
				t.Errorf("the answer is %q, want %q", text, want)
			}
			if got := log.String(); strings.Contains(got, "silent connections make room") != tt.room || strings.Contains(got, "connections are refused") == tt.room {
				t.Errorf("the log says %q", got)
			}
			close(release)
			if !tt.room { // nobody in work was cut off
				_, _ = crowd[0].Write([]byte("defghi"))
				if _, text, err := answer(crowd[0]); text != "fine" {
					t.Errorf("the first one got %q, %v", text, err)
				}
			}
		})
	}
}

// Whoever drips bytes of headers, or opens ever more connections, cuts no upload
// with a good credential, from the same network or from others.
func TestUploadsOutlastACrowd(t *testing.T) {
	for name, cfg := range map[string]Config{"network": {Most: 40, FromNetwork: 20}, "all": {Most: 20, FromNetwork: 100}} {
		t.Run(name, func(t *testing.T) {
			address, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				Known(r.Context())
				n, err := io.Copy(io.Discard, r.Body)
				fmt.Fprint(w, n, err)
			}, cfg)
			const pieces = 20
			upload := open(t, address, fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", pieces*1000))
			var crowd []net.Conn
			for range pieces {
				for range 10 {
					crowd = append(crowd, open(t, address, "GET /"))
				}
				for _, c := range crowd {
					_, _ = c.Write([]byte("x"))
				}
				if _, err := upload.Write(make([]byte, 1000)); err != nil {
					t.Fatalf("the upload was cut off: %v", err)
				}
			}
			if _, text, err := answer(upload); text != fmt.Sprint(pieces*1000, " <nil>") || err != nil {
				t.Errorf("answer %q, %v", text, err)
			}
		})
	}
}

// TestRank judges connections that could make room for another one.
func TestRank(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	order := []struct {
		name string
		of   standing
		want rank
	}{
		{"half a header for a while", standing{since: now.Add(-9 * time.Second)}, unasked},
		{"just opened", standing{since: now}, unasked},
		{"long between two requests", standing{stage: resting, since: now.Add(-time.Minute)}, between},
		{"just answered", standing{stage: resting, since: now}, between},
		{"a stranger's body", standing{stage: working, since: now.Add(-time.Hour), lacking: true}, stranger},
		{"a stranger's answer", standing{stage: working, since: now.Add(-time.Second), untaken: now}, stranger},
		{"a known client that takes no answer", standing{stage: working, since: now.Add(-time.Hour), known: true, untaken: now.Add(-6 * time.Second)}, deaf},
		{"a known client that takes the answer slowly", standing{stage: working, since: now.Add(-time.Hour), known: true, untaken: now.Add(-4 * time.Second)}, kept},
		{"a stranger's request in work", standing{stage: working, since: now.Add(-10 * time.Minute)}, kept},
		{"a known client's upload", standing{stage: working, since: now.Add(-time.Minute), known: true, lacking: true}, kept},
	}
	for i, tt := range order {
		if got := tt.of.rank(now); got != tt.want {
			t.Errorf("%s: rank %d, want %d", tt.name, got, tt.want)
		}
		if i > 0 && tt.want != kept && order[i-1].of.before(tt.of, now) >= 0 {
			t.Errorf("%s makes room after: %s", order[i-1].name, tt.name)
		}
	}
}

// Little is read for nobody: a refusal without a good credential comes at once
// where the rest is long, and after that of a known client otherwise.
func TestStrangersSendLittle(t *testing.T) {
	for name, tt := range map[string]struct {
		head string
		want int64 // bytes that the portal reads, at most
	}{
		"stranger":         {"Content-Length: %d\r\n", 8 << 20}, // what lies in buffers on the way
		"stranger, chunks": {"Transfer-Encoding: chunked\r\n", droppedForStranger.bytes + 8<<20},
		"known":            {known + "Content-Length: %d\r\n", 100 << 20},
		"known, chunks":    {known + "Transfer-Encoding: chunked\r\n", 100 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			const size = 100 << 20
			address, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "" {
					Known(r.Context())
				}
				w.WriteHeader(http.StatusUnauthorized)
			}, Config{})
			head, body := tt.head, func(p []byte) string { return string(p) }
			if strings.Contains(head, "%d") {
				head = fmt.Sprintf(head, size)
			} else {
				body = func(p []byte) string { return fmt.Sprintf("%x\r\n%s\r\n", len(p), p) }
			}
			c := open(t, address, "POST / HTTP/1.1\r\nHost: a\r\n"+head+"\r\n")
			piece, sent := body(make([]byte, 1<<20)), int64(0)
			for sent < size {
				if _, err := io.WriteString(c, piece); err != nil {
					break
				}
				sent += 1 << 20
			}
			if sent > tt.want || tt.want == size && sent < size {
				t.Errorf("%d MiB were read, want %d", sent>>20, tt.want>>20)
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
