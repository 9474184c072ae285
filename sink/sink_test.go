package sink_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/segmentio/ksuid"

	"centrifuge/sink"
)

func newSink(t *testing.T, opts sink.Options) *sink.Sink {
	t.Helper()
	s, err := sink.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// listen serves s on loopback and returns its address and a client that keeps
// no connections, so that one misbehaviour does not colour the next request.
func listen(t *testing.T, s *sink.Sink) (url string, client *http.Client) {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return server.URL, client
}

func post(t *testing.T, client *http.Client, url, id, body string) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if id != "" {
		req.Header.Set(sink.HeaderJobID, id)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func mustPost(t *testing.T, client *http.Client, url, id, body string, want int) {
	t.Helper()
	if got, err := post(t, client, url, id, body); err != nil || got != want {
		t.Fatalf("POST %s = %d, %v; want %d", url, got, err, want)
	}
}

func mustParse(t *testing.T, specs ...string) []sink.Route {
	t.Helper()
	var routes []sink.Route
	for _, spec := range specs {
		r, err := sink.ParseRoute(spec)
		if err != nil {
			t.Fatal(err)
		}
		routes = append(routes, r)
	}
	return routes
}

func TestCountsByID(t *testing.T) {
	s := newSink(t, sink.Options{Routes: mustParse(t, "/down=status:500", "/limited=status:429")})
	url, client := listen(t, s)

	one, two := ksuid.New().String(), "not-a-ksuid"
	mustPost(t, client, url+"/down", one, "abc", 500)
	mustPost(t, client, url+"/up", one, "abc", 200)
	mustPost(t, client, url+"/up", one, "abc", 200)
	mustPost(t, client, url+"/limited/deep", two, "abc", 429)
	mustPost(t, client, url+"/up", "", "abc", 200)

	got := s.Stats()
	for prefix, rs := range got.Routes {
		rs.PeakInFlight, rs.InFlight = 0, 0 // depend on how soon a handler ends
		got.Routes[prefix] = rs
	}
	want := sink.Stats{
		Requests: 5, Succeeded: 3, Bytes: 15,
		IDs: 2, Delivered: 1, Duplicates: 1,
		Routes: map[string]sink.RouteStats{
			"":         {Requests: 3, Replies: map[string]uint64{"200": 3}},
			"/down":    {Requests: 1, Replies: map[string]uint64{"500": 1}},
			"/limited": {Requests: 1, Replies: map[string]uint64{"429": 1}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("stats\n got %+v\nwant %+v", got, want)
	}
	for _, want := range []sink.Job{{one, 3, 2}, {two, 1, 0}, {"unseen", 0, 0}} {
		if got := s.Job(want.ID); got != want {
			t.Errorf("job %s = %+v, want %+v", want.ID, got, want)
		}
	}
}

func TestRoutesMatchWholeSegmentsAndTheLongest(t *testing.T) {
	s := newSink(t, sink.Options{
		Default: sink.Behaviour{Replies: []sink.Share{{Reply: 299, Weight: 1}}},
		Routes:  mustParse(t, "/a=status:201", "/a/b=status:202", "/c/d=status:203"),
	})
	rooted := newSink(t, sink.Options{Routes: mustParse(t, "/=status:204", "/a=status:201")})
	for _, tt := range []struct {
		path         string
		want, rooted int
	}{
		{"/a", 201, 201},
		{"/a/", 201, 201},
		{"/a/x/y", 201, 201},
		{"/a//b", 201, 201},
		{"/ab", 299, 204},
		{"/a/b", 202, 201},
		{"/a/b/c", 202, 201},
		{"/a/bc", 201, 201},
		{"/c", 299, 204},
		{"/c/d/e", 203, 204},
		{"/", 299, 204},
	} {
		for s, want := range map[*sink.Sink]int{s: tt.want, rooted: tt.rooted} {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, tt.path, nil))
			if w.Code != want {
				t.Errorf("%s = %d, want %d", tt.path, w.Code, want)
			}
		}
	}
}

func TestSeedSettlesEveryReply(t *testing.T) {
	replies := func(seed uint64, specs ...string) []int {
		s := newSink(t, sink.Options{Seed: seed, Routes: mustParse(t, specs...)})
		var codes []int
		for range 200 {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/a", nil))
			codes = append(codes, w.Code)
		}
		return codes
	}
	mix := "=status:200:0.5,500:0.5"
	first := replies(7, "/a"+mix)
	if !slices.Equal(first, replies(7, "/b"+mix, "/a"+mix)) {
		t.Error("the same seed and route gave other replies")
	}
	if slices.Equal(first, replies(8, "/a"+mix)) {
		t.Error("another seed gave the same replies")
	}
	if slices.Equal(first, replies(7, "/"+mix)) {
		t.Error("another route gave the same replies")
	}
}

func TestConcurrentCountsAreExact(t *testing.T) {
	s := newSink(t, sink.Options{Routes: mustParse(t, "/a=status:200:0.7,500:0.3")})
	ids := make([]string, 500)
	for i := range ids {
		ids[i] = ksuid.New().String()
		if i%2 == 0 {
			ids[i] = fmt.Sprintf("job %d", i)
		}
	}
	const attempts = 8
	var wg sync.WaitGroup
	for range attempts {
		wg.Go(func() {
			for _, id := range ids {
				req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/a", nil)
				req.Header.Set(sink.HeaderJobID, id)
				s.ServeHTTP(httptest.NewRecorder(), req)
			}
		})
	}
	wg.Wait()

	var seen int
	var successes, delivered, duplicates uint64
	for job := range s.Jobs() {
		seen++
		if job.Attempts != attempts {
			t.Errorf("%s: %d attempts, want %d", job.ID, job.Attempts, attempts)
		}
		successes += uint64(job.Successes)
		if job.Successes > 0 {
			delivered++
			duplicates += uint64(job.Successes) - 1
		}
	}
	st := s.Stats()
	if seen != len(ids) || st.IDs != uint64(len(ids)) || st.Requests != uint64(len(ids)*attempts) {
		t.Errorf("saw %d jobs and %+v, want %d ids", seen, st, len(ids))
	}
	if st.Succeeded != successes || st.Delivered != delivered || st.Duplicates != duplicates {
		t.Errorf("totals %+v; jobs sum to %d successes, %d delivered, %d duplicates", st, successes, delivered, duplicates)
	}
	if r := st.Routes["/a"]; r.Replies["200"] != successes || r.Replies["200"]+r.Replies["500"] != r.Requests || r.InFlight != 0 {
		t.Errorf("route %+v, want %d of 200", r, successes)
	}
}

func TestForgetIDs(t *testing.T) {
	s := newSink(t, sink.Options{ForgetIDs: true})
	url, client := listen(t, s)
	mustPost(t, client, url, ksuid.New().String(), "", 200)
	if st := s.Stats(); st.Succeeded != 1 || st.IDs != 0 {
		t.Errorf("stats %+v, want a success and no ids", st)
	}
	for job := range s.Jobs() {
		t.Errorf("job %+v of a sink that forgets", job)
	}
}

func TestControl(t *testing.T) {
	s := newSink(t, sink.Options{Default: sink.Behaviour{Outages: []sink.Outage{{Length: maxOutage, Reply: 503}}}})
	url, client := listen(t, s)
	mustPost(t, client, url+"/a", "one", "", 503)
	mustPost(t, client, url+"/a", "two", "", 503)

	get := func(path string) *json.Decoder {
		t.Helper()
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if w.Code != 200 {
			t.Fatalf("GET %s = %d", path, w.Code)
		}
		dec := json.NewDecoder(w.Body)
		dec.DisallowUnknownFields()
		return dec
	}
	var st sink.Stats
	if err := get("/_sink/stats").Decode(&st); err != nil || st.Requests != 2 || st.IDs != 2 {
		t.Errorf("stats %+v, %v", st, err)
	}
	var jobs []string
	for dec := get("/_sink/jobs"); dec.More(); {
		var job sink.Job
		if err := dec.Decode(&job); err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, fmt.Sprint(job))
	}
	slices.Sort(jobs)
	if want := []string{"{one 1 0}", "{two 1 0}"}; !slices.Equal(jobs, want) {
		t.Errorf("jobs %v, want %v", jobs, want)
	}
	mustPost(t, client, url+"/_sink/reset", "", "", 204)
	if st := s.Stats(); st.Requests != 0 || st.IDs != 0 || len(st.Routes) != 0 {
		t.Errorf("stats after reset %+v", st)
	}
	mustPost(t, client, url+"/_sink/stats", "", "", 405)
	mustPost(t, client, url+"/_sink/other", "", "", 404)
}

func TestNewRefuses(t *testing.T) {
	for want, opts := range map[string]sink.Options{
		`route "/a": given twice`:               {Routes: mustParse(t, "/a=", "/a=rate:1")},
		`route "a": prefix: must begin`:         {Routes: []sink.Route{{Prefix: "a"}}},
		`default behaviour: status: 1000 is`:    {Default: sink.Behaviour{Replies: []sink.Share{{Reply: 1000, Weight: 1}}}},
		`default behaviour: status: weight 0`:   {Default: sink.Behaviour{Replies: []sink.Share{{Reply: 200}}}},
		`default behaviour: outage: start: -1s`: {Default: sink.Behaviour{Outages: []sink.Outage{{Start: -1e9, Length: 1, Reply: 500}}}},
		`retry-after: unknown form RetryAfter`:  {Default: sink.Behaviour{RetryAfter: sink.RetryAfter{Form: 9}}},
	} {
		if _, err := sink.New(opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

func TestServeStopsWhileItMisbehaves(t *testing.T) {
	s := newSink(t, sink.Options{Routes: mustParse(t, "/drip=status:drip")})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()

	resp := do(t, "http://"+l.Addr().String()+"/drip", http.DefaultClient)
	stop()
	if err := <-served; err != nil {
		t.Errorf("Serve = %v", err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("body ended with %v, want it cut short", err)
	}

	if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := s.Serve(t.Context(), l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve on a closed listener = %v", err)
	}
}
