package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"centrifuge"
	"centrifuge/access/audit"
	"centrifuge/archive"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/rpc"
	"centrifuge/schedule"
	"centrifuge/visibility/alert"
	"centrifuge/visibility/web"
)

// newDashboard makes the pages that show a Director, and what was recorded of it if
// that is not nil.
func newDashboard(d *director.Director, all rpc.Backends, links rpc.Links, past *history, watch *alert.Watch, log *audit.Log, signOut string, logger *slog.Logger) (*web.Site, error) {
	guarded := rpc.Guard(rpc.Backends{Jobs: d, Queues: d, Archive: d, Ledger: d}, log)
	b := web.Backends{
		Queues:  &shownQueues{guarded.Queues},
		Jobs:    &shownJobs{guarded.Jobs, d},
		Archive: &shownArchive{guarded.Archive},
		Ledger:  &shownLedgers{all.Ledger, d},
		Audit:   log,
		Links:   rpc.CustomerLinks{Links: links, Log: log},
	}
	if all.Fleet != nil {
		b.Fleet = &shownFleet{all.Fleet}
	}
	if past != nil {
		b.History = past.store
	}
	if watch != nil {
		b.Alerts = &shownAlerts{watch}
	}
	return web.New(web.Options{Backends: b, Version: versionName(), SignOut: signOut, Logger: logger})
}

// shown turns the Director's errors into those that pages tell apart.
func shown(err error) error {
	var invalid *director.InvalidError
	switch {
	case errors.Is(err, director.ErrNotFound):
		return fmt.Errorf("%w: no such job", web.ErrNotFound)
	case errors.Is(err, director.ErrUnavailable):
		return fmt.Errorf("%w: %w", web.ErrUnavailable, err)
	case errors.As(err, &invalid):
		return fmt.Errorf("%w: %w", web.ErrInvalid, err)
	default:
		return err
	}
}

type shownQueues struct{ rpc.QueueBackend }

func (s *shownQueues) Queues(sel schedule.Selector, after centrifuge.QueueKey, limit int) ([]schedule.QueueInfo, bool, error) {
	infos, more, err := s.QueueBackend.Queues(sel, after, limit)
	return infos, more, shown(err)
}

func (s *shownQueues) Destinations(after string, limit int) ([]schedule.DestinationInfo, bool, error) {
	infos, more, err := s.QueueBackend.Destinations(after, limit)
	return infos, more, shown(err)
}

func (s *shownQueues) Policy(scope centrifuge.QueueKey) (centrifuge.QueuePolicy, error) {
	policy, err := s.QueueBackend.Policy(scope)
	return policy, shown(err)
}

func (s *shownQueues) SetPolicy(ctx context.Context, scope centrifuge.QueueKey, policy centrifuge.QueuePolicy) error {
	return shown(s.QueueBackend.SetPolicy(ctx, scope, policy))
}

func (s *shownQueues) Retry(ctx context.Context, sel schedule.Selector) (int, error) {
	n, err := s.QueueBackend.Retry(ctx, sel)
	return n, shown(err)
}

func (s *shownQueues) Expire(ctx context.Context, sel schedule.Selector) (int, error) {
	n, err := s.QueueBackend.Expire(ctx, sel)
	return n, shown(err)
}

type shownJobs struct {
	rpc.JobBackend
	d *director.Director
}

func (s *shownJobs) Search(ctx context.Context, f web.JobFilter, cursor string, limit int, budget time.Duration) (web.FoundJobs, error) {
	page, err := s.d.Search(ctx, director.JobFilter(f), cursor, limit, budget)
	found := web.FoundJobs{Jobs: make([]web.FoundJob, len(page.Jobs)), Next: page.Next, Cut: page.Cut, Looked: page.Looked}
	for i := range page.Jobs {
		found.Jobs[i] = web.FoundJob(page.Jobs[i])
	}
	return found, shown(err)
}

func (s *shownJobs) Get(ctx context.Context, id centrifuge.ID) (jobdb.Trace, error) {
	trace, err := s.JobBackend.Get(ctx, id)
	return trace, shown(err)
}

type shownArchive struct{ rpc.ArchiveBackend }

func (s *shownArchive) ListArchive(ctx context.Context, f archive.Filter, cursor string, limit int) (archive.Page, error) {
	page, err := s.ArchiveBackend.ListArchive(ctx, f, cursor, limit)
	return page, shown(err)
}

func (s *shownArchive) Replay(ctx context.Context, f archive.Filter, cursor string, limit int, rate float64) (web.Replayed, error) {
	page, err := s.ArchiveBackend.Replay(ctx, f, cursor, limit, rate)
	return web.Replayed{
		Jobs: page.Replayed, Skipped: page.Skipped, LeftOut: page.LeftOut, Damaged: page.Damaged, Next: page.Next,
	}, shown(err)
}

// shownLedgers count the jobs of all JobDBs; what is known of queues, and of the
// oldest job, is of the Director's own.
type shownLedgers struct {
	all rpc.LedgerBackend
	d   *director.Director
}

func (s *shownLedgers) Ledger() (web.Ledger, error) {
	l, err := s.all.Ledger()
	if errors.Is(err, director.ErrUnavailable) { // a JobDB that cannot be counted hides no page
		l, err = s.d.Ledger()
	}
	return web.Ledger(l), shown(err)
}

func (s *shownLedgers) ByQueue(sel schedule.Selector) ([]web.QueueLedger, error) {
	ledgers, err := s.d.LedgerByQueue(sel)
	out := make([]web.QueueLedger, len(ledgers))
	for i := range ledgers {
		out[i] = web.QueueLedger{Queue: ledgers[i].Queue, Ledger: web.Ledger(ledgers[i].Ledger)}
	}
	return out, shown(err)
}

func (s *shownLedgers) Oldest() (time.Time, error) {
	oldest, err := s.d.Oldest()
	return oldest, shown(err)
}

func (s *shownLedgers) Expiring(within time.Duration) (int64, error) {
	n, err := s.d.Expiring(within)
	return n, shown(err)
}
