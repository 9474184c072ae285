package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/jobdb"
	jobs "centrifuge/jobdb/sqlite"
	"centrifuge/lease/leasetest"
	"centrifuge/schedule"
	"centrifuge/visibility"
	"centrifuge/visibility/alert"
	record "centrifuge/visibility/sqlite"
)

// recorded is a Director whose deliveries are recorded, behind a server.
type recorded struct {
	*director.Director
	*visibility.Recorder
	address string
	stop    func() // ends the Director
}

func newRecorded(t *testing.T, tokens string) *recorded {
	t.Helper()
	dir := t.TempDir()
	r := &recorded{}
	backend, err := record.Open(filepath.Join(dir, "record"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := visibility.OpenStore(t.Context(), visibility.StoreOptions{Backend: backend})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if r.Recorder, err = visibility.NewRecorder(t.Context(), visibility.RecorderOptions{Store: store, Alive: filepath.Join(dir, "alive")}); err != nil {
		t.Fatal(err)
	}
	folder, err := archive.OpenFolder(filepath.Join(dir, "archive"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	client, err := delivery.New(delivery.Options{
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Observe: r.Sample,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	serving := make(chan struct{}, 1)
	r.Director, err = director.New(director.Options{
		Acquire: func(context.Context) (director.Holding, error) {
			return director.Holding{
				Name: jobdb.Name(1), Lease: leasetest.New(0),
				Open: func(ctx context.Context, epoch uint64) (jobdb.DB, error) {
					return jobs.Open(ctx, jobs.Options{Path: filepath.Join(dir, "jobs.db"), Epoch: epoch})
				},
			}, nil
		},
		Serving: func() { serving <- struct{}{} }, Deliverer: client, Archive: archive.New(folder),
		ArchiveEvery: time.Millisecond, Observe: r.Record,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the Director ended with: %v", err)
		}
	})
	t.Cleanup(r.stop)
	o := Options{Backends: Backends{Jobs: r.Director, Queues: newAlone(r.Director), Archive: r.Director, Ledger: newAlone(r.Director), Record: store, Search: newAlone(r.Director)}, Ready: r.Ready}
	if tokens != "" {
		o.Tokens = openTokens(t, tokens)
	}
	r.address = serve(t, o)
	<-serving
	return r
}

// Run is the Director's; the recorder is flushed by hand.
func (r *recorded) Run(ctx context.Context) error { return r.Director.Run(ctx) }

func (r *recorded) submit(t *testing.T, jobs ...*centrifuge.Job) {
	t.Helper()
	if _, err := r.Submit(t.Context(), director.Submission{Jobs: jobs}); err != nil {
		t.Fatal(err)
	}
}

// settle waits until no job is pending, and flushes.
func (r *recorded) settle(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if l, err := r.Ledger(); err == nil && l.Pending() == 0 {
			break
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("jobs are still pending")
		}
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (r *recorded) get(t *testing.T, procedure, request string, answer any, headers ...string) {
	t.Helper()
	status, _, content := post(t, r.address, "/centrifuge.v1.VisibilityService/"+procedure, request, headers...)
	if status != http.StatusOK {
		t.Fatalf("%s %s: status %d: %s", procedure, request, status, content)
	}
	if err := json.Unmarshal([]byte(content), answer); err != nil {
		t.Fatal(err)
	}
}

// number is an int64 as JSON has it: in a string, left out if 0.
type number int64

func (n *number) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	*n = number(v)
	return err
}

type counts struct{ Accepted, Succeeded, Retried, Discarded, Archived, FirstAttempt, Spent number }

// Every number equals the ledger, queue by queue, and what the endpoint saw itself.
func TestRecordedNumbersAreTheLedgers(t *testing.T) {
	var mu sync.Mutex
	seen := map[int]int64{}
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		attempt, _ := strconv.Atoi(req.Header.Get("Centrifuge-Attempt"))
		status := http.StatusOK
		switch req.URL.Path {
		case "/refuses":
			status = http.StatusUnauthorized
		case "/later":
			if attempt < 3 {
				status = http.StatusBadGateway
			}
		case "/never":
			status = http.StatusInternalServerError
		}
		mu.Lock()
		seen[status]++
		mu.Unlock()
		w.WriteHeader(status)
	}))
	defer endpoint.Close()
	r := newRecorded(t, "")
	var jobs []*centrifuge.Job
	for i := range 400 {
		path := [...]string{"/takes", "/refuses", "/later", "/never"}[i%4]
		job := &centrifuge.Job{
			Source: fmt.Sprintf("s%d", i%3), Destination: path[1:], Endpoint: endpoint.URL + path, Payload: []byte("0123456789"),
			Settings: centrifuge.Settings{Retry: centrifuge.RetryPolicy{MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond}},
		}
		if i%4 > 1 {
			job.Destination += fmt.Sprint(i) // of its own, so that no breaker holds it up
		}
		if path == "/never" {
			job.Settings.Retry.MaxAttempts = 2
		}
		jobs = append(jobs, job)
	}
	r.submit(t, jobs...)
	r.settle(t)

	ledgers, err := r.LedgerByQueue(schedule.Selector{})
	if err != nil {
		t.Fatal(err)
	}
	var top struct {
		Rows []struct {
			Source, Destination string
			Counts              counts
		}
	}
	r.get(t, "Top", `{"limit": 1000, "order": "TOP_ORDER_NAME"}`, &top)
	if len(top.Rows) != len(ledgers) {
		t.Fatalf("%d rows, %d ledgers", len(top.Rows), len(ledgers))
	}
	for i, row := range top.Rows {
		l := &ledgers[i]
		got := [...]number{row.Counts.Accepted, row.Counts.Succeeded, row.Counts.Discarded, row.Counts.Archived}
		want := [...]number{number(l.Ledger.Accepted), number(l.Ledger.Succeeded), number(l.Ledger.Discarded), number(l.Ledger.Archived)}
		if row.Source != l.Queue.Source || row.Destination != l.Queue.Destination || got != want {
			t.Errorf("%s to %s: got %v, the ledger of %v has %v", row.Source, row.Destination, got, l.Queue, want)
		}
	}

	var sum struct {
		Counts counts
		Codes  []struct {
			Outcome    string
			StatusCode int
			ErrorCode  string
			Count      number
		}
		Attempts []struct {
			Attempt   int
			Succeeded number
		}
		Gaps []any
	}
	r.get(t, "Breakdown", `{}`, &sum)
	want := counts{Accepted: 400, Succeeded: 200, Retried: 400, Discarded: 100, Archived: 100, FirstAttempt: 100, Spent: 100}
	if sum.Counts != want {
		t.Errorf("got %+v\nwant %+v", sum.Counts, want)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, c := range sum.Codes {
		if int64(c.Count) != seen[c.StatusCode] {
			t.Errorf("%d answers with status %d, the endpoint gave %d", c.Count, c.StatusCode, seen[c.StatusCode])
		}
	}
	if len(sum.Codes) != len(seen) || len(sum.Gaps) > 0 {
		t.Errorf("codes %+v, gaps %v", sum.Codes, sum.Gaps)
	}
	if a := sum.Attempts; len(a) != 2 || a[0].Attempt != 1 || a[0].Succeeded != 100 || a[1].Attempt != 3 || a[1].Succeeded != 100 {
		t.Errorf("attempts %+v", a)
	}

	var series struct{ Points []struct{ Counts counts } }
	r.get(t, "Series", `{"step": "60s"}`, &series)
	var all counts
	for _, p := range series.Points {
		all.Accepted += p.Counts.Accepted
		all.Retried += p.Counts.Retried
	}
	if len(series.Points) != 24*60 || all.Accepted != want.Accepted || all.Retried != want.Retried {
		t.Errorf("%d points with %+v", len(series.Points), all)
	}

	var found struct {
		Jobs []struct{ State, Endpoint string }
	}
	r.get(t, "Search", `{"state": "archived", "endpoint": "`+endpoint.URL+`/nev*", "pageSize": 1000}`, &found)
	if len(found.Jobs) != 100 {
		t.Errorf("found %d archived jobs of 100", len(found.Jobs))
	}
}

// A sample shows what was sent and answered, and no secret.
func TestSamples(t *testing.T) {
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "very=hidden")
		w.Header().Set("X-Reason", "no such user")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "<script>alert(1)</script>", strings.Repeat("x", 100_000))
	}))
	defer endpoint.Close()
	r := newRecorded(t, "")
	for range 3 {
		r.submit(t, &centrifuge.Job{
			Source: "s", Destination: "d", Method: "PUT", Endpoint: endpoint.URL + "/hook?user=1&access_token=hidden",
			Headers: []centrifuge.Header{
				{Name: "Authorization", Value: "Bearer hidden"},
				{Name: "x-api-key", Value: "hidden"},
				{Name: "X-Webhook-Signature", Value: "hidden"},
				{Name: "X-Request-Id", Value: "shown"},
			},
		})
	}
	r.settle(t)
	var answer struct {
		Samples []struct {
			StatusCode, Attempt             int
			Method, Endpoint, Body          string
			RequestHeaders, ResponseHeaders []centrifuge.Header
		}
	}
	for _, code := range []string{"", "403"} {
		r.get(t, "Samples", `{"source": "s", "destination": "d", "code": "`+code+`"}`, &answer)
		if len(answer.Samples) != 1 {
			t.Fatalf("%d samples of three attempts within a second", len(answer.Samples))
		}
	}
	text := fmt.Sprintf("%+v", answer.Samples)
	if strings.Contains(text, "hidden") {
		t.Errorf("a secret is shown: %s", text)
	}
	for _, want := range []string{"PUT", "/hook?user=1&access_token=redacted", "X-Request-Id Value:shown", "Authorization Value:(redacted)", "<script>", "StatusCode:403"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	if len(text) > 16<<10 {
		t.Errorf("a sample of %d bytes", len(text))
	}
	r.get(t, "Samples", `{"source": "s", "destination": "d", "code": "500"}`, &answer)
	if len(answer.Samples) != 0 {
		t.Error("samples of a code that never came")
	}
}

