package director_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/director"
)

// Every job that the filter chooses is found once, page by page, wherever it is:
// waiting, ended, or in the archive.
func TestSearch(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
		case "/no":
			w.WriteHeader(http.StatusTeapot)
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer srv.Close()
	d := start(t, t.TempDir(), &atomic.Uint64{})
	var jobs []*centrifuge.Job
	for i := range 90 {
		path := [...]string{"/ok", "/no", "/later", "/dead"}[i%4]
		job := &centrifuge.Job{
			Source: fmt.Sprintf("s%d", i%3), Destination: "d" + path[1:], Endpoint: srv.URL + path, Method: "POST",
		}
		if i%4 > 1 {
			job.Destination += fmt.Sprint(i) // of its own, so that no breaker holds it up
		}
		if path == "/dead" {
			job.Settings.Retry.MaxAttempts = 1
		}
		jobs = append(jobs, job)
	}
	if _, err := d.Submit(t.Context(), director.Submission{Jobs: jobs}); err != nil {
		t.Fatal(err)
	}
	await(t, "all jobs were attempted", func() bool {
		l, err := d.Ledger()
		return err == nil && l.Succeeded == 23 && l.Discarded == 23 && l.AwaitingRetry == 22 && l.Archived == 22
	})
	find := func(f director.JobFilter, limit int, budget time.Duration) map[centrifuge.ID]director.Found {
		t.Helper()
		found := map[centrifuge.ID]director.Found{}
		cursor := ""
		for range 1000 {
			page, err := d.Search(t.Context(), f, cursor, limit, budget)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Jobs) > limit {
				t.Fatalf("%d jobs on a page of %d", len(page.Jobs), limit)
			}
			for _, job := range page.Jobs {
				if _, twice := found[job.ID]; twice {
					t.Fatalf("job %s was found twice", job.ID)
				}
				found[job.ID] = job
			}
			if cursor = page.Next; cursor == "" {
				return found
			}
		}
		t.Fatal("the search does not end")
		return nil
	}
	now := time.Now()
	for name, tt := range map[string]struct {
		filter director.JobFilter
		want   int
	}{
		"all":                {director.JobFilter{}, 90},
		"source":             {director.JobFilter{Source: "s1"}, 30},
		"sources":            {director.JobFilter{Among: []string{"s0", "s2"}}, 60},
		"no sources":         {director.JobFilter{Among: []string{}}, 0},
		"destination":        {director.JobFilter{Destination: "dno"}, 23},
		"endpoint":           {director.JobFilter{Endpoint: srv.URL + "/no"}, 23},
		"endpoints":          {director.JobFilter{Endpoint: srv.URL + "/*"}, 90},
		"state":              {director.JobFilter{State: centrifuge.StateDiscarded}, 23},
		"archived":           {director.JobFilter{State: centrifuge.StateArchived}, 22},
		"status":             {director.JobFilter{StatusCode: 503}, 44},
		"status and state":   {director.JobFilter{StatusCode: 503, State: centrifuge.StateAwaitingRetry}, 22},
		"error":              {director.JobFilter{ErrorCode: centrifuge.ErrorAttempts}, 22},
		"since":              {director.JobFilter{From: now.Add(-time.Hour)}, 90},
		"in the future":      {director.JobFilter{From: now.Add(3 * time.Hour)}, 0},
		"before":             {director.JobFilter{To: now.Add(-time.Hour)}, 0},
		"endpoint and state": {director.JobFilter{Endpoint: srv.URL + "/dead", State: centrifuge.StateArchived}, 22},
	} {
		t.Run(name, func(t *testing.T) {
			for _, limit := range []int{1, 7, 1000} {
				found := find(tt.filter, limit, time.Minute)
				if len(found) != tt.want {
					t.Errorf("found %d of %d, %d a page", len(found), tt.want, limit)
				}
			}
		})
	}
	for _, bad := range []string{"x", "jobdb", "jobdb x y", "archive ../../etc"} {
		if _, err := d.Search(t.Context(), director.JobFilter{State: centrifuge.StateArchived}, bad, 10, time.Minute); err == nil {
			t.Errorf("the cursor %q was taken", bad)
		}
	}
}

// A search whose time is over says so and goes on where it was.
func TestSearchIsCut(t *testing.T) {
	d := start(t, t.TempDir(), &atomic.Uint64{})
	for range 4 {
		var jobs []*centrifuge.Job
		for range 500 {
			jobs = append(jobs, &centrifuge.Job{Source: "s", Destination: "d", Endpoint: "http://127.0.0.1:1/", Method: "POST"})
		}
		if _, err := d.Submit(t.Context(), director.Submission{Jobs: jobs}); err != nil {
			t.Fatal(err)
		}
	}
	cursor, looked, cut := "", 0, 0
	for {
		page, err := d.Search(t.Context(), director.JobFilter{Source: "nobody"}, cursor, 10, -time.Second)
		if err != nil {
			t.Fatal(err)
		}
		looked += page.Looked
		if cursor = page.Next; cursor == "" {
			break
		}
		if !page.Cut {
			t.Fatal("it goes on, and was not cut")
		}
		cut++
	}
	if looked != 2000 || cut < 5 {
		t.Errorf("looked at %d of 2000 jobs, cut %d times", looked, cut)
	}
}
