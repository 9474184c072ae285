package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTraces(t *testing.T) {
	paths := make(chan string, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { paths <- r.URL.Path }))
	defer collector.Close()
	_, url := startSink(t)
	s := startServe(t, t.TempDir(), "--otlp-endpoint", collector.URL)
	server := "http://" + s.address
	id := strings.TrimSpace(must(t, "", "submit", "--server", server, "--source", "a", "--endpoint", url))
	awaitState(t, server, id, "JOB_STATE_SUCCEEDED")
	if err := s.stop(); err != nil { // sends what is left
		t.Fatal(err)
	}
	select {
	case path := <-paths:
		if path != "/v1/traces" {
			t.Errorf("traces went to %s", path)
		}
	default:
		t.Error("no traces were sent")
	}
}
