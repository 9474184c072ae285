package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/access/audit"
	"centrifuge/director"
	"centrifuge/rpc"
	"centrifuge/schedule"
	"centrifuge/visibility/alert"
	"centrifuge/visibility/web"
)

// newWatch makes the watch over a Director and its record, by the rules of a file or
// the default ones; nil if nothing is recorded.
func newWatch(rulesFile string, d *director.Director, past *history, speaks func() bool, log *audit.Log, logger *slog.Logger) (*alert.Watch, error) {
	rules := alert.Defaults()
	if rulesFile != "" {
		text, err := os.ReadFile(rulesFile)
		if err != nil {
			return nil, fmt.Errorf("--alert-rules: %w", err)
		}
		if rules, err = alert.ParseRules(text); err != nil {
			return nil, fmt.Errorf("--alert-rules %s: %w", rulesFile, err)
		}
	}
	if past == nil {
		return nil, nil
	}
	queues := rpc.Guard(rpc.Backends{Queues: d}, log).Queues
	return alert.New(alert.Options{
		Rules:   rules,
		History: past.store,
		Facts:   func(context.Context) (alert.Facts, error) { return factsOf(d) },
		Streaks: past.recorder.Streaks,
		Journal: past.store,
		Speaks:  speaks,
		Notify: func(ctx context.Context, n alert.Notice) error {
			_, err := d.Submit(ctx, director.Submission{Jobs: []*centrifuge.Job{{
				Source: alert.Source, Endpoint: n.Endpoint, Payload: n.Body,
				Headers: []centrifuge.Header{{Name: "Content-Type", Value: n.ContentType}},
			}}})
			return err
		},
		Pause: func(ctx context.Context, queue centrifuge.QueueKey, why string) error {
			logger.WarnContext(ctx, "a queue is paused by the rules of alerts", "source", queue.Source, "destination", queue.Destination, "why", why)
			return pauseQueue(access.With(ctx, access.Principal{Name: "rules of alerts", Role: access.Operator}), queues, queue)
		},
		Logger: logger,
	}), nil
}

// served are the backends of a Director and what there is of its record.
func served(d *director.Director, past *history, watch *alert.Watch) rpc.Backends {
	b := rpc.Backends{Jobs: d, Queues: d, Archive: d, Ledger: d, Search: d}
	if past != nil {
		b.Record = past.store
	}
	if watch != nil {
		b.Alerts = watch
	}
	return b
}

// runWatch looks until stop is called, which waits.
func runWatch(ctx context.Context, w *alert.Watch) (stop func()) {
	if w == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

func pauseQueue(ctx context.Context, queues rpc.QueueBackend, queue centrifuge.QueueKey) error {
	policy, err := queues.Policy(queue)
	if err != nil {
		return err
	}
	policy.Paused = true
	return queues.SetPolicy(ctx, queue, policy)
}

// factsPage is how many queues are asked for at once; the scheduler is locked
// meanwhile.
const factsPage = 1000

// factsOf is how a Director stands, for the rules of alerts.
func factsOf(d *director.Director) (facts alert.Facts, err error) {
	if facts.Oldest, err = d.Oldest(); err != nil {
		return facts, err
	}
	ledger, err := d.Ledger()
	if err != nil {
		return facts, err
	}
	facts.Off = ledger.Accepted - ledger.Succeeded - ledger.Discarded - ledger.Archived - ledger.Moved - ledger.Pending()
	for after, more := (centrifuge.QueueKey{}), true; more; {
		var page []schedule.QueueInfo
		if page, more, err = d.Queues(schedule.Selector{}, after, factsPage); err != nil {
			return facts, err
		}
		for i := range page {
			q := &page[i]
			after = q.Queue
			facts.Queues = append(facts.Queues, alert.Depth{Queue: q.Queue, Jobs: int64(q.Ready + q.Waiting), Paused: q.Policy.Paused})
			if q.Breaker != schedule.Closed {
				facts.Breakers = append(facts.Breakers, alert.Breaker{Scope: q.Queue, Until: q.HeldUntil})
			}
		}
	}
	for after, more := "", true; more; {
		var page []schedule.DestinationInfo
		if page, more, err = d.Destinations(after, factsPage); err != nil {
			return facts, err
		}
		for i := range page {
			after = page[i].Destination
			if page[i].Breaker != schedule.Closed {
				facts.Breakers = append(facts.Breakers, alert.Breaker{Scope: alert.Scope{Destination: after}, Until: page[i].HeldUntil})
			}
		}
	}
	return facts, nil
}

// shownAlerts shows a watch's alerts on pages.
type shownAlerts struct{ watch *alert.Watch }

func (s *shownAlerts) Alerts(ctx context.Context) ([]web.Alert, error) {
	alerts, err := s.watch.Alerts(ctx)
	out := make([]web.Alert, len(alerts))
	for i, a := range alerts {
		out[i] = web.Alert{
			Rule: a.Rule, Severity: string(cmp.Or(a.Severity, alert.Warning)), Source: a.Source, Destination: a.Destination,
			Text: a.Text, Since: a.Since, Ended: a.Ended,
		}
	}
	return out, err
}
