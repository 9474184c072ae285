package rpc

import (
	"context"
	"errors"
	"sync"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/director"
	"centrifuge/fanout"
	"centrifuge/jobdb"
	"centrifuge/schedule"
)

// fake stands for a Director where a test needs answers that a healthy one does
// not give, or to see what it was asked. Without a function of its own, a call
// succeeds.
type fake struct {
	submit  func(context.Context, director.Submission) (director.Receipt, error)
	get     func(centrifuge.ID) (jobdb.Trace, error)
	queues  func(sel schedule.Selector, after centrifuge.QueueKey, limit int) ([]schedule.QueueInfo, bool, error)
	page    archive.Page
	ledgers [2]director.Ledger // booked and recounted
	byQueue []director.QueueLedger
	reach   fanout.Reach // of every order, and what is missing in every answer
	holders []fanout.Holder

	mu struct {
		sync.Mutex
		asked []any // the arguments of each call but Submit's and Queues'
		jobs  []director.Submission
	}
}

func (f *fake) backends() Backends { return Backends{Jobs: f, Queues: f, Archive: f, Ledger: f} }

func (f *fake) ask(arguments ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.asked = arguments
}

func (f *fake) asked() []any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.asked
}

// submitted are the Submits so far.
func (f *fake) submitted() []director.Submission {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.jobs
}

func (f *fake) Submit(ctx context.Context, s director.Submission) (director.Receipt, error) {
	f.mu.Lock()
	f.mu.jobs = append(f.mu.jobs, s)
	f.mu.Unlock()
	if f.submit != nil {
		return f.submit(ctx, s)
	}
	receipt := director.Receipt{TransactionID: s.TransactionID}
	for i := range s.Jobs {
		receipt.JobIDs = append(receipt.JobIDs, centrifuge.ID{0: 1, 19: byte(i)})
	}
	return receipt, nil
}

func (f *fake) Commit(_ context.Context, id string) (jobdb.Transaction, error) {
	f.ask(id)
	return jobdb.Transaction{ID: id}, nil
}

func (f *fake) Abort(_ context.Context, id string) (jobdb.Transaction, error) {
	f.ask(id)
	return jobdb.Transaction{ID: id, State: jobdb.TransactionAborted}, nil
}

func (f *fake) Transactions(_ context.Context, ids []string) ([]jobdb.Transaction, error) {
	f.ask(ids)
	return nil, nil
}

func (f *fake) Status() director.Status { return director.Status{JobDB: "jobdb-000001"} }

func (f *fake) Get(_ context.Context, id centrifuge.ID) (jobdb.Trace, error) {
	if f.get == nil {
		return jobdb.Trace{}, director.ErrNotFound
	}
	return f.get(id)
}

func (f *fake) Survey(_ context.Context, q fanout.Question) (s fanout.Standing, err error) {
	s.Missing, s.Holders = f.reach.Missing, f.holders
	if q.Queues > 0 && f.queues != nil {
		s.Queues, s.MoreQueues, err = f.queues(q.Selector, q.After, q.Queues)
	}
	if q.Destinations > 0 {
		f.ask(q.After.Destination, q.Destinations)
		s.Destinations, s.MoreDestinations = []schedule.DestinationInfo{{Destination: "d", Queues: 2, Gate: schedule.Gate{Breaker: schedule.Open}}}, true
	}
	return s, err
}

func (f *fake) Policy(_ context.Context, scope centrifuge.QueueKey) (centrifuge.QueuePolicy, fanout.Reach, error) {
	f.ask(scope)
	return centrifuge.QueuePolicy{Rate: 7}, f.reach, nil
}

func (f *fake) SetPolicy(_ context.Context, scope centrifuge.QueueKey, p centrifuge.QueuePolicy) (fanout.Reach, error) {
	f.ask(scope, p)
	return f.reach, nil
}

func (f *fake) Retry(_ context.Context, sel schedule.Selector) (int, fanout.Reach, error) {
	f.ask(sel)
	return 3, f.reach, nil
}

func (f *fake) Expire(_ context.Context, sel schedule.Selector) (int, fanout.Reach, error) {
	f.ask(sel)
	return 4, f.reach, nil
}

func (f *fake) ListArchive(_ context.Context, filter archive.Filter, cursor string, limit int) (archive.Page, error) {
	f.ask(filter, cursor, limit)
	return f.page, nil
}

func (f *fake) Replay(
	_ context.Context, filter archive.Filter, cursor string, limit int, rate float64,
) (director.ReplayPage, error) {
	f.ask(filter, cursor, limit, rate)
	return director.ReplayPage{
		Replayed: 5, Skipped: 6, LeftOut: 2, Next: "there",
		Damaged: []*archive.DamagedError{{Stored: "object.ndjson.zst", Err: errors.New("cut short")}},
	}, nil
}

func (f *fake) Ledger(context.Context) (director.Ledger, []fanout.Missing, error) {
	return f.ledgers[0], f.reach.Missing, nil
}

func (f *fake) LedgerByQueue(_ context.Context, sel schedule.Selector) ([]director.QueueLedger, []fanout.Missing, error) {
	f.ask(sel)
	return f.byQueue, f.reach.Missing, nil
}

func (f *fake) Verify(context.Context) (booked, recounted director.Ledger, err error) {
	return f.ledgers[0], f.ledgers[1], nil
}

// alone are the queues and the ledger of a Director that is of no fleet.
type alone struct {
	*fanout.Fleet
	d *director.Director
}

func newAlone(d *director.Director) alone { return alone{fanout.New(fanout.Options{Own: d}), d} }

func (a alone) Ledger(context.Context) (director.Ledger, []fanout.Missing, error) {
	l, err := a.d.Ledger()
	return l, nil, err
}

func (a alone) LedgerByQueue(_ context.Context, sel schedule.Selector) ([]director.QueueLedger, []fanout.Missing, error) {
	ledgers, err := a.d.LedgerByQueue(sel)
	return ledgers, nil, err
}

func (a alone) Verify(ctx context.Context) (booked, recounted director.Ledger, err error) {
	return a.d.Verify(ctx)
}
