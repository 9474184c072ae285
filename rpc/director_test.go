package rpc

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"centrifuge/archive"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/jobdb/sqlite"
	"centrifuge/lease/leasetest"
)

// direct serves a Director on a real JobDB and a real archive.
func direct(t *testing.T) (address string) {
	t.Helper()
	dir := t.TempDir()
	folder, err := archive.OpenFolder(filepath.Join(dir, "archive"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := folder.Close(); err != nil {
			t.Errorf("close the archive: %v", err)
		}
	})
	client, err := delivery.New(delivery.Options{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	serving := make(chan struct{}, 1)
	d, err := director.New(director.Options{
		Acquire: func(context.Context) (director.Holding, error) {
			return director.Holding{
				Name:  jobdb.Name(1),
				Lease: leasetest.New(0),
				Open: func(ctx context.Context, epoch uint64) (jobdb.DB, error) {
					return sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(dir, "jobs.db"), Epoch: epoch})
				},
			}, nil
		},
		Serving:      func() { serving <- struct{}{} },
		Deliverer:    client,
		Archive:      archive.New(folder),
		ArchiveEvery: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the Director ended with: %v", err)
		}
	})
	address = serve(t, Options{Backends: Backends{Jobs: d, Queues: newAlone(d), Archive: d, Ledger: newAlone(d)}, Ready: d.Ready})
	select {
	case <-serving:
	case err := <-ended:
		ended <- nil
		t.Fatalf("the Director ended before it served: %v", err)
	}
	return address
}

// ask calls a procedure until its answer holds what is waited for, and fills
// answer with it.
func ask(t *testing.T, address, procedure, request, awaited string, answer any) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		status, _, content := post(t, address, "/centrifuge.v1."+procedure, request)
		if status != http.StatusOK {
			t.Fatalf("%s: got status %d: %s", procedure, status, content)
		}
		if strings.Contains(content, awaited) {
			if err := json.Unmarshal([]byte(content), answer); err != nil {
				t.Fatal(err)
			}
			return
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("%s: gave up waiting for %s: %s", procedure, awaited, content)
		}
	}
}

type listing struct {
	Jobs          []struct{ ID, Reason, ReplayedAs string }
	Queues        []struct{ Source, Destination, Waiting string }
	NextPageToken string
}

type progress struct {
	Job struct {
		State, ReplayOf string
		Attempts        int
	}
	Transitions []struct{ State string }
}

