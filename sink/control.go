package sink

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
)

// controlPrefix is where the paths begin that control the sink.
const controlPrefix = "/_sink/"

func (s *Sink) serveControl(w http.ResponseWriter, req *http.Request) {
	var method string
	var serve func(http.ResponseWriter)
	switch strings.TrimPrefix(req.URL.Path, controlPrefix) {
	case "stats":
		method, serve = http.MethodGet, s.serveStats
	case "jobs":
		method, serve = http.MethodGet, s.serveJobs
	case "reset":
		method, serve = http.MethodPost, func(w http.ResponseWriter) {
			s.Reset()
			w.WriteHeader(http.StatusNoContent)
		}
	default:
		http.NotFound(w, req)
		return
	}
	if req.Method != method {
		w.Header().Set("Allow", method)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	serve(w)
}

func (s *Sink) serveStats(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	// Encoding a Stats cannot fail; the client leaving is its own affair.
	_ = json.NewEncoder(w).Encode(s.Stats())
}

func (s *Sink) serveJobs(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	buf := bufio.NewWriter(w)
	enc := json.NewEncoder(buf)
	for job := range s.Jobs() {
		if enc.Encode(job) != nil {
			return // the client left
		}
	}
	_ = buf.Flush()
}
