package delivery

import (
	"cmp"
	"hash/maphash"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"centrifuge/delivery/http1"
)

// MaxEndpoint is how long an endpoint may be, in bytes.
const MaxEndpoint = 8 << 10

// target is a parsed endpoint. It is shared between requests.
type target struct {
	endpoint string
	url      *url.URL
	uri      string     // as it stands in a request
	host     http1.Host // that is connected to

	onlyHTTP1 atomic.Bool // over TLS it chose HTTP/1.1 when it could have had HTTP/2
}

func newTarget(endpoint string, u *url.URL) *target {
	t := &target{endpoint: endpoint, url: u, uri: u.RequestURI()}
	port := u.Port()
	if u.Scheme == "https" {
		port = cmp.Or(port, "443")
		t.host.TLS = u.Hostname()
	}
	t.host.Address = net.JoinHostPort(u.Hostname(), cmp.Or(port, "80"))
	return t
}

// direct reports whether requests can be made with http1. Over TLS that is so once
// net/http has found out what the endpoint speaks.
func (t *target) direct() bool { return t.url.Scheme == "http" || t.onlyHTTP1.Load() }

// targets remembers endpoints that were parsed lately, one to a slot: bounded,
// without locks, and a miss costs little more than parsing.
type targets struct {
	seed  maphash.Seed
	slots [4096]atomic.Pointer[target]
}

// maxRemembered is the longest endpoint that targets keeps, in bytes.
const maxRemembered = 512

func (t *targets) get(endpoint string) (*target, error) {
	slot := &t.slots[maphash.String(t.seed, endpoint)%uint64(len(t.slots))]
	if known := slot.Load(); known != nil && known.endpoint == endpoint {
		return known, nil
	}
	u, err := parseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	parsed := newTarget(endpoint, u)
	if len(endpoint) <= maxRemembered {
		slot.Store(parsed)
	}
	return parsed, nil
}

// parseEndpoint returns the URL of an endpoint that can be delivered to, its
// host in ASCII. The error is a *FieldError.
func parseEndpoint(endpoint string) (*url.URL, error) {
	refuse := func(reason string) (*url.URL, error) {
		return nil, &FieldError{Field: "endpoint", Reason: reason}
	}
	if len(endpoint) > MaxEndpoint {
		return refuse("is longer than " + strconv.Itoa(MaxEndpoint) + " bytes")
	}
	if !utf8.ValidString(endpoint) {
		return refuse("is not valid UTF-8")
	}
	if strings.ContainsFunc(endpoint, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return refuse("contains a space or a control character")
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return refuse("is not a URL")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return refuse("must begin with http:// or https://")
	}
	if u.User != nil {
		return refuse("must not contain credentials; use an Authorization header")
	}
	host, reason := asciiHost(u.Hostname())
	if reason != "" {
		return refuse(reason)
	}
	port := u.Port()
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return refuse("has a port that is not between 1 and 65535")
		}
	}
	u.Host = joinHostPort(host, port)
	return u, nil
}

func joinHostPort(host, port string) string {
	if port != "" {
		return net.JoinHostPort(host, port)
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// asciiHost is a host as name servers and certificates know it, or the reason
// why it is none.
func asciiHost(host string) (ascii, reason string) {
	if host == "" {
		return "", "has no host"
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return "", "has an address with a zone"
		}
		return host, ""
	}
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil && !isASCII(host) {
		return "", "has a host that is not a valid international name"
	}
	if err != nil {
		ascii = host // IDNA refuses the underscores that some names do have
	}
	// A full-width 127.0.0.1 is an address as well, once it is mapped.
	if _, err := netip.ParseAddr(ascii); err == nil {
		return ascii, ""
	}
	return ascii, checkName(strings.TrimSuffix(ascii, "."))
}

func checkName(name string) (reason string) {
	const invalid = "has a host that is not a valid name"
	if len(name) > 253 {
		return invalid
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, notInName) {
			return invalid
		}
		last = label
	}
	// Some resolvers take 127.1, 0x7f000001 and the like for addresses; no
	// top-level domain is a number.
	if isNumber(last) {
		return "has a host that is neither a name nor a complete address"
	}
	return ""
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(strings.ToLower(label), "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}
