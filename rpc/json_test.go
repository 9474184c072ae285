package rpc

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/director"
	"centrifuge/fanout"
	"centrifuge/jobdb"
	"centrifuge/schedule"
)

func TestSubmitAsJSON(t *testing.T) {
	backend := &fake{}
	address := serve(t, Options{Backends: backend.backends()})
	begin := time.Now().Truncate(time.Millisecond)
	status, header, content := post(t, address, submitPath, `{
		"transactionId": "tx-1",
		"jobs": [{
			"id": "0ujtsYcgvSTl8PAuAdqWYSMnLOv",
			"source": "shop", "destination": "crm", "endpoint": "https://crm.example/hook", "method": "PUT",
			"headers": [{"name": "X-A", "value": "1"}, {"name": "X-A", "value": "2"}],
			"payload": "eyJoZWxsbyI6IndvcmxkIn0=",
			"ttl": "3600s", "timeout": "2.5s", "encoding": "ENCODING_ZSTD",
			"retry": {"minBackoff": "1s", "maxBackoff": "60s", "maxAttempts": 7}
		}, {
			"source": "shop", "endpoint": "https://b.example/", "expireAt": "2100-01-02T03:04:05.678999Z"
		}]
	}`)
	end := time.Now()
	if status != http.StatusOK || header.Get("Content-Type") != "application/json" {
		t.Fatalf("got status %d: %s", status, content)
	}
	var answer struct {
		TransactionID string   `json:"transactionId"`
		JobIDs        []string `json:"jobIds"`
	}
	if err := json.Unmarshal([]byte(content), &answer); err != nil {
		t.Fatal(err)
	}
	want := []string{centrifuge.ID{0: 1}.String(), centrifuge.ID{0: 1, 19: 1}.String()}
	if answer.TransactionID != "tx-1" || len(answer.JobIDs) != 2 || answer.JobIDs[0] != want[0] || answer.JobIDs[1] != want[1] {
		t.Errorf("got %s, want tx-1 and %q", content, want)
	}

	submission := backend.submitted()[0]
	if submission.TransactionID != "tx-1" || len(submission.Jobs) != 2 {
		t.Fatalf("submitted %+v", submission)
	}
	first := *submission.Jobs[0]
	if least, most := begin.Add(time.Hour), end.Add(time.Hour); first.ExpireAt.Before(least) || first.ExpireAt.After(most) {
		t.Errorf("a ttl of an hour became %s, want between %s and %s", first.ExpireAt, least, most)
	}
	first.ExpireAt = time.Time{}
	id, err := centrifuge.ParseID("0ujtsYcgvSTl8PAuAdqWYSMnLOv")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, first, centrifuge.Job{
		ID: id, Source: "shop", Destination: "crm", Endpoint: "https://crm.example/hook", Method: "PUT",
		Headers: []centrifuge.Header{{Name: "X-A", Value: "1"}, {Name: "X-A", Value: "2"}},
		Payload: []byte(`{"hello":"world"}`),
		Settings: centrifuge.Settings{
			Timeout: 2500 * time.Millisecond, Encoding: centrifuge.EncodingZstd,
			Retry: centrifuge.RetryPolicy{MinBackoff: time.Second, MaxBackoff: time.Minute, MaxAttempts: 7},
		},
	})
	equal(t, *submission.Jobs[1], centrifuge.Job{
		Source: "shop", Endpoint: "https://b.example/",
		ExpireAt: time.Date(2100, 1, 2, 3, 4, 5, 678e6, time.UTC),
	})
}

