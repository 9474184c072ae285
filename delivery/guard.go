package delivery

import (
	"fmt"
	"net/netip"
	"strings"
)

// guard decides which addresses may be delivered to.
type guard struct {
	allowed  []netip.Prefix
	special  []specialNetwork
	embedded []embedding
}

// specialNetwork is a network that is not part of the public internet.
type specialNetwork struct {
	prefix netip.Prefix
	kind   string
}

// embedding is an IPv6 network whose addresses stand for IPv4 addresses.
type embedding struct {
	prefix netip.Prefix
	offset int // of the IPv4 address, in bytes
}

// forbiddenError is the guard's refusal.
type forbiddenError struct {
	target string // an address or a name
	kind   string
}

func (e *forbiddenError) Error() string {
	return fmt.Sprintf("delivery to %s (%s) is not allowed", e.target, e.kind)
}

func newGuard(allow []netip.Prefix) (*guard, error) {
	g := &guard{special: specialNetworks(), embedded: embeddings()}
	for _, p := range allow {
		if !p.IsValid() {
			return nil, fmt.Errorf("allowed network %v is not valid", p)
		}
		if p.Addr().Is4In6() {
			if p.Bits() < 96 {
				return nil, fmt.Errorf("allowed network %v is wider than IPv4", p)
			}
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		g.allowed = append(g.allowed, p.Masked())
	}
	return g, nil
}

// check returns a *forbiddenError if addr must not be delivered to.
func (g *guard) check(addr netip.Addr) error {
	if kind := g.refusal(addr); kind != "" {
		return &forbiddenError{target: addr.String(), kind: kind}
	}
	return nil
}

// refusal is the kind of address that addr is, or empty if it is allowed.
func (g *guard) refusal(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	for _, p := range g.allowed {
		if p.Contains(addr) {
			return ""
		}
	}
	for _, s := range g.special {
		if s.prefix.Contains(addr) {
			return s.kind
		}
	}
	for _, e := range g.embedded {
		if e.prefix.Contains(addr) {
			b := addr.As16()
			return g.refusal(netip.AddrFrom4([4]byte(b[e.offset:])))
		}
	}
	return ""
}

// checkHost is what can be checked of a host that someone else resolves.
func (g *guard) checkHost(host string) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		return g.check(addr)
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		if kind := g.refusal(netip.AddrFrom4([4]byte{127, 0, 0, 1})); kind != "" {
			return &forbiddenError{target: host, kind: kind}
		}
	}
	return nil
}

// specialNetworks are those of the IANA special-purpose address registries that
// are not globally reachable, or that reach somewhere unknowable. More specific
// ones come first.
func specialNetworks() []specialNetwork {
	list := [...]struct{ prefix, kind string }{
		{"169.254.169.254/32", "cloud metadata"},
		{"fd00:ec2::254/128", "cloud metadata"},
		{"100.100.100.200/32", "cloud metadata"},

		{"0.0.0.0/8", "unspecified"},
		{"10.0.0.0/8", "private"},
		{"100.64.0.0/10", "shared"},
		{"127.0.0.0/8", "loopback"},
		{"169.254.0.0/16", "link-local"},
		{"172.16.0.0/12", "private"},
		{"192.0.0.0/24", "reserved"},
		{"192.0.2.0/24", "documentation"},
		{"192.88.99.0/24", "reserved"},
		{"192.168.0.0/16", "private"},
		{"198.18.0.0/15", "benchmarking"},
		{"198.51.100.0/24", "documentation"},
		{"203.0.113.0/24", "documentation"},
		{"224.0.0.0/4", "multicast"},
		{"240.0.0.0/4", "reserved"},

		{"::1/128", "loopback"},
		{"::/96", "unspecified"}, // and the deprecated IPv4-compatible addresses
		{"64:ff9b:1::/48", "private"},
		{"100::/64", "discard"},
		{"2001::/23", "reserved"}, // Teredo and other protocol assignments
		{"2001:db8::/32", "documentation"},
		{"3fff::/20", "documentation"},
		{"5f00::/16", "reserved"},
		{"fc00::/7", "private"},
		{"fe80::/10", "link-local"},
		{"fec0::/10", "private"},
		{"ff00::/8", "multicast"},
	}
	networks := make([]specialNetwork, len(list))
	for i, n := range list {
		networks[i] = specialNetwork{prefix: netip.MustParsePrefix(n.prefix), kind: n.kind}
	}
	return networks
}

func embeddings() []embedding {
	return []embedding{
		{prefix: netip.MustParsePrefix("64:ff9b::/96"), offset: 12}, // NAT64
		{prefix: netip.MustParsePrefix("2002::/16"), offset: 2},     // 6to4
	}
}
