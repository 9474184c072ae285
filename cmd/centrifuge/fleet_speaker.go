package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"centrifuge/lease"
	"centrifuge/lease/consul"
)

// speakAgain is how often one that does not speak for the fleet tries to.
const speakAgain = 10 * time.Second

// speaker has one Director of a fleet that shares its history tell of alerts about
// all of it: the one that has a lease for that. One that does not know of another,
// since Consul is away, speaks too, so that somebody does.
type speaker struct {
	consul *consul.Client
	again  time.Duration
	other  atomic.Bool // another has the lease
}

func (s *speaker) speaks() bool { return !s.other.Load() }

// run competes for the lease until ctx ends.
func (s *speaker) run(ctx context.Context) {
	for ctx.Err() == nil {
		held, err := s.consul.TryAcquire(ctx, "alerts")
		s.other.Store(errors.Is(err, lease.ErrHeld))
		if err == nil {
			select {
			case <-held.Done():
			case <-ctx.Done():
			}
			_ = held.Close(context.WithoutCancel(ctx)) // or it ends by itself
			continue
		}
		select {
		case <-time.After(s.again):
		case <-ctx.Done():
		}
	}
}
