package centrifuge

import "fmt"

// State is where a job stands. The zero State is no state: a job has it before
// its first transition only.
type State uint8

// The states of a job. Their numbers are stored in JobDBs and never change.
const (
	StateAwaitingScheduling State = 1 // accepted and durable, no attempt yet
	StateExecuting          State = 2 // an attempt is under way
	StateSucceeded          State = 3 // terminal: the endpoint took it
	StateDiscarded          State = 4 // terminal: the endpoint refused it, or we did
	StateAwaitingRetry      State = 5 // an attempt failed for now; the next is due at retry_at
	StateArchiving          State = 6 // expired or flushed, on its way to the archive
	StateArchived           State = 7 // terminal: safe in the archive
	StateMoved              State = 8 // terminal here: its life goes on in another JobDB
)

// States lists every state in the order of their numbers.
var States = [...]State{
	StateAwaitingScheduling, StateExecuting, StateSucceeded, StateDiscarded,
	StateAwaitingRetry, StateArchiving, StateArchived, StateMoved,
}

var stateNames = [...]string{
	StateAwaitingScheduling: "awaiting_scheduling",
	StateExecuting:          "executing",
	StateSucceeded:          "succeeded",
	StateDiscarded:          "discarded",
	StateAwaitingRetry:      "awaiting_retry",
	StateArchiving:          "archiving",
	StateArchived:           "archived",
	StateMoved:              "moved",
}

// successors holds, for each state, the set of states that may follow it, one
// bit a state. It is the state machine; everything else asks it.
var successors = [...]uint16{
	0:                       set(StateAwaitingScheduling),
	StateAwaitingScheduling: set(StateExecuting, StateArchiving, StateMoved),
	StateExecuting:          set(StateSucceeded, StateDiscarded, StateAwaitingRetry),
	StateAwaitingRetry:      set(StateExecuting, StateArchiving, StateMoved),
	StateArchiving:          set(StateArchived, StateMoved),
	StateSucceeded:          0,
	StateDiscarded:          0,
	StateArchived:           0,
	StateMoved:              0,
}

func set(states ...State) uint16 {
	var bits uint16
	for _, s := range states {
		bits |= 1 << s
	}
	return bits
}

// Valid reports whether s is one of the states above.
func (s State) Valid() bool { return s >= StateAwaitingScheduling && s <= StateMoved }

// Terminal reports whether nothing can follow s in its JobDB.
func (s State) Terminal() bool { return s.Valid() && successors[s] == 0 }

// CanBecome reports whether next may follow s. From the zero State only
// awaiting_scheduling can: every life begins there.
func (s State) CanBecome(next State) bool {
	return int(s) < len(successors) && next.Valid() && successors[s]&(1<<next) != 0
}

// String is the state's name as the database, metrics and pages show it.
func (s State) String() string {
	if s.Valid() {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// ParseState reads a name that [State.String] wrote.
func ParseState(name string) (State, error) {
	for _, s := range States {
		if stateNames[s] == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("parse state %q: want one of %v", name, States)
}
