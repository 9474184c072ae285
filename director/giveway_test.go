package director

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A transfer waits for a moment without Submits, but not for ever, and one after
// the other does.
func TestTransfersGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newIntakes()
		wait := func() time.Duration {
			began := time.Now()
			if err := s.giveWay(t.Context()); err != nil {
				t.Error(err)
			}
			return time.Since(began)
		}
		if took := wait(); took != 0 {
			t.Errorf("with nobody to give way to it waits %s", took)
		}
		s.submits.Add(1)
		if took := wait(); took != transferPatience {
			t.Errorf("while Submits are under way it waits %s", took)
		}
		waits := make(chan time.Duration, 2)
		for range 2 {
			go func() { waits <- wait() }()
		}
		if first, second := <-waits, <-waits; first != transferPatience || second != 2*transferPatience {
			t.Errorf("two wait %s and %s", first, second)
		}
		time.AfterFunc(10*time.Millisecond, func() { s.submits.Add(-1) })
		if took := wait(); took < 10*time.Millisecond || took > 10*time.Millisecond+transferLook {
			t.Errorf("when the last Submit ends after 10 ms it waits %s", took)
		}

		s.submits.Add(1)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		if err := s.giveWay(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("when its caller has gone: %v", err)
		}
	})
}
