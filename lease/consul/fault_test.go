package consul_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge/lease/consul/consultest"
)

// Each step of an acquisition and of a release fails once, without and with its
// having been done.
func TestEveryStepLostAndKept(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t)
	for _, step := range []string{"list", "create", "read", "txn", "destroy"} {
		for _, kept := range []bool{false, true} {
			name := step + " lost"
			if kept {
				name = step + " done, the answer lost"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				failing := &failing{step: step, kept: kept}
				url := failing.before(t, server)
				first := acquire(t, connect(t, url, 2*time.Minute), t.Name())
				if !first.Held() {
					t.Error("acquired, and not held")
				}
				epoch, err := first.Advance(t.Context())
				if err != nil || epoch != first.Epoch() {
					t.Errorf("advanced to %d, %v; the epoch is %d", epoch, err, first.Epoch())
				}
				if err := first.Close(t.Context()); (err != nil) != (step == "destroy") {
					t.Errorf("close: %v", err)
				}
				if !failing.failed.Load() {
					t.Fatal("the step did not fail")
				}
				if step == "destroy" && !kept {
					return // the next one has to wait for the TTL
				}
				second := acquire(t, connect(t, server.URL(), long), t.Name())
				if second.Epoch() <= first.Epoch() {
					t.Errorf("epoch %d after %d", second.Epoch(), first.Epoch())
				}
			})
		}
	}
}

// failing stands before Consul and fails the first request of one step.
type failing struct {
	step   string
	kept   bool // what was asked is done, and the answer lost
	failed atomic.Bool
}

func (f *failing) before(t *testing.T, server *consultest.Server) string {
	t.Helper()
	target, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{DisableKeepAlives: true},
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if stepOf(r) != f.step || f.failed.Swap(true) {
			forward.ServeHTTP(w, r)
			return
		}
		if f.kept {
			forward.ServeHTTP(httptest.NewRecorder(), r)
		}
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}

func stepOf(r *http.Request) string {
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/v1/session/create"):
		return "create"
	case strings.HasPrefix(path, "/v1/session/destroy"):
		return "destroy"
	case strings.HasPrefix(path, "/v1/txn"):
		return "txn"
	case r.URL.Query().Has("recurse"):
		return "list"
	case strings.HasPrefix(path, "/v1/kv/"):
		return "read"
	default:
		return path
	}
}
