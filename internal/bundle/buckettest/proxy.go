package buckettest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Fault is a way for connections to fail.
type Fault int

// The faults of a Proxy.
const (
	None   Fault = iota
	Refuse       // all connections are reset, open ones as well
	Hang         // nothing comes or goes any more
)

// Proxy stands between a test and a server.
type Proxy struct {
	network, to string
	listener    net.Listener
	wg          sync.WaitGroup

	mu         sync.Mutex
	fault      Fault
	turn       chan struct{} // closed when the fault is another
	cuts       int           // connections still to cut off
	after      int64         // bytes of an answer, or of a request, before the cut
	asked      bool          // of a request
	open       map[net.Conn]bool
	turnedAway int
}

// Addr returns the address of the proxy.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set makes all connections fail in a way, open ones as well.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	close(p.turn)
	p.turn = make(chan struct{})
	for c := range p.open {
		if f == Refuse {
			reset(c)
		}
	}
}

// Cut closes the open connections, and cuts off the next ones after a number
// of bytes: of the answers, or with asked of the requests.
func (p *Proxy) Cut(connections int, after int64, asked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cuts, p.after, p.asked = connections, after, asked
	for c := range p.open {
		reset(c)
	}
}

// TurnedAway returns the number of connections refused until now.
func (p *Proxy) TurnedAway() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.turnedAway
}

// reset ends a connection without a word.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // RST instead of FIN
	}
	_ = c.Close()
}

func proxy(t *testing.T, network, to string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{network: network, to: to, listener: l, turn: make(chan struct{}), open: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close() // accept ends then
		p.Set(Refuse)
		p.wg.Wait()
	})
	return p
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

// serve copies between a client and the server.
func (p *Proxy) serve(c net.Conn) {
	defer reset(c)
	s, err := net.Dial(p.network, p.to)
	if err != nil {
		return
	}
	defer s.Close()
	if !p.enter(c, s) {
		return
	}
	defer p.leave(c, s)
	done := make(chan struct{})
	p.wg.Go(func() {
		defer close(done)
		defer s.Close() // both directions end together
		p.copy(s, c, true)
	})
	p.copy(c, s, false)
	reset(c)
	<-done
}

func (p *Proxy) enter(c, s net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault == Refuse {
		p.turnedAway++
		return false
	}
	p.open[c], p.open[s] = true, true
	return true
}

func (p *Proxy) leave(c, s net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
	delete(p.open, s)
}

// copy copies from one side to the other until a fault.
func (p *Proxy) copy(to io.Writer, from io.Reader, asked bool) {
	var sum int64
	b := make([]byte, 16<<10)
	for {
		n, err := from.Read(b)
		sum += int64(n)
		if p.fails(sum, asked) {
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
		if err != nil {
			return
		}
	}
}

// fails reports whether a connection ends here. While the proxy hangs, fails
// waits.
func (p *Proxy) fails(sum int64, asked bool) bool {
	for {
		p.mu.Lock()
		if p.cuts > 0 && p.asked == asked && sum > p.after {
			p.cuts--
			p.mu.Unlock()
			return true
		}
		fault, turn := p.fault, p.turn
		p.mu.Unlock()
		if fault != Hang {
			return fault == Refuse
		}
		<-turn
	}
}
