package fanout

import (
	"context"
	"slices"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
	"centrifuge/schedule"
)

// Policy returns what was last said of exactly this scope, of all that is known.
func (f *Fleet) Policy(ctx context.Context, scope centrifuge.QueueKey) (centrifuge.QueuePolicy, Reach, error) {
	if f.o.Others == nil {
		policy, err := f.o.Own.Policy(scope)
		return policy, Reach{Directors: 1}, err
	}
	if _, err := f.o.Own.Policy(scope); invalid(err) {
		return centrifuge.QueuePolicy{}, Reach{}, err
	}
	answers, reach, err := ask(ctx, f, f.members(), func(ctx context.Context, m Member) (Survey, error) {
		return m.Survey(ctx, Question{Selector: schedule.Selector(scope)})
	})
	var latest jobdb.Policy
	for _, a := range answers {
		if a.value.Said.Time.After(latest.Time) {
			latest = a.value.Said
		}
	}
	return latest.Policy, reach, err
}

// SetPolicy replaces the policy of a scope. When it returns, that is durable and in
// force at each Director that it reached; the others learn of it when they can be
// reached. It is the latest that was said of the scope, whatever their clocks say.
func (f *Fleet) SetPolicy(ctx context.Context, scope centrifuge.QueueKey, policy centrifuge.QueuePolicy) (Reach, error) {
	own := f.o.Own.SetPolicy(ctx, scope, policy)
	if f.o.Others == nil || invalid(own) {
		return Reach{Directors: 1}, own
	}
	said := jobdb.Policy{Scope: scope, Policy: policy, Time: f.o.Now().UTC().Truncate(time.Millisecond)}
	if own == nil {
		if latest, err := f.o.Own.Said(scope); err == nil {
			said.Time = latest.Time
		}
	}
	absent := f.absent(ctx)
	answers, reach, err := f.teach(ctx, said)
	add(&reach, answers, <-absent)
	return reach, err
}

// teach has all Directors learn a policy, as the latest of its scope.
func (f *Fleet) teach(ctx context.Context, said jobdb.Policy) ([]answer[[]jobdb.Policy], Reach, error) {
	members := f.members()
	for {
		answers, reach, err := ask(ctx, f, members, func(ctx context.Context, m Member) ([]jobdb.Policy, error) {
			return m.Learn(ctx, said)
		})
		if err != nil {
			return nil, reach, err
		}
		later := false
		for _, a := range answers {
			for _, instead := range a.value {
				if !instead.Time.Before(said.Time) {
					said.Time, later = instead.Time.Add(time.Millisecond), true
				}
			}
		}
		if !later {
			return answers, reach, nil
		}
	}
}

// Retry makes the waiting jobs of queues due now, and returns how many. What arrives
// later at a Director that it reached obeys too, as [director.Director.Retry] has it.
func (f *Fleet) Retry(ctx context.Context, sel schedule.Selector) (int, Reach, error) {
	return f.order(ctx, sel, false)
}

// Expire sends the unfinished jobs of queues to the archive, and returns how many. It
// reaches as far as Retry does.
func (f *Fleet) Expire(ctx context.Context, sel schedule.Selector) (int, Reach, error) {
	return f.order(ctx, sel, true)
}

func (f *Fleet) order(ctx context.Context, sel schedule.Selector, expire bool) (jobs int, reach Reach, err error) {
	absent := f.absent(ctx)
	answers, reach, err := ask(ctx, f, f.members(), func(ctx context.Context, m Member) (int, error) { return m.Order(ctx, sel, expire) })
	for _, a := range answers {
		jobs += a.value
	}
	add(&reach, answers, <-absent)
	return jobs, reach, err
}

// absent finds out, while an order is given, which Directors have a JobDB and are not
// known to live: they may have frozen, and come back. The channel gives one list.
func (f *Fleet) absent(ctx context.Context) <-chan []Missing {
	found := make(chan []Missing, 1)
	if f.o.Adrift == nil {
		found <- nil
		return found
	}
	go func() {
		s, err := f.Survey(ctx, Question{})
		if err != nil {
			s.Missing = nil // whom the order was given to says why
		}
		found <- s.Missing
	}()
	return found
}

// add adds to whom an order did not reach the Directors that are absent. One that took
// the order is not among them, whatever became of its JobDB.
func add[T any](reach *Reach, took []answer[T], absent []Missing) {
	for _, m := range absent {
		if m.Director != "" && !slices.ContainsFunc(took, func(a answer[T]) bool { return a.from == m.Director }) {
			reach.Missing = append(reach.Missing, unnamed(m, reach.Missing)...)
		}
	}
}
