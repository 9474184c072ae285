// Package fanout answers for all Directors of a fleet at once. It asks each of them
// how its own queues stand and adds up what they say, gives each the orders that are
// for all, and sees to it that each knows the policies of all.
//
// Whoever does not answer in time is named with every answer, which is then without
// it: a sum is never less than it seems. Directors are asked side by side, and answer
// for themselves alone, so no question goes round.
//
// It knows of no transport and of no rights: who may ask is checked before.
package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/schedule"
)

// Director is what one Director says and does for itself. [Own] is that of this
// process. Implementations are safe for concurrent use.
type Director interface {
	// Survey tells how its queues stand.
	Survey(context.Context, Question) (Survey, error)

	// Policies returns what was last said of each scope, and nothing if that has the
	// digest that is known.
	Policies(ctx context.Context, known []byte) ([]jobdb.Policy, error)

	// Learn is as [director.Director.Learn].
	Learn(ctx context.Context, policies ...jobdb.Policy) (instead []jobdb.Policy, err error)

	// Order makes the waiting jobs of queues due, or archives the unfinished ones, and
	// returns how many obey.
	Order(ctx context.Context, sel schedule.Selector, expire bool) (int, error)

	// SearchOwn is as [director.Director.SearchOwn].
	SearchOwn(ctx context.Context, f director.JobFilter, cursor string, limit int, budget time.Duration) (director.SearchPage, error)
}

// Member is a Director of the fleet.
type Member struct {
	Name string
	Director
	Err error // why it cannot be asked
}

// Missing is what an answer is without, or whom an order did not reach.
type Missing struct {
	Director string // its name; empty if only the JobDB is known
	JobDB    string // whose jobs are missing; empty if that is all that the Director has
	Why      string
}

// Reach is how far an answer or an order goes.
type Reach struct {
	Directors int // that answered, one at least
	Missing   []Missing
}

// Options are what a Fleet is made of. Own is required.
type Options struct {
	Name string // of the Director of this process
	Own  *director.Director

	// Others are the other Directors that are known to live. Nil says that there are
	// none and never will be: then nothing here costs more than asking the one.
	Others func() []Member

	// Adrift, if given, lists the JobDBs that have unfinished jobs. Those that no
	// Director holds which is asked after that are missing in its answer.
	Adrift func(context.Context) ([]Missing, error)

	// Patience is how long a Director may take to answer. Default 3 s.
	Patience time.Duration

	// Every is how often policies are compared with those of the others. Default 5 s.
	Every time.Duration

	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: none
}

// Fleet is all Directors of a fleet. It is safe for concurrent use.
type Fleet struct {
	o       Options
	own     Own
	look    chan struct{} // capacity 1: compare the policies now
	learned chan struct{} // closed when the policies of the others were learned once
	once    sync.Once
}

// New makes a Fleet.
func New(o Options) *Fleet {
	if o.Patience <= 0 {
		o.Patience = 3 * time.Second
	}
	if o.Every <= 0 {
		o.Every = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Fleet{o: o, own: Own{o.Own}, look: make(chan struct{}, 1), learned: make(chan struct{})}
}

// members are all Directors, that of this process first.
func (f *Fleet) members() []Member {
	members := []Member{{Name: f.o.Name, Director: f.own}}
	if f.o.Others == nil {
		return members
	}
	return append(members, f.o.Others()...)
}

// answer is what a Director said.
type answer[T any] struct {
	from  string
	value T
}

// ask asks all Directors at once. It fails only if none answers, with what the
// Director of this process has said.
func ask[T any](ctx context.Context, f *Fleet, members []Member, question func(context.Context, Member) (T, error)) ([]answer[T], Reach, error) {
	if len(members) == 1 {
		value, err := question(ctx, members[0])
		return []answer[T]{{members[0].Name, value}}, Reach{Directors: 1}, err
	}
	ctx, cancel := context.WithTimeout(ctx, f.o.Patience)
	defer cancel()
	values, errs := make([]T, len(members)), make([]error, len(members))
	var asked sync.WaitGroup
	for i := range members {
		if errs[i] = members[i].Err; errs[i] == nil {
			asked.Go(func() { values[i], errs[i] = question(ctx, members[i]) })
		}
	}
	asked.Wait()
	var answers []answer[T]
	var reach Reach
	for i := range members {
		if errs[i] != nil {
			reach.Missing = append(reach.Missing, Missing{Director: members[i].Name, Why: f.why(errs[i])})
			continue
		}
		answers = append(answers, answer[T]{members[i].Name, values[i]})
	}
	if reach.Directors = len(answers); reach.Directors == 0 {
		return nil, reach, errs[0]
	}
	return answers, reach, nil
}

// why tells in few words why somebody did not answer.
func (f *Fleet) why(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %s", f.o.Patience)
	}
	return err.Error()
}

// invalid reports whether what was asked is not valid, whomever it is asked of.
func invalid(err error) bool {
	_, ok := errors.AsType[*director.InvalidError](err)
	return ok
}
