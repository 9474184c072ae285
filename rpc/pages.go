package rpc

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// index is the text of the front page.
const index = `Centrifuge %s

/healthz        200 while the process serves
/readyz         200 when jobs are accepted; 503 and the reason when not
/metrics        for Prometheus
/debug/pprof/   profiles, if they are turned on

/centrifuge.v1.JobService/{Submit,Get}
/centrifuge.v1.QueueService/{List,SetPolicy,Retry,Expire}
/centrifuge.v1.ArchiveService/{List,Replay}
/centrifuge.v1.LedgerService/Get
/centrifuge.v1.VisibilityService/{Series,Breakdown,Top,Samples,Search,Alerts}
                POST JSON or protobuf; or call with Connect, gRPC or gRPC-Web
`

func serveIndex(version string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintf(w, index, version) // the caller may be gone
	})
}

func serveHealth(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "ok\n") // the caller may be gone
}

// serveReady tells whether jobs are accepted and if not, why.
func serveReady(ready func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		var state struct {
			Ready  bool   `json:"ready"`
			Reason string `json:"reason,omitempty"`
		}
		if err := ready(); err != nil {
			state.Reason = err.Error()
			w.WriteHeader(http.StatusServiceUnavailable)
		} else {
			state.Ready = true
		}
		_ = json.NewEncoder(w).Encode(state) // the caller may be gone
	})
}

func serveMetrics(registry prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

func serveProfiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
