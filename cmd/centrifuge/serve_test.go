package main

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"centrifuge/lease"
	"centrifuge/lease/local"
)

// Whoever kills a process need not wait for its end before starting the next.
func TestLeaseOfADyingHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		dying, err := local.Acquire(dir)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(leasePatience/2, func() {
			if err := dying.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
		owned, err := acquireFolder(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if _, err := acquireFolder(t.Context(), dir); !errors.Is(err, lease.ErrHeld) {
			t.Errorf("beside a living holder: %v", err)
		}
		if waited := time.Since(begun); waited > 2*leasePatience {
			t.Errorf("waited %s for a living holder", waited)
		}
		if err := owned.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
