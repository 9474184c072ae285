package manager

import (
	"testing"
	"time"
)

// Every pair of states, so that a transition that is not meant to be is found when
// it is added.
func TestStates(t *testing.T) {
	all := []State{"", StateNew, StateSpare, StateLive, StateReleased, StateDraining, StateDrained, StateDropped}
	allowed := map[[2]State]bool{
		{"", StateNew}: true, {"", StateReleased}: true,
		{StateNew, StateSpare}: true, {StateSpare, StateLive}: true,
		{StateLive, StateLive}: true, {StateLive, StateReleased}: true,
		{StateReleased, StateLive}: true, {StateReleased, StateDraining}: true,
		{StateDraining, StateDraining}: true, {StateDraining, StateDrained}: true,
		{StateDrained, StateDropped}: true,
	}
	now := time.UnixMilli(1_700_000_000_000)
	for _, from := range append(all, "unheard of") {
		for _, to := range all {
			r := Record{Name: "jobdb-000001", State: from, Since: map[State]time.Time{from: now}}
			before := r.Since
			err := r.enter(to, now.Add(time.Second))
			if (err == nil) != allowed[[2]State{from, to}] {
				t.Errorf("from %q to %q: %v", from, to, err)
			}
			if err != nil && r.State != from {
				t.Errorf("refused, and is %q", r.State)
			}
			if err == nil && (r.State != to || !r.Since[to].Equal(now.Add(time.Second)) || len(before) != 1 || !before[from].Equal(now)) {
				t.Errorf("from %q to %q: %+v, and what it was copied from %v", from, to, r, before)
			}
		}
	}
}
