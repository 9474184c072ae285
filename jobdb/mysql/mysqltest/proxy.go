package mysqltest

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Fate is what becomes of a command that a client sends.
type Fate uint8

// The fates of a command. Its first byte says what it is; 3 is a statement in
// text, which follows.
const (
	Pass      Fate = iota
	Cut            // the connection ends; the server never sees the command
	CutAnswer      // the server carries it out, and the connection ends instead of its answer
	Hang           // nothing comes back, and the connection stays
)

// Proxy stands between a server and its clients, which must not use TLS. Its
// methods are safe for concurrent use.
type Proxy struct {
	// Address is where clients connect to.
	Address string

	server   string
	listener net.Listener
	fate     atomic.Pointer[func(command []byte) Fate]
	delay    atomic.Int64
	done     chan struct{}
	work     sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

// NewProxy starts a proxy for the server at the address. It ends with the test.
func NewProxy(tb testing.TB, server string) *Proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{Address: l.Addr().String(), server: server, listener: l, done: make(chan struct{})}
	p.Plan(func([]byte) Fate { return Pass })
	p.work.Go(p.accept)
	tb.Cleanup(p.close)
	return p
}

// Plan sets what decides the fate of each command from now on. It may be called
// by several connections at once, and may block.
func (p *Proxy) Plan(fate func(command []byte) Fate) { p.fate.Store(&fate) }

// Delay makes each command take so much longer from now on.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

func (p *Proxy) close() {
	close(p.done)
	p.listener.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.work.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server) //nolint:noctx // on loopback it answers at once
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		var cut atomic.Bool
		p.work.Go(func() { p.commands(client, server, &cut) })
		p.work.Go(func() { answers(client, server, &cut) })
	}
}

// commands passes on what the client sends, packet by packet: three bytes of
// length, one that counts, which is 0 at the beginning of a command.
func (p *Proxy) commands(client, server net.Conn, cut *atomic.Bool) {
	defer client.Close()
	defer server.Close()
	for {
		var header [4]byte
		if _, err := io.ReadFull(client, header[:]); err != nil {
			return
		}
		packet := make([]byte, 4+int(header[0])+int(header[1])<<8+int(header[2])<<16)
		copy(packet, header[:])
		if _, err := io.ReadFull(client, packet[4:]); err != nil {
			return
		}
		if header[3] == 0 && !p.pass(packet[4:], client, cut) {
			return
		}
		if _, err := server.Write(packet); err != nil {
			return
		}
	}
}

// pass reports whether a command is to reach the server, when it is time.
func (p *Proxy) pass(command []byte, client net.Conn, cut *atomic.Bool) bool {
	if d := time.Duration(p.delay.Load()); d > 0 {
		late := time.NewTimer(d)
		defer late.Stop()
		select {
		case <-late.C:
		case <-p.done:
			return false
		}
	}
	switch (*p.fate.Load())(command) {
	case Cut:
		return false
	case CutAnswer:
		cut.Store(true)
	case Hang:
		_, _ = io.Copy(io.Discard, client) // until it gives up
		return false
	case Pass:
	}
	return true
}

// answers passes on what the server sends, until it is to be cut.
func answers(client, server net.Conn, cut *atomic.Bool) {
	defer client.Close()
	defer server.Close()
	buffer := make([]byte, 16<<10)
	for {
		n, err := server.Read(buffer)
		if cut.Load() || errors.Is(err, net.ErrClosed) {
			return
		}
		if _, failed := client.Write(buffer[:n]); failed != nil || err != nil {
			return
		}
	}
}
