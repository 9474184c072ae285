package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/access/audit"
	"centrifuge/archive"
	"centrifuge/director"
	"centrifuge/fanout"
	"centrifuge/schedule"
)

// Guard gives the actions of backends two keepers, for the RPC and for every page
// alike: each action is done only if the context's principal may act on what it
// selects, and is written to the audit log before it is begun and again with its
// outcome. An action that is refused for want of rights is written too. What only
// reads is passed on as it is; whoever shows it has to keep to the principal's
// sources. The log may be nil: then nothing is written.
func Guard(b Backends, log *audit.Log) Backends {
	if b.Queues != nil {
		b.Queues = &guardedQueues{b.Queues, log}
	}
	if b.Archive != nil {
		b.Archive = &guardedArchive{b.Archive, log}
	}
	if b.Fleet != nil {
		b.Fleet = &guardedFleet{b.Fleet, log}
	}
	return b
}

// act does an action on behalf of the context's principal, who needs the right for
// the entry's source.
func act(ctx context.Context, log *audit.Log, right access.Right, e audit.Entry, do func() (jobs int64, err error)) error {
	p := access.From(ctx)
	if !p.May(right, e.Source) {
		denied := p.Denied(right, e.Source)
		do = func() (int64, error) { return 0, denied }
	}
	if log == nil {
		_, err := do()
		return err
	}
	e.Who, e.Role, e.Address = p.Name, p.Role.String(), p.Address
	action, err := log.Begin(e)
	if err != nil {
		return err
	}
	jobs, err := do()
	if unwritten := action.End(jobs, err); unwritten != nil {
		return unwritten
	}
	return err
}

type guardedQueues struct {
	QueueBackend
	log *audit.Log
}

func (g *guardedQueues) SetPolicy(
	ctx context.Context, scope centrifuge.QueueKey, policy centrifuge.QueuePolicy,
) (reach fanout.Reach, err error) {
	entry := audit.Entry{
		Action: "queue.policy", Source: scope.Source, Destination: scope.Destination,
		Detail: protojson.MarshalOptions{}.Format(newQueuePolicy(&policy)),
	}
	err = g.act(ctx, entry, &reach, func() (_ int64, err error) {
		reach, err = g.QueueBackend.SetPolicy(ctx, scope, policy)
		return 0, err
	})
	return reach, err
}

func (g *guardedQueues) Retry(ctx context.Context, sel schedule.Selector) (jobs int, reach fanout.Reach, err error) {
	entry := audit.Entry{Action: "queue.retry", Source: sel.Source, Destination: sel.Destination}
	err = g.act(ctx, entry, &reach, func() (_ int64, err error) {
		jobs, reach, err = g.QueueBackend.Retry(ctx, sel)
		return int64(jobs), err
	})
	return jobs, reach, err
}

func (g *guardedQueues) Expire(ctx context.Context, sel schedule.Selector) (jobs int, reach fanout.Reach, err error) {
	entry := audit.Entry{Action: "queue.expire", Source: sel.Source, Destination: sel.Destination}
	err = g.act(ctx, entry, &reach, func() (_ int64, err error) {
		jobs, reach, err = g.QueueBackend.Expire(ctx, sel)
		return int64(jobs), err
	})
	return jobs, reach, err
}

// act writes as the outcome of an order that did not reach all Directors whom it did
// not reach.
func (g *guardedQueues) act(ctx context.Context, e audit.Entry, reach *fanout.Reach, do func() (int64, error)) error {
	err := act(ctx, g.log, access.Operate, e, func() (int64, error) {
		jobs, err := do()
		if err == nil && len(reach.Missing) > 0 {
			err = &partlyDone{*reach}
		}
		return jobs, err
	})
	if _, partly := errors.AsType[*partlyDone](err); partly {
		return nil // the caller is told in the answer
	}
	return err
}

// partlyDone is the outcome of an order that did not reach all Directors.
type partlyDone struct{ fanout.Reach }

func (p *partlyDone) Error() string {
	names := make([]string, len(p.Missing))
	for i, m := range p.Missing {
		names[i] = m.Director
	}
	return fmt.Sprintf("done at %d Directors; not reached: %s", p.Directors, strings.Join(names, ", "))
}

type guardedArchive struct {
	ArchiveBackend
	log *audit.Log
}

func (g *guardedArchive) Replay(
	ctx context.Context, f archive.Filter, cursor string, limit int, rate float64,
) (page director.ReplayPage, err error) {
	entry := audit.Entry{Action: "archive.replay", Source: f.Source, Destination: f.Destination, Detail: filterText(&f)}
	err = act(ctx, g.log, access.Operate, entry, func() (int64, error) {
		page, err = g.ArchiveBackend.Replay(ctx, f, cursor, limit, rate)
		return int64(page.Replayed), err
	})
	return page, err
}

// filterText is what of a filter an entry's other fields do not say.
func filterText(f *archive.Filter) string {
	var parts []string
	add := func(name string, value any, given bool) {
		if given {
			parts = append(parts, fmt.Sprintf("%s=%v", name, value))
		}
	}
	add("endpoint", f.Endpoint, f.Endpoint != "")
	add("since", f.From.Format(time.RFC3339), !f.From.IsZero())
	add("until", f.To.Format(time.RFC3339), !f.To.IsZero())
	add("status", f.StatusCode, f.StatusCode != 0)
	add("error", f.ErrorCode, f.ErrorCode != "")
	add("job", f.JobID, !f.JobID.IsZero())
	return strings.Join(parts, " ")
}
