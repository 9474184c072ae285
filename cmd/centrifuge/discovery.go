package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"

	"centrifuge/client"
	"centrifuge/lease/consul"
)

// discoveryScheme begins a --server that is looked up in Consul.
const discoveryScheme = "consul://"

// directory is the list of a fleet's Directors in Consul.
type directory struct {
	consul  *consul.Client
	service string
}

var _ client.Resolver = (*directory)(nil)

// openDirectory reads consul://HOST:PORT/PREFIX; the prefix is that of the fleet, and
// may be left out like the default of --consul-prefix.
func openDirectory(server string) (*directory, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, usagef("--server: %w", err)
	}
	prefix := strings.Trim(u.Path, "/")
	if u.Host == "" || strings.Contains(prefix, "/") || u.RawQuery != "" {
		return nil, usagef("--server %s: want consul://HOST:PORT or consul://HOST:PORT/PREFIX", server)
	}
	c, err := consul.New(consul.Options{Address: "http://" + u.Host})
	if err != nil {
		return nil, err
	}
	return &directory{consul: c, service: directorService(cmp.Or(prefix, defaultConsulPrefix))}, nil
}

// Watch implements [client.Resolver].
func (d *directory) Watch(ctx context.Context, changed func(urls []string)) error {
	defer d.consul.Close()
	return d.consul.Watch(ctx, d.service, func(services []consul.Service) { changed(urlsOf(services)) })
}

// any is the URL of one Director, for a call that each of them answers.
func (d *directory) any(ctx context.Context) (string, error) {
	defer d.consul.Close()
	services, err := d.consul.Services(ctx, d.service)
	if err != nil {
		return "", fmt.Errorf("find a Director: %w", err)
	}
	urls := urlsOf(services)
	if len(urls) == 0 {
		return "", fmt.Errorf("find a Director: Consul lists no living %s", d.service)
	}
	return urls[rand.IntN(len(urls))], nil
}

func urlsOf(services []consul.Service) []string {
	urls := make([]string, len(services))
	for i, s := range services {
		urls[i] = s.Meta[urlKey]
	}
	return urls
}
