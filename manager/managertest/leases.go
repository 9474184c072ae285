package managertest

import (
	"errors"
	"testing"

	"centrifuge/jobdb"
	"centrifuge/lease"
	"centrifuge/manager"
)

// RunLeases runs the suite of leases. Each of its tests calls create for leases
// that nobody has.
func RunLeases(t *testing.T, create func(t *testing.T) manager.Leases) {
	t.Helper()
	t.Run("OneHolder", func(t *testing.T) {
		ctx, leases := t.Context(), create(t)
		one := mustAcquire(t, leases, jobdb.Name(1))
		if _, err := leases.Acquire(ctx, jobdb.Name(1)); !errors.Is(err, lease.ErrHeld) {
			t.Errorf("acquired twice: %v", err)
		}
		two := mustAcquire(t, leases, jobdb.Name(2))
		mustBeHeld(t, leases, jobdb.Name(1), jobdb.Name(2))
		if err := one.Close(ctx); err != nil {
			t.Fatal(err)
		}
		mustBeHeld(t, leases, jobdb.Name(2))
		again := mustAcquire(t, leases, jobdb.Name(1))
		if again.Epoch() <= one.Epoch() || !two.Held() {
			t.Errorf("epoch %d after %d", again.Epoch(), one.Epoch())
		}
	})
	t.Run("Forgotten", func(t *testing.T) {
		ctx, leases := t.Context(), create(t)
		if err := leases.Forget(ctx, jobdb.Name(1)); err != nil {
			t.Errorf("forget what there never was: %v", err)
		}
		if err := mustAcquire(t, leases, jobdb.Name(1)).Close(ctx); err != nil {
			t.Fatal(err)
		}
		if err := leases.Forget(ctx, jobdb.Name(1)); err != nil {
			t.Fatal(err)
		}
		mustBeHeld(t, leases)
	})
}

func mustAcquire(t *testing.T, leases manager.Leases, name string) lease.Lease {
	t.Helper()
	l, err := leases.Acquire(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return l
}

func mustBeHeld(t *testing.T, leases manager.Leases, names ...string) {
	t.Helper()
	held, err := leases.Held(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(held) != len(names) {
		t.Errorf("held are %v, want %v", held, names)
	}
	for _, name := range names {
		if !held[name] {
			t.Errorf("%s is not held", name)
		}
	}
}
