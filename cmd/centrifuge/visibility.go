package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/access/audit"
	"centrifuge/director"
	"centrifuge/fanout"
	"centrifuge/rpc"
	"centrifuge/schedule"
	"centrifuge/visibility/alert"
	"centrifuge/visibility/web"
)

// rulesOf reads the rules of a file, or gives the default ones.
func rulesOf(file string) (alert.Rules, error) {
	if file == "" {
		return alert.Defaults(), nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return alert.Rules{}, fmt.Errorf("--alert-rules: %w", err)
	}
	rules, err := alert.ParseRules(text)
	if err != nil {
		return rules, fmt.Errorf("--alert-rules %s: %w", file, err)
	}
	return rules, nil
}

// watch makes the watch over the fleet and its record; nil if nothing is recorded.
func (f *fleet) watch(rulesFile string, d *director.Director, ledger rpc.LedgerBackend, past *history, log *audit.Log) (*alert.Watch, error) {
	rules, err := rulesOf(rulesFile)
	if err != nil || past == nil {
		return nil, err
	}
	queues := rpc.Guard(rpc.Backends{Queues: f.all}, log).Queues
	o := alert.Options{
		Rules:   rules,
		History: past.store,
		Facts:   func(ctx context.Context) (alert.Facts, error) { return factsOf(ctx, f.all, ledger) },
		Streaks: past.recorder.Streaks,
		Journal: past.store,
		Notify: func(ctx context.Context, n alert.Notice) error {
			_, err := d.Submit(ctx, director.Submission{Jobs: []*centrifuge.Job{{
				Source: alert.Source, Endpoint: n.Endpoint, Payload: n.Body,
				Headers: []centrifuge.Header{{Name: "Content-Type", Value: n.ContentType}},
			}}})
			return err
		},
		Pause: func(ctx context.Context, queue centrifuge.QueueKey, why string) error {
			f.logger.WarnContext(ctx, "a queue is paused by the rules of alerts", "source", queue.Source, "destination", queue.Destination, "why", why)
			return pauseQueue(access.With(ctx, access.Principal{Name: "rules of alerts", Role: access.Operator}), queues, queue)
		},
		Logger: f.logger,
	}
	if f.watching != nil {
		f.watching.share(&o, f, d, ledger)
	}
	return alert.New(o), nil
}

// tell completes the backends by what there is of a record, and by what the others of
// a fleet ask of this Director.
func (f *fleet) tell(b *rpc.Backends, d *director.Director, past *history, watch *alert.Watch) {
	if past != nil {
		b.Record = past.store
	}
	if watch != nil {
		b.Alerts = watch
	}
	if f.watching != nil {
		b.Own = &answering{Own: fanout.Own{Director: d}, past: past, watch: watch}
		if watch != nil {
			b.Alerts = &fleetAlerts{own: watch, watching: f.watching}
		}
	}
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
	policy, _, err := queues.Policy(ctx, queue)
	if err != nil {
		return err
	}
	policy.Paused = true
	_, err = queues.SetPolicy(ctx, queue, policy) // whom it did not reach learns of it
	return err
}

// factsPage is how many queues are asked for at once; the scheduler is locked
// meanwhile.
const factsPage = 1000

// factsOf is how the Directors stand, for the rules of alerts.
func factsOf(ctx context.Context, all *fanout.Fleet, counts rpc.LedgerBackend) (facts alert.Facts, err error) {
	// What is missing in the ledger is missing on both sides. That it cannot be read, for
	// want of Consul, keeps nobody from being told of the rest.
	if l, _, err := counts.Ledger(ctx); err == nil {
		facts.Off = l.Accepted - l.Succeeded - l.Discarded - l.Archived - l.Moved - l.Pending()
	}
	q := fanout.Question{Queues: factsPage, Within: time.Minute}
	for more := true; more; {
		now, err := all.Survey(ctx, q)
		if err != nil {
			return facts, err
		}
		if q.Within > 0 {
			facts.Oldest, q.Within = now.Oldest, 0
		}
		more = now.MoreQueues && len(now.Queues) > 0
		for i := range now.Queues {
			queue := &now.Queues[i]
			q.After = queue.Queue
			facts.Queues = append(facts.Queues, alert.Depth{Queue: queue.Queue, Jobs: int64(queue.Ready + queue.Waiting), Paused: queue.Policy.Paused})
			if queue.Breaker != schedule.Closed {
				facts.Breakers = append(facts.Breakers, alert.Breaker{Scope: queue.Queue, Until: queue.HeldUntil})
			}
		}
	}
	q = fanout.Question{Destinations: factsPage}
	for more := true; more; {
		now, err := all.Survey(ctx, q)
		if err != nil {
			return facts, err
		}
		more = now.MoreDestinations && len(now.Destinations) > 0
		for i := range now.Destinations {
			destination := &now.Destinations[i]
			q.After.Destination = destination.Destination
			if destination.Breaker != schedule.Closed {
				facts.Breakers = append(facts.Breakers, alert.Breaker{Scope: alert.Scope{Destination: destination.Destination}, Until: destination.HeldUntil})
			}
		}
	}
	return facts, nil
}

// shownAlerts shows alerts on pages.
type shownAlerts struct{ alerts rpc.AlertBackend }

func (s *shownAlerts) Alerts(ctx context.Context) ([]web.Alert, error) {
	alerts, err := s.alerts.Alerts(ctx)
	out := make([]web.Alert, len(alerts))
	for i, a := range alerts {
		out[i] = web.Alert{
			Rule: a.Rule, Severity: string(cmp.Or(a.Severity, alert.Warning)), Source: a.Source, Destination: a.Destination,
			Text: a.Text, Since: a.Since, Ended: a.Ended,
		}
	}
	return out, err
}
