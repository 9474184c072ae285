package client

import (
	"cmp"
	"context"
	"errors"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"centrifuge"
)

// Resolver tells where the Directors of a fleet are.
type Resolver interface {
	// Watch calls changed with the URLs of all Directors, at once and whenever they
	// change, until ctx ends, and returns why it cannot go on.
	Watch(ctx context.Context, changed func(urls []string)) error
}

// FleetOptions says how to reach the Directors of a fleet. One of URLs and Resolver
// is required.
type FleetOptions struct {
	// Options are those of the connection to each Director, and for how long what
	// fails is repeated. URL is not used.
	Options
	// URLs are where the Directors listen.
	URLs []string
	// Resolver tells where they listen, if that changes.
	Resolver Resolver
}

// Fleet hands Submits to many Directors, each to one that has little to do. It is
// safe for concurrent use.
//
// It never hands the same Submit to two Directors unless the first has certainly
// not stored it, and so it makes no duplicates: see [Fleet.Submit].
type Fleet struct {
	o      Options
	policy centrifuge.RetryPolicy // of the waits between calls

	stop     context.CancelFunc
	watching sync.WaitGroup

	mu struct {
		sync.Mutex
		members []*member
		known   chan struct{} // closed when the first list of members has come
		homes   map[string]*member
	}
}

// NewFleet makes a Fleet. It connects when it is first used. Close ends it.
func NewFleet(o FleetOptions) (*Fleet, error) {
	if (len(o.URLs) == 0) == (o.Resolver == nil) {
		return nil, errors.New("the Directors of a fleet: give their URLs, or a resolver")
	}
	o.Timeout = cmp.Or(max(o.Timeout, 0), DefaultTimeout)
	o.RetryFor = cmp.Or(o.RetryFor, DefaultRetryFor)
	if o.Transport == nil {
		o.Transport = newTransport(o.RootCAs) // one for all of them
	}
	f := &Fleet{o: o.Options, policy: waits}
	f.mu.known = make(chan struct{})
	f.mu.homes = make(map[string]*member)
	for _, url := range o.URLs {
		if err := checkURL(url); err != nil {
			return nil, err
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	if o.Resolver == nil {
		f.set(o.URLs)
	} else {
		f.watching.Go(func() { f.watch(ctx, o.Resolver) })
	}
	return f, nil
}

// Close ends the watching for Directors and closes the connections that are idle.
func (f *Fleet) Close() {
	f.stop()
	f.watching.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.mu.members {
		m.client.Close()
	}
}

// watch keeps the list of members. What was heard last holds while nothing is heard.
func (f *Fleet) watch(ctx context.Context, r Resolver) {
	random := mathrand.New(mathrand.NewPCG(mathrand.Uint64(), mathrand.Uint64()))
	for failures := uint32(1); ctx.Err() == nil; failures++ {
		err := r.Watch(ctx, func(urls []string) {
			failures = 0
			f.set(urls)
		})
		wait := f.policy.Backoff(failures+1, random)
		if err != nil && ctx.Err() == nil && f.o.OnRetry != nil {
			f.o.OnRetry(err, wait)
		}
		if sleep(ctx, wait) != nil {
			return
		}
	}
}

// set replaces the list of members, and keeps those that stay. URLs that are none
// are passed over.
func (f *Fleet) set(urls []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var members []*member
	for _, url := range urls {
		at := func(m *member) bool { return m.url == url }
		if slices.ContainsFunc(members, at) {
			continue
		}
		if i := slices.IndexFunc(f.mu.members, at); i >= 0 {
			members = append(members, f.mu.members[i])
		} else if m, err := newMember(url, f.o); err == nil {
			members = append(members, m)
		}
	}
	f.mu.members = members
	select {
	case <-f.mu.known:
	default:
		close(f.mu.known)
	}
}

// all are the Directors that are known.
func (f *Fleet) all(ctx context.Context) ([]*member, error) {
	f.mu.Lock()
	known := f.mu.known
	f.mu.Unlock()
	select {
	case <-known:
	case <-ctx.Done():
		return nil, errNoDirector
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.members, nil
}

var errNoDirector = errors.New("no Director is known")

// pick chooses one of two random Directors, the one with less to do, among those
// that are not shunned. If all of them are, it returns the one that is so for the
// shortest time, and how long.
func (f *Fleet) pick(ctx context.Context) (m *member, wait time.Duration, err error) {
	members, err := f.all(ctx)
	if err != nil {
		return nil, 0, err
	}
	if len(members) == 0 {
		return nil, 0, errNoDirector
	}
	now := time.Now()
	var free []*member
	for _, other := range members {
		until := other.shunned()
		if !until.After(now) {
			free = append(free, other)
		} else if m == nil || until.Before(m.shunned()) {
			m = other
		}
	}
	if len(free) == 0 {
		return m, m.shunned().Sub(now), nil
	}
	i := mathrand.IntN(len(free))
	m = free[i]
	if len(free) > 1 {
		if other := free[(i+1+mathrand.IntN(len(free)-1))%len(free)]; other.load(now) < m.load(now) {
			m = other
		}
	}
	return m, 0, nil
}

// maxHomes bounds what is remembered of where transactions were prepared.
const maxHomes = 10_000

// settle remembers where a transaction was prepared, so that nobody else needs to
// be asked.
func (f *Fleet) settle(id string, m *member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for other := range f.mu.homes {
		if len(f.mu.homes) < maxHomes {
			break
		}
		delete(f.mu.homes, other)
	}
	f.mu.homes[id] = m
}

func (f *Fleet) home(id string) *member {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.homes[id]
}

func (f *Fleet) forget(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.mu.homes, id)
}
