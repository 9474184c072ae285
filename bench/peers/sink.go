package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// sinkClient posts jobs to the sink and reads its counts.
type sinkClient struct {
	target string
	http   http.Client
	// control is apart, so that a poll never waits for a connection in use.
	control http.Client
}

func newSinkClient(target string, conns int) *sinkClient {
	return &sinkClient{target: target, http: http.Client{Transport: &http.Transport{
		MaxIdleConns:        conns,
		MaxIdleConnsPerHost: conns,
		MaxConnsPerHost:     conns,
		DisableCompression:  true,
	}}}
}

func (s *sinkClient) close() { s.http.CloseIdleConnections() }

// post delivers one job.
func (s *sinkClient) post(ctx context.Context, j job) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.target, strings.NewReader(j.Body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/plain")
	req.Header.Set("Centrifuge-Job-Id", j.ID)
	req.Header.Set("Centrifuge-Attempt", "1")
	req.Header.Set("Idempotency-Key", j.ID)
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("read response: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("answered %s", resp.Status)
	}
	return nil
}

// delivered is how many job ids the sink has answered 2xx.
func (s *sinkClient) delivered(ctx context.Context) (uint64, error) {
	u, err := url.Parse(s.target)
	if err != nil {
		return 0, fmt.Errorf("sink: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.Scheme+"://"+u.Host+"/_sink/stats", nil)
	if err != nil {
		return 0, fmt.Errorf("sink: %w", err)
	}
	resp, err := s.control.Do(req)
	if err != nil {
		return 0, fmt.Errorf("sink: %w", err)
	}
	defer resp.Body.Close()
	var stats struct {
		Delivered uint64 `json:"delivered"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&stats); err != nil {
		return 0, fmt.Errorf("sink: read stats: %w", err)
	}
	return stats.Delivered, nil
}

// await polls the sink until it has delivered want jobs, and fails if a minute
// passes without any.
func (s *sinkClient) await(ctx context.Context, want uint64) error {
	const every, patience = 5 * time.Millisecond, time.Minute
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last uint64
	progress := time.Now()
	for {
		got, err := s.delivered(ctx)
		if err != nil {
			return err
		}
		if got >= want {
			return nil
		}
		if got != last {
			last, progress = got, time.Now()
		} else if time.Since(progress) > patience {
			return fmt.Errorf("sink: stuck at %d of %d jobs for %v", got, want, patience)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
