package main

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"centrifuge"
	"centrifuge/director"
	"centrifuge/fanout"
	"centrifuge/rpc"
	"centrifuge/visibility"
	"centrifuge/visibility/alert"
)

// watching is the part that a Director has in looking for what asks for attention. Of
// the Directors of a fleet one, by a lease, says how all of them stand, and tells
// whoever is to be told. If they share a record, it alone looks at that too; a record
// of its own each Director looks at for itself.
type watching struct {
	shared *shared
	roster *roster
	record bool        // it is shared
	leads  atomic.Bool // this is the one
}

// watchLease is that of the Director that looks for all.
const watchLease = "alerts"

// alertPatience is how long a page waits for the alerts of another Director.
const alertPatience = time.Second

// run takes part until ctx ends.
func (w *watching) run(ctx context.Context) {
	err := w.shared.whileHeld(ctx, watchLease, func(ctx context.Context, epoch uint64) {
		w.shared.logger.InfoContext(ctx, "looking for alerts, for the fleet", "epoch", epoch)
		w.leads.Store(true)
		defer w.leads.Store(false)
		<-ctx.Done()
	})
	if ctx.Err() == nil {
		w.shared.logger.ErrorContext(ctx, "this Director never looks for alerts", "error", err)
	}
}

// share changes what a watch looks at by our part in it.
func (w *watching) share(o *alert.Options, f *fleet, d *director.Director, ledger rpc.LedgerBackend) {
	f.besides = append(f.besides, w.run)
	own := o.Streaks
	if w.record {
		o.Leads = w.leads.Load
		o.Streaks = func(least int64) []visibility.Streak { return w.streaks(own(least), least) }
		return
	}
	alone := fanout.New(fanout.Options{Own: d})
	o.Facts = func(ctx context.Context) (facts alert.Facts, err error) {
		if w.leads.Load() {
			if facts, err = factsOf(ctx, f.all, ledger); err != nil {
				return facts, err
			}
		}
		// What is recorded here is of our own queues.
		ours, err := factsOf(ctx, alone, ledger)
		facts.Queues = ours.Queues
		return facts, err
	}
}

// streaks adds those of the other Directors; of a queue the longest counts.
func (w *watching) streaks(own []visibility.Streak, least int64) []visibility.Streak {
	var mu sync.Mutex
	longest := make(map[centrifuge.QueueKey]visibility.Streak)
	note := func(streaks []visibility.Streak) {
		mu.Lock()
		defer mu.Unlock()
		for _, s := range streaks {
			if s.Count > longest[s.Queue].Count {
				longest[s.Queue] = s
			}
		}
	}
	note(own)
	ctx, cancel := context.WithTimeout(context.Background(), statusPatience)
	defer cancel()
	var asking sync.WaitGroup
	living, _ := w.roster.living()
	for _, s := range living {
		asking.Go(func() {
			peer, err := w.roster.peers.peer(s.Meta[urlKey])
			if err != nil {
				return // it looks at its own queues when it leads
			}
			if _, streaks, err := peer.Watched(ctx, least); err == nil {
				note(streaks)
			}
		})
	}
	asking.Wait()
	all := make([]visibility.Streak, 0, len(longest))
	for _, s := range longest {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b visibility.Streak) int { return cmp.Compare(b.Count, a.Count) })
	return all
}

// fleetAlerts are those that the fleet's Director found, and this one.
type fleetAlerts struct {
	own      *alert.Watch
	watching *watching
}

// Alerts implements [rpc.AlertBackend].
func (a *fleetAlerts) Alerts(ctx context.Context) ([]alert.Alert, error) {
	own, err := a.own.Alerts(ctx)
	if err != nil || a.watching.leads.Load() {
		return own, err
	}
	ctx, cancel := context.WithTimeout(ctx, alertPatience)
	defer cancel()
	address, err := a.watching.shared.holder(ctx, watchLease)
	if err != nil {
		return own, unwatched(err)
	}
	peer, err := a.watching.roster.peers.peer(address)
	if err != nil {
		return own, unwatched(err)
	}
	alerts, _, err := peer.Watched(ctx, 0)
	if err != nil {
		return own, unwatched(err)
	}
	for _, alert := range own {
		if !slices.Contains(alerts, alert) {
			alerts = append(alerts, alert)
		}
	}
	return alerts, nil
}

func unwatched(err error) error {
	return uncountable("the Director that looks for alerts does not answer: " + err.Error())
}

// answering is what a Director answers to the others.
type answering struct {
	fanout.Own
	past  *history     // nil: nothing is recorded
	watch *alert.Watch // nil: nothing is looked for
}

var _ rpc.OwnBackend = (*answering)(nil)

// Watched implements [rpc.OwnBackend].
func (a *answering) Watched(ctx context.Context, least int64) (alerts []alert.Alert, streaks []visibility.Streak, err error) {
	if a.past != nil && least > 0 {
		streaks = a.past.recorder.Streaks(least)
	}
	if a.watch != nil {
		alerts, err = a.watch.Alerts(ctx)
	}
	return alerts, streaks, err
}
