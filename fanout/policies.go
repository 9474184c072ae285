package fanout

import (
	"context"
	"slices"
	"sync"
	"time"

	"centrifuge/jobdb"
)

// KeepPolicies learns the policies of the other Directors until ctx ends: at once,
// whenever Look is called, and every now and then. So a policy reaches a Director that
// could not be told of it, and one that is new, from any that knows it.
func (f *Fleet) KeepPolicies(ctx context.Context) {
	tick := time.NewTicker(f.o.Every)
	defer tick.Stop()
	said := ""
	for {
		problem := f.learn(ctx)
		if ctx.Err() != nil {
			return
		}
		if problem != "" && problem != said {
			f.o.Logger.WarnContext(ctx, "policies cannot be compared with those of all Directors; trying on", "problem", problem)
		}
		said = problem
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-f.look:
		}
	}
}

// Look has KeepPolicies compare the policies now.
func (f *Fleet) Look() {
	select {
	case f.look <- struct{}{}:
	default:
	}
}

// Learned is closed when the Director of this process has learned, for the first time,
// the policies of all others that answer. It waits until it is known who they are.
func (f *Fleet) Learned() <-chan struct{} { return f.learned }

// learn learns once, and says what stood in the way.
func (f *Fleet) learn(ctx context.Context) (problem string) {
	own, err := f.o.Own.Policies()
	if err != nil {
		return "" // it has no JobDB; Look is called when it has one
	}
	known := digest(own)
	ctx, cancel := context.WithTimeout(ctx, f.o.Patience)
	defer cancel()
	var mu sync.Mutex
	var asking sync.WaitGroup
	others := f.o.Others()
	for _, m := range others {
		asking.Go(func() {
			policies, err := m.policies(ctx, known)
			if err == nil && len(policies) > 0 {
				_, err = f.o.Own.Learn(ctx, policies...)
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				problem = m.Name + ": " + f.why(err)
			}
		})
	}
	asking.Wait()
	if !slices.ContainsFunc(others, func(m Member) bool { return m.Err != nil }) {
		f.once.Do(func() { close(f.learned) })
	}
	return problem
}

func (m *Member) policies(ctx context.Context, known []byte) ([]jobdb.Policy, error) {
	if m.Err != nil {
		return nil, m.Err
	}
	return m.Policies(ctx, known)
}