// Who is bound to sources sees those alone, whatever is asked.
func TestVisibilityIsNarrowed(t *testing.T) {
	endpoint := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer endpoint.Close()
	r := newRecorded(t, kindsFile())
	for i, source := range []string{"shop", "app", "other", "other"} {
		r.submit(t, &centrifuge.Job{Source: source, Destination: "d", Endpoint: fmt.Sprint(endpoint.URL, "/", i)})
	}
	r.settle(t)
	as := func(kind string) []string { return []string{"Authorization", "Bearer " + secret(kind)} }
	for kind, want := range map[string]number{"viewer": 4, "admin": 4, "viewer:shop": 1, "operator:shop,app": 2} {
		var sum struct{ Counts counts }
		r.get(t, "Breakdown", `{"filter": {"destination": "d"}}`, &sum, as(kind)...)
		if sum.Counts.Accepted != want {
			t.Errorf("%s sees %d jobs for d, want %d", kind, sum.Counts.Accepted, want)
		}
		var series struct{ Points []struct{ Counts counts } }
		r.get(t, "Series", `{"step": "86400s"}`, &series, as(kind)...)
		all := number(0)
		for _, p := range series.Points {
			all += p.Counts.Accepted
		}
		if all != want {
			t.Errorf("%s sees %d jobs, want %d", kind, all, want)
		}
		for _, by := range []string{"QUEUE", "DESTINATION", "SOURCE"} {
			var top struct {
				Rows []struct {
					Source string
					Counts counts
				}
			}
			r.get(t, "Top", `{"by": "TOP_BY_`+by+`"}`, &top, as(kind)...)
			all := number(0)
			for _, row := range top.Rows {
				if all += row.Counts.Accepted; row.Source == "other" && want < 4 {
					t.Errorf("%s sees the source other", kind)
				}
			}
			if all != want {
				t.Errorf("%s sees %d jobs by %s, want %d", kind, all, by, want)
			}
		}
		var found struct{ Jobs []struct{ Source string } }
		r.get(t, "Search", `{}`, &found, as(kind)...)
		if number(len(found.Jobs)) != want {
			t.Errorf("%s finds %+v, want %d", kind, found.Jobs, want)
		}
	}
	for _, call := range []struct{ procedure, request string }{
		{"Breakdown", `{"filter": {"source": "other"}}`},
		{"Series", `{"filter": {"source": "other"}}`},
		{"Top", `{"filter": {"source": "other"}}`},
		{"Samples", `{"source": "other", "destination": "d"}`},
		{"Search", `{"source": "other"}`},
	} {
		for kind, want := range map[string]int{"viewer": 200, "viewer:shop": 403, "submitter": 403, "submitter:shop": 403} {
			if status, _, content := post(t, r.address, "/centrifuge.v1.VisibilityService/"+call.procedure, call.request, as(kind)...); status != want {
				t.Errorf("%s %s by %s: status %d: %s", call.procedure, call.request, kind, status, content)
			}
		}
	}
}

