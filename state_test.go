package centrifuge_test

import (
	"errors"
	"testing"

	"centrifuge"
)

// legal is the state machine as the documentation draws it.
var legal = map[[2]centrifuge.State]bool{
	{0, centrifuge.StateAwaitingScheduling}:                         true,
	{centrifuge.StateAwaitingScheduling, centrifuge.StateExecuting}: true,
	{centrifuge.StateAwaitingScheduling, centrifuge.StateArchiving}: true,
	{centrifuge.StateAwaitingScheduling, centrifuge.StateMoved}:     true,
	{centrifuge.StateExecuting, centrifuge.StateSucceeded}:          true,
	{centrifuge.StateExecuting, centrifuge.StateDiscarded}:          true,
	{centrifuge.StateExecuting, centrifuge.StateAwaitingRetry}:      true,
	{centrifuge.StateAwaitingRetry, centrifuge.StateExecuting}:      true,
	{centrifuge.StateAwaitingRetry, centrifuge.StateArchiving}:      true,
	{centrifuge.StateAwaitingRetry, centrifuge.StateMoved}:          true,
	{centrifuge.StateArchiving, centrifuge.StateArchived}:           true,
	{centrifuge.StateArchiving, centrifuge.StateMoved}:              true,
}

func TestEveryPairOfStates(t *testing.T) {
	for from := range 256 {
		for to := range 256 {
			from, to := centrifuge.State(from), centrifuge.State(to)
			if got, want := from.CanBecome(to), legal[[2]centrifuge.State{from, to}]; got != want {
				t.Errorf("%v.CanBecome(%v) = %v, want %v", from, to, got, want)
			}
		}
	}
}

func TestTerminalStates(t *testing.T) {
	terminal := map[centrifuge.State]bool{
		centrifuge.StateSucceeded: true, centrifuge.StateDiscarded: true,
		centrifuge.StateArchived: true, centrifuge.StateMoved: true,
	}
	for s := range 256 {
		s := centrifuge.State(s)
		if got := s.Terminal(); got != terminal[s] {
			t.Errorf("%v.Terminal() = %v", s, got)
		}
	}
}

func TestStateNames(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range centrifuge.States {
		name := s.String()
		if seen[name] {
			t.Errorf("two states are called %q", name)
		}
		seen[name] = true
		if back, err := centrifuge.ParseState(name); err != nil || back != s {
			t.Errorf("ParseState(%q) = %v, %v", name, back, err)
		}
	}
	for _, bad := range []string{"", "state(0)", "Succeeded", "running"} {
		if s, err := centrifuge.ParseState(bad); err == nil {
			t.Errorf("ParseState(%q) = %v, want an error", bad, s)
		}
	}
}

// Every transition from every life: allowed if and only if the pair of states is,
// and the attempt goes up by one when an attempt begins and stays otherwise.
func TestLifeAppend(t *testing.T) {
	for from := range centrifuge.State(10) {
		for to := range centrifuge.State(10) {
			for before := range uint32(3) {
				for after := range uint32(5) {
					life := centrifuge.Life{State: from, Attempt: before}
					step := centrifuge.Transition{State: to, Attempt: after}
					next, err := life.Append(&step)

					want := legal[[2]centrifuge.State{from, to}]
					switch {
					case from == 0:
					case to == centrifuge.StateExecuting:
						want = want && after == before+1
					default:
						want = want && after == before
					}
					if (err == nil) != want {
						t.Fatalf("%+v.Append(%v, attempt %d): err = %v, want allowed %v", life, to, after, err, want)
					}
					if err != nil {
						if !errors.Is(err, centrifuge.ErrIllegalTransition) || next != life {
							t.Fatalf("%+v.Append(%v): got %+v, %v", life, to, next, err)
						}
					} else if want := (centrifuge.Life{State: to, Attempt: after}); next != want {
						t.Fatalf("%+v.Append(%v) = %+v, want %+v", life, to, next, want)
					}
				}
			}
		}
	}
}
