package director

import (
	"context"
	"time"
)

// A transfer gives way to Submits: it is only stored while none is under way, or
// when it has waited this long, so that a drain beside a full load costs little and
// still comes to its end: some 1,250 jobs a second, from all drains together.
const (
	transferPatience = 400 * time.Millisecond
	transferLook     = time.Millisecond
)

// giveWay returns when it is the turn of a transfer. They take turns.
func (s *intakes) giveWay(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.submits.Load() == 0 {
		return nil
	}
	patience := time.NewTimer(transferPatience)
	defer patience.Stop()
	look := time.NewTicker(transferLook)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if s.submits.Load() == 0 {
				return nil
			}
		case <-patience.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
