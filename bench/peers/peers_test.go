package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// countingSink counts the posts of each job id, and answers /_sink/stats as the
// real sink does.
type countingSink struct {
	mu struct {
		sync.Mutex
		posts map[string]int
		wrong int // posts without the expected body
	}
	size int64
}

func (s *countingSink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/_sink/stats" {
		fmt.Fprintf(w, `{"delivered": %d}`, len(s.mu.posts))
		return
	}
	s.mu.posts[r.Header.Get("Centrifuge-Job-Id")]++
	if r.ContentLength != s.size {
		s.mu.wrong++
	}
}

func newCountingSink(t *testing.T, size int64) (*countingSink, string) {
	t.Helper()
	s := &countingSink{size: size}
	s.mu.posts = make(map[string]int)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

func TestPeersDeliverEveryJobOnceAndLeaveNothing(t *testing.T) {
	for _, peer := range []string{"river", "asynq"} {
		t.Run(peer, func(t *testing.T) {
			const jobs, size = 700, 300
			sink, url := newCountingSink(t, size)
			dir := t.TempDir()
			// Run by root, the databases belong to other accounts.
			for _, d := range []string{filepath.Dir(dir), dir} {
				if err := os.Chmod(d, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			var out bytes.Buffer
			args := []string{
				"--peer", peer, "--sink", url + "/x", "--jobs", fmt.Sprint(jobs), "--size", fmt.Sprint(size),
				"--dir", dir, "--workers", "64", "--json",
			}
			if err := run(t.Context(), args, &out); err != nil {
				t.Fatal(err)
			}
			var result Result
			if err := json.Unmarshal(out.Bytes(), &result); err != nil {
				t.Fatal(err)
			}
			if result.Peer != peer || result.Jobs != jobs || result.Workers != 64 || result.PerSecond <= 0 ||
				result.Inserted > result.Settled || result.Elapsed > result.Settled {
				t.Errorf("result %+v", result)
			}
			sink.mu.Lock()
			defer sink.mu.Unlock()
			for id, n := range sink.mu.posts {
				if n != 1 {
					t.Errorf("job %s was posted %d times", id, n)
				}
			}
			if len(sink.mu.posts) != jobs || sink.mu.wrong > 0 {
				t.Errorf("%d jobs posted, %d with a wrong body; want %d", len(sink.mu.posts), sink.mu.wrong, jobs)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// memory is a queue that only takes.
type memory struct {
	mu struct {
		sync.Mutex
		ids     map[string]bool
		largest int
	}
}

var errFull = errors.New("full")

func (m *memory) insert(_ context.Context, jobs []job) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.mu.ids) > 5000 {
		return errFull
	}
	m.mu.largest = max(m.mu.largest, len(jobs))
	for _, j := range jobs {
		m.mu.ids[j.ID] = true
	}
	return nil
}

func (*memory) unsettled(context.Context) (int, error) { return 0, nil }
func (*memory) close() error                           { return nil }

func TestInsertAllInsertsExactlyTheJobs(t *testing.T) {
	for _, cfg := range []config{
		{Jobs: 1, Batch: 500, Inserters: 4},
		{Jobs: 1000, Batch: 100, Inserters: 3},
		{Jobs: 1001, Batch: 100, Inserters: 3},
		{Jobs: 999, Batch: 1, Inserters: 8},
	} {
		m := &memory{}
		m.mu.ids = make(map[string]bool)
		if err := insertAll(t.Context(), m, cfg); err != nil {
			t.Fatal(err)
		}
		if len(m.mu.ids) != cfg.Jobs || m.mu.largest > cfg.Batch {
			t.Errorf("%+v: %d jobs, batches up to %d", cfg, len(m.mu.ids), m.mu.largest)
		}
	}
	m := &memory{}
	m.mu.ids = make(map[string]bool)
	if err := insertAll(t.Context(), m, config{Jobs: 1 << 40, Batch: 10, Inserters: 4}); !errors.Is(err, errFull) {
		t.Errorf("error %v, want %v", err, errFull)
	}
}

func TestWorkersAreSharedOut(t *testing.T) {
	for _, tt := range [][2]int{{64, 32}, {64, 7}, {5, 5}} {
		sum := 0
		for i := range tt[1] {
			n := share(tt[0], tt[1], i)
			if n < tt[0]/tt[1] || n > tt[0]/tt[1]+1 {
				t.Errorf("share %d of %v = %d", i, tt, n)
			}
			sum += n
		}
		if sum != tt[0] {
			t.Errorf("shares of %v sum to %d", tt, sum)
		}
	}
}

func TestRunNamesTheFlagAtFault(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"--peer river", "--sink"},
		{"--peer kafka", "--peer"},
		{"--sink http://x --jobs 0", "--jobs"},
		{"--peer asynq --sink http://x --workers 3", "--servers"},
		{"--sink http://127.0.0.1:1/x --jobs 1", "sink:"},
	} {
		args, want := tt.args, tt.want
		if err := run(t.Context(), strings.Fields(args), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q in it", args, err, want)
		}
	}
}
