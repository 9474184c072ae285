package web

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// What many viewers look at is put together once for all of them, and kept for
// freshFor: a hundred open pages cost no more than one.
const freshFor = time.Second

// gatherTime bounds how long something is put together; whoever asked for it first
// may have gone meanwhile, and others wait for it.
const gatherTime = 30 * time.Second

// shared keeps what was put together, for a moment. It is safe for concurrent use.
type shared struct {
	now    func() time.Time
	flight singleflight.Group
	mu     struct {
		sync.Mutex
		kept map[string]kept
		age  int // how often everything was forgotten
	}
}

type kept struct {
	value any
	until time.Time
}

func newShared(now func() time.Time) *shared {
	s := &shared{now: now}
	s.mu.kept = map[string]kept{}
	return s
}

// gathered returns what gather makes, or made for somebody else within freshFor. The
// key has to tell apart whatever the result depends on, the viewer's rights above
// all; nobody may change the result. Errors are not kept.
func gathered[T any](ctx context.Context, s *shared, key string, gather func(context.Context) (T, error)) (T, error) {
	value, age, ok := s.find(key)
	if ok {
		return value.(T), nil //nolint:forcetypeassert // each key is of one caller, which keeps one type
	}
	// What began before an action is not given to those who ask after it.
	value, err, _ := s.flight.Do(fmt.Sprint(age, " ", key), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), gatherTime)
		defer cancel()
		value, err := gather(ctx)
		if err == nil {
			s.keep(key, age, value)
		}
		return value, err
	})
	if err != nil {
		var none T
		return none, err
	}
	return value.(T), nil //nolint:forcetypeassert // as above
}

func (s *shared) find(key string) (value any, age int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.mu.kept[key]
	return k.value, s.mu.age, ok && s.now().Before(k.until)
}

func (s *shared) keep(key string, age int, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for other, k := range s.mu.kept {
		if !now.Before(k.until) {
			delete(s.mu.kept, other)
		}
	}
	if age == s.mu.age {
		s.mu.kept[key] = kept{value, now.Add(freshFor)}
	}
}

// forget lets nobody see what was put together before an action.
func (s *shared) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.mu.kept)
	s.mu.age++
}
