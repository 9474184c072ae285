package manager

import (
	"fmt"
	"slices"
)

// State is where a JobDB stands in its life.
type State string

// The states of a JobDB.
const (
	// StateNew: it has a name and a server, and is being made there.
	StateNew State = "new"
	// StateSpare: made and empty; nobody has owned it.
	StateSpare State = "spare"
	// StateLive: owned by a Director, or by one that died.
	StateLive State = "live"
	// StateReleased: let go of, with jobs in it that may be unfinished.
	StateReleased State = "released"
	// StateDraining: its unfinished jobs go to another JobDB, its target.
	StateDraining State = "draining"
	// StateDrained: empty of unfinished jobs, and kept for a while, so that it can be
	// told what became of the others. Its ledger is final.
	StateDrained State = "drained"
	// StateDropped: empty of unfinished jobs, and gone or about to go. Its ledger stays.
	StateDropped State = "dropped"
)

// next tells which states may follow one. A JobDB that a Director let go of may be
// taken up again by a Director that has no other: `serve`, when it starts. One
// that is found without a record may hold jobs, so it begins as released.
//
// Live and draining may follow themselves: with another owner, with another target.
func (s State) next() []State {
	switch s {
	case "":
		return []State{StateNew, StateReleased}
	case StateNew:
		return []State{StateSpare}
	case StateSpare:
		return []State{StateLive}
	case StateLive:
		return []State{StateLive, StateReleased}
	case StateReleased:
		return []State{StateLive, StateDraining}
	case StateDraining:
		return []State{StateDraining, StateDrained}
	case StateDrained:
		return []State{StateDropped}
	case StateDropped:
	}
	return nil
}

func (s State) mayBecome(next State) error {
	if slices.Contains(s.next(), next) {
		return nil
	}
	return fmt.Errorf("a JobDB that is %s cannot become %s", orUnknown(s), next)
}

func orUnknown(s State) string {
	if s == "" {
		return "not known"
	}
	return string(s)
}
