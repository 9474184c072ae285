package director

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"

	"centrifuge"
	"centrifuge/jobdb"
)

// Policies returns what was last said of each scope, and when, in the order of
// destination and source. What was taken back is among it, as the zero policy: it must
// outlive what was said before, wherever that still lies.
func (d *Director) Policies() ([]jobdb.Policy, error) {
	t, err := d.current()
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	policies := make([]jobdb.Policy, 0, len(t.mu.said))
	for scope := range t.mu.said {
		policies = append(policies, t.saidLocked(scope))
	}
	slices.SortFunc(policies, func(a, b jobdb.Policy) int {
		return cmp.Or(cmp.Compare(a.Scope.Destination, b.Scope.Destination), cmp.Compare(a.Scope.Source, b.Scope.Source))
	})
	return policies, nil
}

// Said returns what was last said of exactly this scope, and when; at the zero time if
// nothing ever was.
func (d *Director) Said(scope centrifuge.QueueKey) (jobdb.Policy, error) {
	t, err := d.current()
	if err != nil {
		return jobdb.Policy{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.saidLocked(scope), nil
}

// Learn makes durable, and puts in force, those of the policies that are later than
// what was said of their scopes before. It returns what holds instead of the others,
// where that differs. Of two policies of one moment, every Director takes the same.
func (d *Director) Learn(ctx context.Context, policies ...jobdb.Policy) (instead []jobdb.Policy, err error) {
	for i := range policies {
		if err := checkPolicy(policies[i].Scope, &policies[i].Policy); err != nil {
			return nil, err
		}
	}
	// No other may be set between the comparison of their times and the commit.
	if err := d.policies.Acquire(ctx, allPolicies); err != nil {
		return nil, fmt.Errorf("wait for policies that are being set: %w", err)
	}
	defer d.policies.Release(allPolicies)
	t, leave, err := d.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	newer, instead := t.compare(policies)
	if len(newer) == 0 {
		return instead, nil
	}
	return instead, t.log.words(ctx, newer, nil)
}

// Share says that so many Directors, this one among them, serve the same queues. Of the
// rates, bursts and concurrencies that policies say, this one keeps to its part, as
// [schedule.Scheduler.Share] has it.
func (d *Director) Share(directors int) {
	d.parts.Store(int64(directors))
	for _, w := range d.owners() {
		if t := w.tenure.Load(); t != nil {
			t.share(&d.parts)
		}
	}
}

func (t *tenure) share(parts *atomic.Int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.o.Now()
	t.mu.sched.Share(now, int(parts.Load())) // the latest, whoever comes last
	t.wakeLocked()
	t.mindClockLocked(now)
}

func (t *tenure) saidLocked(scope centrifuge.QueueKey) jobdb.Policy {
	return jobdb.Policy{Scope: scope, Policy: t.mu.sched.Said(scope), Time: t.mu.said[scope]}
}

// compare tells which policies are later than the JobDB's of the same scope, and what
// the JobDB has that is not the same as the others.
func (t *tenure) compare(policies []jobdb.Policy) (newer, instead []jobdb.Policy) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range policies {
		held := t.saidLocked(p.Scope)
		switch order := comparePolicies(&p, &held); {
		case order > 0:
			newer = append(newer, p)
		case order < 0:
			instead = append(instead, held)
		}
	}
	return newer, instead
}

// comparePolicies orders what was said of a scope: the later is the greater, and of
// one moment the one that is so in writing, for whoever compares them.
func comparePolicies(a, b *jobdb.Policy) int {
	if order := a.Time.Compare(b.Time); order != 0 {
		return order
	}
	return cmp.Compare(written(&a.Policy), written(&b.Policy))
}

func written(p *centrifuge.QueuePolicy) string {
	text, _ := json.Marshal(p) // checkPolicy has refused the numbers that JSON does not have
	return string(text)
}