// What makes no sense is refused, with the field that is wrong.
func TestVisibilityRefuses(t *testing.T) {
	r := newRecorded(t, "")
	for _, test := range []struct{ procedure, request, field string }{
		{"Series", `{"step": "90s"}`, "step"},
		{"Series", `{"step": "0.5s"}`, "step"},
		{"Series", `{"range": {"from": "2026-01-01T00:00:00Z", "to": "2026-03-01T00:00:00Z"}, "step": "60s"}`, "step"},
		{"Breakdown", `{"range": {"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}}`, "range"},
		{"Breakdown", `{"range": {"from": "1800-02-01T00:00:00Z"}}`, "range"},
		{"Top", `{"limit": -1}`, "limit"},
		{"Top", `{"by": 77}`, "by"},
		{"Top", `{"order": 77}`, "order"},
		{"Samples", `{"source": "s"}`, "source"},
		{"Search", `{"state": "gone"}`, "state"},
		{"Search", `{"jobId": "x"}`, "job_id"},
		{"Search", `{"pageToken": "x"}`, "page_token"},
	} {
		status, _, content := post(t, r.address, "/centrifuge.v1.VisibilityService/"+test.procedure, test.request)
		if status != http.StatusBadRequest || !strings.Contains(content, test.field) {
			t.Errorf("%s %s: status %d: %s", test.procedure, test.request, status, content)
		}
	}
}

type someAlerts []alert.Alert

func (s someAlerts) Alerts(context.Context) ([]alert.Alert, error) { return s, nil }

func TestAlerts(t *testing.T) {
	backends := (&fake{}).backends()
	backends.Alerts = someAlerts{
		{Rule: "ledger", Severity: alert.Critical, Text: "everything", Since: time.Unix(1e9, 0)},
		{Rule: "auth_streak", Source: "shop", Destination: "d", Since: time.Unix(1e9, 0), Ended: time.Unix(2e9, 0)},
		{Rule: "auth_streak", Source: "other", Destination: "d"},
	}
	address := serve(t, Options{Tokens: openTokens(t, kindsFile()), Backends: backends})
	for kind, want := range map[string]string{"viewer": "ledger shop other", "viewer:shop": "shop"} {
		_, _, content := post(t, address, "/centrifuge.v1.VisibilityService/Alerts", `{}`, "Authorization", "Bearer "+secret(kind))
		for word := range strings.FieldsSeq("ledger shop other") {
			if strings.Contains(content, `"`+word+`"`) != strings.Contains(want, word) {
				t.Errorf("%s is told %s, want %s", kind, content, want)
			}
		}
	}
}
