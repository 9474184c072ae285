package signin

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	failureEvery = 6 * time.Second // one is forgiven
	failureBurst = 10
	maxFailing   = 10_000 // addresses that are remembered
)

// failures slows down whoever guesses. It is safe for concurrent use.
type failures struct {
	mu struct {
		sync.Mutex
		by map[netip.Prefix]*rate.Limiter
	}
}

func newFailures() *failures {
	f := &failures{}
	f.mu.by = map[netip.Prefix]*rate.Limiter{}
	return f
}

// tooMany reports whether an address has failed too often to try again now.
func (f *failures) tooMany(host string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.mu.by[network(host)]
	return l != nil && l.TokensAt(now) < 1
}

// add notes a failure.
func (f *failures) add(host string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	from := network(host)
	if f.mu.by[from] == nil {
		if len(f.mu.by) >= maxFailing {
			clear(f.mu.by)
		}
		f.mu.by[from] = rate.NewLimiter(rate.Every(failureEvery), failureBurst)
	}
	f.mu.by[from].AllowN(now, 1)
}

// network is what one person has many addresses of: an IPv4 address, or the /64 of
// an IPv6 address.
func network(host string) netip.Prefix {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 32
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