func TestADirectorBehindTheServer(t *testing.T) {
	arrived := make(chan string, 10)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		arrived <- r.Header.Get("Centrifuge-Job-Id")
	}))
	t.Cleanup(endpoint.Close)
	address := direct(t)

	// A job is delivered, and its life told.
	var receipt struct {
		TransactionID string
		JobIDs        []string
	}
	request := `{"transactionId": "t", "jobs": [{"source": "shop", "endpoint": "` + endpoint.URL + `/up", "payload": "aGk=", "ttl": "60s"}]}`
	ask(t, address, "JobService/Submit", request, "jobIds", &receipt)
	id := receipt.JobIDs[0]
	if got := <-arrived; got != id {
		t.Errorf("job %s arrived, submitted was %s", got, id)
	}
	var told progress
	ask(t, address, "JobService/Get", `{"id": "`+id+`"}`, "JOB_STATE_SUCCEEDED", &told)
	if len(told.Transitions) != 3 || told.Job.Attempts != 1 || told.Job.State != "JOB_STATE_SUCCEEDED" {
		t.Errorf("told of it is %+v", told)
	}

	// The same transaction again gives the same answer; the same id does not.
	ask(t, address, "JobService/Submit", request, "jobIds", &receipt)
	if receipt.JobIDs[0] != id {
		t.Errorf("the transaction repeated gave %s, not %s", receipt.JobIDs[0], id)
	}
	for want, jobs := range map[string]string{
		"already_exists":               `[{"source": "s", "endpoint": "http://e.example/", "id": "` + id + `"}]`,
		"jobs[1].endpoint":             `[{"source": "s", "endpoint": "http://e.example/"}, {"source": "s", "endpoint": "e"}]`,
		"jobs[0].source":               `[{"endpoint": "http://e.example/"}]`,
		"jobs[0].expire_at: is not in": `[{"source": "s", "endpoint": "http://e.example/", "expireAt": "2001-01-01T00:00:00Z"}]`,
		"jobs: is empty":               `[]`,
	} {
		if status, _, content := post(t, address, submitPath, `{"jobs": `+jobs+`}`); status/100 != 4 || !strings.Contains(content, want) {
			t.Errorf("got status %d: %s, want %s", status, content, want)
		}
	}

	// A job that fails waits in its queue, until it is sent to the archive.
	ask(t, address, "JobService/Submit", `{"jobs": [{"source": "shop", "destination": "down", "endpoint": "`+endpoint.URL+
		`/down", "retry": {"minBackoff": "3600s", "maxBackoff": "3600s"}}]}`, "jobIds", &receipt)
	failing := receipt.JobIDs[0]
	ask(t, address, "JobService/Get", `{"id": "`+failing+`"}`, "JOB_STATE_AWAITING_RETRY", &told)
	var list listing
	ask(t, address, "QueueService/List", `{"selector": {"destination": "down"}}`, `"waiting"`, &list)
	if len(list.Queues) != 1 || list.Queues[0].Source != "shop" || list.Queues[0].Waiting != "1" {
		t.Errorf("the queues are %+v", list.Queues)
	}
	for _, procedure := range []string{"GetPolicy", "SetPolicy", "Retry", "Expire"} {
		if status, _, content := post(t, address, "/centrifuge.v1.QueueService/"+procedure, `{}`); status != http.StatusBadRequest ||
			!strings.Contains(content, "selector") {
			t.Errorf("%s of all queues got status %d: %s", procedure, status, content)
		}
	}
	var changed struct{ Jobs, Replayed, Skipped string }
	ask(t, address, "QueueService/SetPolicy", `{"selector": {"destination": "down"}, "policy": {"paused": true}}`, `"directors":1`, &changed)
	ask(t, address, "QueueService/Expire", `{"selector": {"destination": "down"}}`, "jobs", &changed)
	if changed.Jobs != "1" {
		t.Errorf("%s jobs expired", changed.Jobs)
	}
	ask(t, address, "JobService/Get", `{"id": "`+failing+`"}`, "JOB_STATE_ARCHIVED", &told)
	ask(t, address, "ArchiveService/List", `{"filter": {"destination": "down"}}`, failing, &list)
	if len(list.Jobs) != 1 || list.Jobs[0].Reason != "FLUSHED" {
		t.Errorf("the archive holds %+v", list.Jobs)
	}

	// From there it is replayed, once.
	for _, want := range [][2]string{{"1", "0"}, {"0", "1"}} {
		ask(t, address, "ArchiveService/Replay", `{"filter": {"destination": "down"}}`, "replayed", &changed)
		if changed.Replayed != want[0] || changed.Skipped != want[1] {
			t.Errorf("a replay is told as %+v, want %v", changed, want)
		}
	}
	ask(t, address, "ArchiveService/List", `{"filter": {"destination": "down"}}`, failing, &list)
	ask(t, address, "JobService/Get", `{"id": "`+list.Jobs[0].ReplayedAs+`"}`, "JOB_STATE_AWAITING_SCHEDULING", &told)
	if told.Job.ReplayOf != failing {
		t.Errorf("the replay names %q, not %s", told.Job.ReplayOf, failing)
	}

	var ledger struct {
		Balanced         bool
		Total, Recounted map[string]string
		Queues           []json.RawMessage
	}
	ask(t, address, "LedgerService/Get", `{"verify": true, "byQueue": true}`, "balanced", &ledger)
	want := map[string]string{
		"accepted": "3", "succeeded": "1", "discarded": "0", "archived": "1", "moved": "0",
		"pending": "1", "awaitingScheduling": "1", "executing": "0", "awaitingRetry": "0", "archiving": "0",
	}
	equal(t, ledger.Total, want)
	equal(t, ledger.Recounted, want)
	if len(ledger.Queues) != 2 {
		t.Errorf("the ledger has %d queues", len(ledger.Queues))
	}
}
