package main

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"
)

// networks is the value of a flag that may be repeated: CIDRs.
type networks []netip.Prefix

var _ pflag.SliceValue = (*networks)(nil)

func (n *networks) Type() string   { return "CIDR" }
func (n *networks) String() string { return "" }

// Set adds those between commas.
func (n *networks) Set(text string) error {
	for cidr := range strings.SplitSeq(text, ",") {
		if err := n.Append(strings.TrimSpace(cidr)); err != nil {
			return err
		}
	}
	return nil
}

// Append implements [pflag.SliceValue].
func (n *networks) Append(cidr string) error {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return fmt.Errorf("%q is no network such as 10.0.0.0/8", cidr)
	}
	if prefix != prefix.Masked() {
		return fmt.Errorf("%q has bits beyond its mask; did you mean %s?", cidr, prefix.Masked())
	}
	*n = append(*n, prefix)
	return nil
}

// Replace implements [pflag.SliceValue].
func (n *networks) Replace(cidrs []string) error {
	*n = nil
	for _, cidr := range cidrs {
		if err := n.Append(cidr); err != nil {
			return err
		}
	}
	return nil
}

// GetSlice implements [pflag.SliceValue].
func (n *networks) GetSlice() []string {
	list := make([]string, len(*n))
	for i, prefix := range *n {
		list[i] = prefix.String()
	}
	return list
}

// byteSize is the value of a flag: 64MiB, 1GB, 4096.
type byteSize int64

func (b *byteSize) Type() string   { return "bytes" }
func (b *byteSize) String() string { return humanize.IBytes(uint64(max(*b, 0))) }

func (b *byteSize) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > 1<<62 {
		return fmt.Errorf("%q is no size such as 64MiB", text)
	}
	*b = byteSize(n)
	return nil
}

// parseProxy reads a proxy's URL; none if it is empty. What it may contain is
// secret, so errors do not repeat it.
func parseProxy(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil, usagef("--proxy: not a URL such as http://proxy:3128")
	}
	return u, nil
}
