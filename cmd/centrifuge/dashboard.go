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
	"centrifuge/fanout"
	"centrifuge/jobdb"
	"centrifuge/rpc"
	"centrifuge/schedule"
	"centrifuge/visibility/web"
)

// newDashboard makes the pages that show what the backends tell, and what was recorded
// of it if that is not nil.
func newDashboard(all rpc.Backends, links *rpc.CustomerLinks, past *history, log *audit.Log, signOut string, logger *slog.Logger) (*web.Site, error) {
	guarded := rpc.Guard(all, log)
	b := web.Backends{
		Queues:  &shownQueues{guarded.Queues},
		Jobs:    &shownJobs{guarded.Search},
		Archive: &shownArchive{guarded.Archive},
		Ledger:  &shownLedgers{guarded.Ledger},
		Audit:   log,
		Links:   links,
	}
	if all.Fleet != nil {
		b.Fleet = &shownFleet{all.Fleet}
	}
	if past != nil {
		b.History = past.store
	}
	if all.Alerts != nil {
		b.Alerts = &shownAlerts{all.Alerts}
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

func shownMissing(missing []fanout.Missing) []web.Missing {
	shown := make([]web.Missing, len(missing))
	for i, m := range missing {
		shown[i] = web.Missing(m)
	}
	return shown
}

func shownReach(r fanout.Reach) web.Reach {
	return web.Reach{Directors: r.Directors, Missing: shownMissing(r.Missing)}
}

type shownQueues struct{ rpc.QueueBackend }

// mostQueues bounds how many queues a page looks at.
const mostQueues = 200_000

func (s *shownQueues) Survey(ctx context.Context, sel schedule.Selector) (*web.Survey, error) {
	now, err := s.QueueBackend.Survey(ctx, fanout.Question{
		Selector: sel, Queues: mostQueues, Destinations: mostQueues, Ledgers: true, Within: web.Soon,
	})
	if err != nil {
		return nil, shown(err)
	}
	v := &web.Survey{
		Queues: now.Queues, Destinations: now.Destinations, Ledgers: make([]web.QueueLedger, len(now.Ledgers)),
		Policy: now.Said.Policy, Oldest: now.Oldest, Soon: now.Expiring, Missing: shownMissing(now.Missing),
	}
	for i := range now.Ledgers {
		v.Ledgers[i] = web.QueueLedger{Queue: now.Ledgers[i].Queue, Ledger: web.Ledger(now.Ledgers[i].Ledger)}
	}
	for _, h := range now.Holders {
		v.Holders = append(v.Holders, web.Holder(h))
	}
	return v, nil
}

func (s *shownQueues) SetPolicy(ctx context.Context, scope centrifuge.QueueKey, policy centrifuge.QueuePolicy) (web.Reach, error) {
	reach, err := s.QueueBackend.SetPolicy(ctx, scope, policy)
	return shownReach(reach), shown(err)
}

func (s *shownQueues) Retry(ctx context.Context, sel schedule.Selector) (int, web.Reach, error) {
	n, reach, err := s.QueueBackend.Retry(ctx, sel)
	return n, shownReach(reach), shown(err)
}

func (s *shownQueues) Expire(ctx context.Context, sel schedule.Selector) (int, web.Reach, error) {
	n, reach, err := s.QueueBackend.Expire(ctx, sel)
	return n, shownReach(reach), shown(err)
}

type shownJobs struct{ rpc.SearchBackend }

func (s *shownJobs) Search(ctx context.Context, f web.JobFilter, cursor string, limit int, budget time.Duration) (web.FoundJobs, error) {
	page, missing, err := s.SearchBackend.Search(ctx, director.JobFilter(f), cursor, limit, budget)
	found := web.FoundJobs{
		Jobs: make([]web.FoundJob, len(page.Jobs)), Next: page.Next, Cut: page.Cut, Looked: page.Looked, Missing: shownMissing(missing),
	}
	for i := range page.Jobs {
		found.Jobs[i] = web.FoundJob(page.Jobs[i])
	}
	return found, shown(err)
}

func (s *shownJobs) Get(ctx context.Context, id centrifuge.ID) (jobdb.Trace, error) {
	trace, err := s.SearchBackend.Get(ctx, id)
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

type shownLedgers struct{ rpc.LedgerBackend }

func (s *shownLedgers) Ledger(ctx context.Context) (web.Ledger, []web.Missing, error) {
	l, missing, err := s.LedgerBackend.Ledger(ctx)
	return web.Ledger(l), shownMissing(missing), shown(err)
}
