package rpc

import (
	"context"
	"errors"
	"sync"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/director"
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

func (f *fake) Queues(sel schedule.Selector, after centrifuge.QueueKey, limit int) ([]schedule.QueueInfo, bool, error) {
	if f.queues == nil {
		return nil, false, nil
	}
	return f.queues(sel, after, limit)
}

func (f *fake) Destinations(after string, limit int) ([]schedule.DestinationInfo, bool, error) {
	f.ask(after, limit)
	return []schedule.DestinationInfo{{Destination: "d", Queues: 2, Gate: schedule.Gate{Breaker: schedule.Open}}}, true, nil
}

func (f *fake) Policy(scope centrifuge.QueueKey) (centrifuge.QueuePolicy, error) {
	f.ask(scope)
	return centrifuge.QueuePolicy{Rate: 7}, nil
}

func (f *fake) SetPolicy(_ context.Context, scope centrifuge.QueueKey, p centrifuge.QueuePolicy) error {
	f.ask(scope, p)
	return nil
}

func (f *fake) Retry(_ context.Context, sel schedule.Selector) (int, error) {
	f.ask(sel)
	return 3, nil
}

func (f *fake) Expire(_ context.Context, sel schedule.Selector) (int, error) {
	f.ask(sel)
	return 4, nil
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

func (f *fake) Ledger() (director.Ledger, error) { return f.ledgers[0], nil }

func (f *fake) LedgerByQueue(sel schedule.Selector) ([]director.QueueLedger, error) {
	f.ask(sel)
	return f.byQueue, nil
}

func (f *fake) Verify(context.Context) (booked, recounted director.Ledger, err error) {
	return f.ledgers[0], f.ledgers[1], nil
}