func TestGetAsJSON(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 8e6, time.UTC)
	id, replayed := centrifuge.ID{0: 9}, centrifuge.ID{0: 8}
	backend := &fake{get: func(asked centrifuge.ID) (jobdb.Trace, error) {
		return jobdb.Trace{
			Job: centrifuge.Job{
				ID: asked, Source: "shop", Destination: "crm", Endpoint: "https://crm.example/hook", Method: "POST",
				Headers: []centrifuge.Header{{Name: "X-A", Value: "1"}}, Payload: []byte("hi"), ReplayOf: replayed,
				Settings:  centrifuge.Settings{Timeout: time.Second, Encoding: centrifuge.EncodingGzip},
				CreatedAt: at, ExpireAt: at.Add(time.Hour),
			},
			Transitions: []centrifuge.Transition{
				{State: centrifuge.StateAwaitingScheduling, Time: at},
				{State: centrifuge.StateExecuting, Attempt: 1, Time: at},
				{
					State: centrifuge.StateAwaitingRetry, Attempt: 1, Time: at, RetryAt: at.Add(time.Second),
					StatusCode: 503, ErrorCode: centrifuge.ErrorTimedOut, Error: "cut \xe2\x82", Duration: 1500 * time.Millisecond,
				},
			},
		}, nil
	}}
	address := serve(t, Options{Backends: backend.backends()})
	status, _, content := post(t, address, "/centrifuge.v1.JobService/Get", `{"id": "`+id.String()+`"}`)
	if status != http.StatusOK {
		t.Fatalf("got status %d: %s", status, content)
	}
	equalJSON(t, content, `{
		"job": {
			"id": "`+id.String()+`", "source": "shop", "destination": "crm",
			"endpoint": "https://crm.example/hook", "method": "POST",
			"headers": [{"name": "X-A", "value": "1"}], "payload": "aGk=",
			"createdAt": "2026-03-04T05:06:07.008Z", "expireAt": "2026-03-04T06:06:07.008Z",
			"timeout": "1s", "encoding": "ENCODING_GZIP",
			"state": "JOB_STATE_AWAITING_RETRY", "attempts": 1, "replayOf": "`+replayed.String()+`"
		},
		"transitions": [
			{
				"state": "JOB_STATE_AWAITING_SCHEDULING", "time": "2026-03-04T05:06:07.008Z", "attempt": 0,
				"statusCode": 0, "errorCode": "", "error": ""
			},
			{
				"state": "JOB_STATE_EXECUTING", "time": "2026-03-04T05:06:07.008Z", "attempt": 1,
				"statusCode": 0, "errorCode": "", "error": ""
			},
			{
				"state": "JOB_STATE_AWAITING_RETRY", "time": "2026-03-04T05:06:07.008Z", "attempt": 1,
				"retryAt": "2026-03-04T05:06:08.008Z", "statusCode": 503, "errorCode": "ETIMEDOUT",
				"error": "cut \ufffd", "duration": "1.500s"
			}
		]
	}`)
}

