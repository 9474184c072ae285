package consultest

import (
	"net"
	"sync"
	"testing"
)

// Proxy stands between a client and a server, on a free port of loopback.
type Proxy struct {
	listener net.Listener
	server   string
	running  sync.WaitGroup

	mu struct {
		sync.Mutex
		open   chan struct{} // closed while bytes pass
		conns  map[net.Conn]struct{}
		closed bool
	}
}

// NewProxy passes everything on to server (host:port) until the test ends.
func NewProxy(t *testing.T, server string) *Proxy {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: listener, server: server}
	p.mu.open = make(chan struct{})
	close(p.mu.open)
	p.mu.conns = make(map[net.Conn]struct{})
	p.running.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// URL is where clients find the proxy.
func (p *Proxy) URL() string { return "http://" + p.listener.Addr().String() }

// Cut has nothing pass any more in either direction, and nobody is told: what is
// sent is accepted and goes nowhere, as when a cable is pulled.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.open = make(chan struct{})
}

// Heal ends the connections that were cut; new ones pass again.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hangUp()
	close(p.mu.open)
}

func (p *Proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	p.mu.closed = true
	p.hangUp()
	select {
	case <-p.mu.open:
	default:
		close(p.mu.open)
	}
	p.mu.Unlock()
	p.running.Wait()
}

// hangUp is called with p.mu locked.
func (p *Proxy) hangUp() {
	for conn := range p.mu.conns {
		conn.Close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server) //nolint:noctx // it is on this machine, and ends with the proxy
		if err != nil {
			client.Close()
			continue
		}
		p.join(client, server)
	}
}

func (p *Proxy) join(client, server net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range []net.Conn{client, server} {
		p.mu.conns[conn] = struct{}{}
		if p.mu.closed {
			conn.Close()
		}
	}
	p.running.Go(func() { p.pass(client, server) })
	p.running.Go(func() { p.pass(server, client) })
}

// pass copies until one of the two is closed, and closes both.
func (p *Proxy) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		open := p.mu.open
		p.mu.Unlock()
		<-open
		if err != nil {
			p.mu.Lock()
			delete(p.mu.conns, from)
			p.mu.Unlock()
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
