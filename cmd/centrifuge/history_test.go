package main

import (
	"testing"
	"time"

	"centrifuge"
	"centrifuge/jobdb/mysql/mysqltest"
	"centrifuge/visibility"
)

// Directors that are given one place show what all recorded. A server that is away
// when they start is waited for.
func TestSharedHistory(t *testing.T) {
	server := mysqltest.Start(t)
	place := "mysql://" + mysqltest.User + ":correct%20horse@" + server.Address + "/" + server.Schema()
	server.Kill()
	now := time.Now()
	names := []string{"a", "b"}
	records := make([]*history, len(names))
	for i, name := range names {
		records[i] = openHistory(t.Context(), &historyOptions{url: place, dataDir: t.TempDir(), writer: name, retention: 1e15}, newLogger(t.Output(), "text", 0))
		if records[i] == nil {
			t.Fatal("nothing is recorded")
		}
		job := &centrifuge.Job{ID: centrifuge.ID{byte(i)}, Source: "s", Destination: "d", CreatedAt: now}
		records[i].observer()([]centrifuge.Event{{Job: job, Step: centrifuge.Transition{State: centrifuge.StateAwaitingScheduling, Time: now}}})
	}
	if err := records[0].recorder.Flush(t.Context()); err == nil {
		t.Error("it was stored nowhere")
	}
	server.Restart()
	for _, h := range records {
		if err := h.recorder.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range records {
		s, err := h.store.Summary(t.Context(), visibility.Filter{}, visibility.Last(now, time.Hour))
		if err != nil || s.Accepted != 2 || s.Missing {
			t.Errorf("%+v, %v", s, err)
		}
		if err := h.close(); err != nil {
			t.Error(err)
		}
	}
}
