package delivery

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"

	"centrifuge"
)

func mustGuard(t *testing.T, allow ...string) *guard {
	t.Helper()
	var prefixes []netip.Prefix
	for _, p := range allow {
		prefixes = append(prefixes, netip.MustParsePrefix(p))
	}
	g, err := newGuard(prefixes)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGuard(t *testing.T) {
	g := mustGuard(t)
	for addr, kind := range map[string]string{
		"0.0.0.0":                 "unspecified",
		"0.1.2.3":                 "unspecified",
		"10.0.0.1":                "private",
		"100.64.0.1":              "shared",
		"100.127.255.255":         "shared",
		"100.128.0.0":             "",
		"127.0.0.1":               "loopback",
		"127.255.255.255":         "loopback",
		"169.254.1.1":             "link-local",
		"169.254.169.254":         "cloud metadata",
		"172.16.0.1":              "private",
		"172.31.255.255":          "private",
		"172.32.0.0":              "",
		"192.168.255.255":         "private",
		"192.0.2.1":               "documentation",
		"198.18.0.1":              "benchmarking",
		"198.20.0.0":              "",
		"224.0.0.1":               "multicast",
		"240.0.0.1":               "reserved",
		"255.255.255.255":         "reserved",
		"1.1.1.1":                 "",
		"8.8.8.8":                 "",
		"::":                      "unspecified",
		"::1":                     "loopback",
		"::7f00:1":                "unspecified",
		"::ffff:127.0.0.1":        "loopback",
		"::ffff:169.254.169.254":  "cloud metadata",
		"::ffff:8.8.8.8":          "",
		"64:ff9b::7f00:1":         "loopback",
		"64:ff9b::a9fe:a9fe":      "cloud metadata",
		"64:ff9b::808:808":        "",
		"64:ff9b:1::1":            "private",
		"2002:7f00:1::":           "loopback",
		"2002:a9fe:a9fe:1::1":     "cloud metadata",
		"2002:808:808::1":         "",
		"2001::1":                 "reserved",
		"2001:db8::1":             "documentation",
		"2001:4860:4860::8888":    "",
		"fc00::1":                 "private",
		"fd00:ec2::254":           "cloud metadata",
		"fdff::1":                 "private",
		"fe80::1":                 "link-local",
		"fe80::1%eth0":            "link-local",
		"fec0::1":                 "private",
		"ff02::1":                 "multicast",
		"2a00:1450:4001:80b::200": "",
	} {
		if got := g.refusal(netip.MustParseAddr(addr)); got != kind {
			t.Errorf("%s: got %q, want %q", addr, got, kind)
		}
	}
}

func TestGuardAllows(t *testing.T) {
	g := mustGuard(t, "127.0.0.0/8", "::ffff:10.1.0.0/112", "fd00:1::/32")
	for addr, allowed := range map[string]bool{
		"127.0.0.1":        true,
		"::ffff:127.0.0.1": true,
		"64:ff9b::7f00:1":  true,
		"::1":              false,
		"10.1.2.3":         true,
		"10.2.0.0":         false,
		"fd00:1::5":        true,
		"fd00:ec2::254":    false,
		"169.254.169.254":  false,
	} {
		if got := g.check(netip.MustParseAddr(addr)) == nil; got != allowed {
			t.Errorf("%s: allowed %v, want %v", addr, got, allowed)
		}
	}
}

func TestGuardRefusesOddNetworks(t *testing.T) {
	for _, p := range []netip.Prefix{{}, netip.PrefixFrom(netip.MustParseAddr("::ffff:0.0.0.0"), 90)} {
		if _, err := New(Options{AllowNetworks: []netip.Prefix{p}}); err == nil {
			t.Errorf("%v was taken", p)
		}
	}
}

func TestGuardOnTheNetwork(t *testing.T) {
	reached := serveConn(t, func(net.Conn) { t.Error("a connection was made") })
	_, port, _ := net.SplitHostPort(reached[len("http://"):])
	c := newClient(t, Options{})
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"} {
		discard(centrifuge.ErrorForbiddenAddress, false).check(t, c.Deliver(t.Context(), post("http://"+host+":"+port), 1))
	}
}

func TestGuardWithDialContext(t *testing.T) {
	c := newClient(t, Options{DialContext: func(_ context.Context, _, addr string) (net.Conn, error) {
		if addr != "example.com:80" {
			t.Errorf("dialled %s", addr)
		}
		return nil, io.EOF
	}})
	discard(centrifuge.ErrorForbiddenAddress, false).check(t, c.Deliver(t.Context(), post("http://10.0.0.1"), 1))
	retry(centrifuge.ErrorConnReset, false).check(t, c.Deliver(t.Context(), post("http://example.com"), 1))
}