func TestQueuesAsJSON(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	all := []centrifuge.QueueKey{
		{Source: "a", Destination: "x"}, {Source: "b", Destination: "x"}, {Source: "a", Destination: "y"},
	}
	backend := &fake{queues: func(sel schedule.Selector, after centrifuge.QueueKey, limit int) ([]schedule.QueueInfo, bool, error) {
		if sel != (schedule.Selector{Destination: "z"}) {
			t.Errorf("asked for %+v", sel)
		}
		begin := 0
		for i, key := range all {
			if key == after {
				begin = i + 1
			}
		}
		end := min(begin+limit, len(all))
		var page []schedule.QueueInfo
		for _, key := range all[begin:end] {
			page = append(page, schedule.QueueInfo{
				Queue: key, Ready: 1, Waiting: 2, Gate: schedule.Gate{InFlight: 3, Limit: 4, Breaker: schedule.Open, HeldUntil: at},
				Policy: centrifuge.QueuePolicy{Paused: true, Rate: 2.5, RetryStatuses: []int{404}},
			})
		}
		return page, end < len(all), nil
	}}
	backend.holders = []fanout.Holder{{Name: "b", QueueInfo: schedule.QueueInfo{Ready: 1}}}
	address := serve(t, Options{Backends: backend.backends()})

	type listing struct {
		Queues        []map[string]any
		NextPageToken string
	}
	var names []string
	token := ""
	for pages := 0; ; pages++ {
		_, _, content := post(t, address, "/centrifuge.v1.QueueService/List",
			`{"selector": {"destination": "z"}, "pageSize": 2, "pageToken": "`+token+`"}`)
		var page listing
		if err := json.Unmarshal([]byte(content), &page); err != nil {
			t.Fatal(err)
		}
		for _, q := range page.Queues {
			names = append(names, q["source"].(string)+">"+q["destination"].(string))
		}
		if pages == 0 {
			first, err := json.Marshal(page.Queues[0])
			if err != nil {
				t.Fatal(err)
			}
			equalJSON(t, string(first), `{
				"source": "a", "destination": "x", "ready": "1", "waiting": "2", "inFlight": "3", "limit": "4",
				"breaker": "open", "heldUntil": "2026-03-04T05:06:07Z",
				"holders": [{"director": "b", "ready": "1", "waiting": "0", "inFlight": "0", "limit": "0", "breaker": "closed"}],
				"policy": {"paused": true, "rate": 2.5, "burst": 0, "weight": 0, "concurrency": 0, "retryStatuses": [404]}
			}`)
		}
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	if got := strings.Join(names, " "); got != "a>x b>x a>y" {
		t.Errorf("the pages hold %q", got)
	}
}

func TestLeversAsJSON(t *testing.T) {
	backend := &fake{reach: fanout.Reach{Directors: 2, Missing: []fanout.Missing{{Director: "c", Why: "gone"}}}}
	address := serve(t, Options{Backends: backend.backends()})
	status, _, content := post(t, address, "/centrifuge.v1.QueueService/SetPolicy", `{
		"selector": {"source": "s", "destination": "d"},
		"policy": {"paused": true, "rate": 10, "burst": 5, "weight": 2, "concurrency": 3,
			"retryStatuses": [404, 410], "retry": {"maxAttempts": 2, "minBackoff": "1s"}}}`)
	if status != http.StatusOK {
		t.Fatalf("got status %d: %s", status, content)
	}
	equal(t, backend.asked(), []any{
		centrifuge.QueueKey{Source: "s", Destination: "d"},
		centrifuge.QueuePolicy{
			Paused: true, Rate: 10, Burst: 5, Weight: 2, Concurrency: 3,
			RetryStatuses: []int{404, 410}, Retry: centrifuge.RetryPolicy{MinBackoff: time.Second, MaxAttempts: 2},
		},
	})
	_, _, content = post(t, address, "/centrifuge.v1.QueueService/GetPolicy", `{"selector": {"destination": "d"}}`)
	equal(t, backend.asked(), []any{centrifuge.QueueKey{Destination: "d"}})
	equalJSON(t, content, `{"policy": {"paused": false, "rate": 7, "burst": 0, "weight": 0, "concurrency": 0, "retryStatuses": []}, "missing": [{"director": "c", "jobdb": "", "reason": "gone"}]}`)
	_, _, content = post(t, address, "/centrifuge.v1.QueueService/ListDestinations", `{"pageSize": 1}`)
	equal(t, backend.asked(), []any{"", 1})
	var page struct {
		Destinations  []struct{ Destination, Queues, Breaker string }
		NextPageToken string
	}
	if err := json.Unmarshal([]byte(content), &page); err != nil || len(page.Destinations) != 1 || page.Destinations[0].Breaker != "open" {
		t.Errorf("the destinations are %s: %v", content, err)
	}
	post(t, address, "/centrifuge.v1.QueueService/ListDestinations", `{"pageToken": "`+page.NextPageToken+`"}`)
	equal(t, backend.asked(), []any{"d", 100})
	for procedure, want := range map[string]string{
		"Retry": `{"jobs": "3", "directors": 2, "missing": [{"director": "c", "jobdb": "", "reason": "gone"}]}`, "Expire": `{"jobs": "4", "directors": 2, "missing": [{"director": "c", "jobdb": "", "reason": "gone"}]}`,
	} {
		_, _, content := post(t, address, "/centrifuge.v1.QueueService/"+procedure, `{"selector": {"source": "s"}}`)
		equalJSON(t, content, want)
		equal(t, backend.asked(), []any{schedule.Selector{Source: "s"}})
	}
}

func TestArchiveAsJSON(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	id, as := centrifuge.ID{0: 1}, centrifuge.ID{0: 2}
	backend := &fake{page: archive.Page{Next: "more", Entries: []archive.Entry{{
		Object: "o", JobID: id, Source: "s", Destination: "d", Endpoint: "https://d.example/", Reason: centrifuge.ErrorExpired,
		StatusCode: 500, ErrorCode: centrifuge.ErrorConnReset, Attempts: 9, CreatedAt: at, ArchivedAt: at, ReplayedAs: as,
	}}}}
	address := serve(t, Options{Backends: backend.backends()})
	filter := `"filter": {"source": "s", "destination": "d", "endpoint": "https://*", "since": "2026-03-04T05:06:07Z",
		"until": "2026-03-05T05:06:07Z", "statusCode": 500, "errorCode": "ECONNRESET", "jobId": "` + id.String() + `"}`
	chosen := archive.Filter{
		From: at, To: at.Add(24 * time.Hour), Source: "s", Destination: "d", Endpoint: "https://*",
		StatusCode: 500, ErrorCode: centrifuge.ErrorConnReset, JobID: id,
	}

	_, _, content := post(t, address, "/centrifuge.v1.ArchiveService/List", `{`+filter+`, "pageToken": "here"}`)
	equalJSON(t, content, `{"nextPageToken": "more", "damaged": [], "jobs": [{
		"id": "`+id.String()+`", "source": "s", "destination": "d", "endpoint": "https://d.example/",
		"createdAt": "2026-03-04T05:06:07Z", "archivedAt": "2026-03-04T05:06:07Z", "attempts": 9,
		"reason": "EXPIRED", "statusCode": 500, "errorCode": "ECONNRESET", "replayedAs": "`+as.String()+`"}]}`)
	equal(t, backend.asked(), []any{chosen, "here", 100})

	_, _, content = post(t, address, "/centrifuge.v1.ArchiveService/Replay", `{`+filter+`, "pageSize": 5000, "rate": 2.5}`)
	equalJSON(t, content, `{"replayed": "5", "skipped": "6", "nextPageToken": "there", "leftOut": "2",
		"damaged": [{"name": "object.ndjson.zst", "reason": "cut short", "madeUpFor": false}]}`)
	equal(t, backend.asked(), []any{chosen, "", maxPage, 2.5})
}

func TestLedgerAsJSON(t *testing.T) {
	booked := director.Ledger{
		Accepted: 45, Succeeded: 2, Discarded: 3, Archived: 4, Moved: 5,
		AwaitingScheduling: 6, Executing: 7, AwaitingRetry: 8, Archiving: 10,
	}
	total := `{"accepted": "45", "succeeded": "2", "discarded": "3", "archived": "4", "moved": "5", "pending": "31",
		"awaitingScheduling": "6", "executing": "7", "awaitingRetry": "8", "archiving": "10"}`
	backend := &fake{
		ledgers: [2]director.Ledger{booked, booked},
		byQueue: []director.QueueLedger{{Queue: centrifuge.QueueKey{Source: "s", Destination: "d"}, Ledger: booked}},
	}
	address := serve(t, Options{Backends: backend.backends()})
	const procedure = "/centrifuge.v1.LedgerService/Get"

	_, _, content := post(t, address, procedure, `{}`)
	equalJSON(t, content, `{"balanced": true, "total": `+total+`, "queues": [], "missing": []}`)
	_, _, content = post(t, address, procedure, `{"verify": true}`)
	equalJSON(t, content, `{"balanced": true, "total": `+total+`, "recounted": `+total+`, "queues": [], "missing": []}`)
	_, _, content = post(t, address, procedure, `{"byQueue": true, "selector": {"source": "s"}}`)
	equalJSON(t, content, `{"balanced": true, "total": `+total+`, "queues": [{"source": "s", "destination": "d", "ledger": `+total+`}], "missing": []}`)

	// A ledger that is not whole does not balance, and says what is missing, once.
	backend.reach.Missing = []fanout.Missing{{JobDB: "jobdb-000003", Why: "gone"}}
	_, _, content = post(t, address, procedure, `{"byQueue": true, "selector": {"source": "s"}}`)
	equalJSON(t, content, `{"balanced": false, "total": `+total+`, "queues": [{"source": "s", "destination": "d", "ledger": `+total+`}],
		"missing": [{"director": "", "jobdb": "jobdb-000003", "reason": "gone"}]}`)
	backend.reach.Missing = nil
	equal(t, backend.asked(), []any{schedule.Selector{Source: "s"}})

	// Each ledger balances by itself, but they differ.
	backend.ledgers[1].Succeeded, backend.ledgers[1].Discarded = 3, 2
	if _, _, content = post(t, address, procedure, `{"verify": true}`); !strings.Contains(content, "false") {
		t.Errorf("a recount that differs is balanced: %s", content)
	}
	backend.ledgers[0].Accepted++
	if _, _, content = post(t, address, procedure, `{}`); !strings.Contains(content, "false") {
		t.Errorf("a ledger that does not add up is balanced: %s", content)
	}
}
