package rpc

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestPages(t *testing.T) {
	var ready error
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "something_total"}))
	address := serve(t, Options{Registry: registry, Version: "1.2.3", Ready: func() error { return ready }})

	for path, want := range map[string]string{
		"/": "Centrifuge 1.2.3", "/healthz": "ok", "/metrics": "something_total 0", "/readyz": `{"ready":true}`,
	} {
		if status, _, content := get(t, "http://"+address+path); status != http.StatusOK || !strings.Contains(content, want) {
			t.Errorf("%s: got status %d: %s", path, status, content)
		}
	}
	for _, path := range []string{"/nowhere", "/healthz/x", "/debug/pprof/"} {
		if status, _, _ := get(t, "http://"+address+path); status != http.StatusNotFound {
			t.Errorf("%s: got status %d", path, status)
		}
	}

	ready = errors.New(`recovering: 120,000 jobs read of "main"`)
	status, header, content := get(t, "http://"+address+"/readyz")
	if status != http.StatusServiceUnavailable || header.Get("Content-Type") != "application/json" {
		t.Errorf("got status %d, type %q", status, header.Get("Content-Type"))
	}
	equalJSON(t, content, `{"ready": false, "reason": "recovering: 120,000 jobs read of \"main\""}`)
	if status, _, _ := get(t, "http://"+address+"/healthz"); status != http.StatusOK {
		t.Errorf("a server that is not ready is not healthy: status %d", status)
	}
}
