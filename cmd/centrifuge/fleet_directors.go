package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"connectrpc.com/connect"

	"centrifuge/archive"
	"centrifuge/director"
	"centrifuge/fanout"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/lease/consul"
	"centrifuge/manager"
	"centrifuge/rpc"
)

// roster is the list of the other Directors of a fleet, as Consul had it last.
type roster struct {
	own   string // our name
	peers *peers

	mu struct {
		sync.Mutex
		others []consul.Service // by name
		known  bool             // whether Consul has told
	}
}

// watch keeps the list until ctx ends, and tells how many Directors there are, this one
// among them.
func (r *roster) watch(ctx context.Context, changed func(directors int)) error {
	return r.peers.consul.Watch(ctx, r.peers.service, func(living []consul.Service) {
		others := slices.DeleteFunc(slices.Clone(living), func(s consul.Service) bool { return s.Meta[nameKey] == r.own })
		slices.SortFunc(others, func(a, b consul.Service) int { return cmp.Compare(a.Meta[nameKey], b.Meta[nameKey]) })
		r.mu.Lock()
		r.mu.others, r.mu.known = others, true
		r.mu.Unlock()
		changed(1 + len(others))
	})
}

// errUnlisted is why nobody of the others can be asked.
var errUnlisted = errors.New("it is not known yet which Directors there are")

func (r *roster) living() (others []consul.Service, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.others, r.mu.known
}

// members are the others, to be asked. One that cannot be is among them, and says why.
func (r *roster) members() []fanout.Member {
	living, known := r.living()
	if !known {
		return []fanout.Member{{Name: "?", Err: errUnlisted}}
	}
	members := make([]fanout.Member, len(living))
	for i, s := range living {
		peer, err := r.peers.peer(s.Meta[urlKey])
		members[i] = fanout.Member{Name: s.Meta[nameKey], Director: peer, Err: err}
	}
	return members
}

// adrift lists the JobDBs that have, or may have, unfinished jobs. Whichever no Director
// has, nobody sends their jobs at the moment.
func (f *fleet) adrift(ctx context.Context) ([]fanout.Missing, error) {
	records, _, err := f.catalog.List(ctx, 0)
	if err != nil {
		return nil, err
	}
	var adrift []fanout.Missing
	for i := range records {
		r := &records[i]
		switch m := (fanout.Missing{JobDB: r.Name}); r.State {
		case manager.StateLive:
			m.Director, m.Why = r.Owner, "no Director that answers has it; its jobs go to another when its lease has ended"
			adrift = append(adrift, m)
		case manager.StateReleased, manager.StateDraining:
			if r.Known && r.Ledger.Pending() == 0 {
				continue
			}
			m.Why = "its unfinished jobs are on their way to another Director"
			adrift = append(adrift, m)
		case manager.StateNew, manager.StateSpare, manager.StateDrained, manager.StateDropped:
		}
	}
	return adrift, nil
}

// joinOthers makes a Director one of many: what it shows and does is of all of them.
func (s *shared) joinOthers(o *roleOptions) error {
	p, err := newPeers(s.consul, o)
	if err != nil {
		return err
	}
	others := &roster{own: s.owner.Name, peers: p}
	s.others = others.members
	s.watching = &watching{shared: s, roster: others, record: o.history != ""}
	s.join = func(ctx context.Context, o *serveOptions, d *director.Director, store archive.Bucket, _ string, b *rpc.Backends) error {
		m, err := s.newManager(o, p, store) // which is only asked
		if err != nil {
			return err
		}
		b.Fleet, b.Ledger = m, &fleetLedger{m: m, counted: s.countedByManager(p), d: d, all: s.all}
		s.besides = append(s.besides, s.all.KeepPolicies, func(ctx context.Context) {
			err := others.watch(ctx, func(directors int) {
				d.Share(directors)
				s.all.Look()
			})
			if ctx.Err() == nil {
				s.logger.ErrorContext(ctx, "the other Directors are not known any more", "error", err)
			}
		})
		return nil
	}
	return nil
}

// countedByManager asks for the books who manages the fleet.
func (s *shared) countedByManager(p *peers) func(context.Context) (manager.Books, error) {
	return func(ctx context.Context) (books manager.Books, err error) {
		ctx, cancel := context.WithTimeout(ctx, statusPatience)
		defer cancel()
		address, err := s.holder(ctx, managerLease)
		if err != nil {
			return books, err
		}
		c, err := p.client(address)
		if err != nil {
			return books, err
		}
		resp, err := c.Fleet.Ledger(ctx, connect.NewRequest(&pb.FleetServiceLedgerRequest{}))
		if err != nil {
			return books, fmt.Errorf("ask the Manager for the ledger: %w", err)
		}
		return rpc.ReadBooks(resp.Msg), nil
	}
}
