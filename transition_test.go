package centrifuge_test

import (
	"testing"
	"time"

	"centrifuge"
)

// The beginning that an outcome implies lies between the beginning and the end of
// the attempt, as clocks of whole milliseconds show them.
func TestBeginningOfAnOutcome(t *testing.T) {
	id := centrifuge.ID{1, 2, 3}
	ms := func(n int64) time.Time { return time.UnixMilli(n).UTC() }
	for _, tt := range []struct {
		at       time.Time
		duration time.Duration
		want     time.Time
	}{
		{ms(5000), 0, ms(5000)},
		{ms(5000), 1, ms(5000)},
		{ms(5000), time.Millisecond, ms(4999)},
		{ms(5000), time.Millisecond + 1, ms(4999)},
		{ms(5000), 2 * time.Second, ms(3000)},
		{ms(5000).Add(999_999).In(time.FixedZone("", 3600)), time.Millisecond, ms(4999)},
	} {
		outcome := centrifuge.Transition{
			JobID: id, Seq: 9, State: centrifuge.StateDiscarded, Attempt: 3, Time: tt.at, Duration: tt.duration,
			StatusCode: 404, Error: "not found",
		}
		want := centrifuge.Transition{JobID: id, Seq: 8, State: centrifuge.StateExecuting, Attempt: 3, Time: tt.want}
		begun := outcome.Beginning()
		if begun != want {
			t.Errorf("beginning of %+v is %+v, want %+v", outcome, begun, want)
		}
		life := centrifuge.Life{State: centrifuge.StateAwaitingRetry, Attempt: 2}
		for _, step := range []centrifuge.Transition{begun, outcome} {
			var err error
			if life, err = life.Append(&step); err != nil {
				t.Error(err)
			}
		}
	}
}
