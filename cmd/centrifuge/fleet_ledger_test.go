package main

import (
	"errors"
	"testing"

	"centrifuge/director"
	"centrifuge/schedule"
)

// That jobs cannot be counted passes by itself, and is no matter of transactions.
func TestUncountableIsUnavailable(t *testing.T) {
	_, _, err := (&fleetLedger{}).LedgerByQueue(t.Context(), schedule.Selector{})
	if !errors.Is(err, director.ErrUnavailable) || err.Error() != "this is a Manager; ask a Director" {
		t.Errorf("a Manager asked by queue: %v", err)
	}
}
