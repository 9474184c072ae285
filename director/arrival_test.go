package director

import (
	"testing"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

// What the row of a job tells is not stored again when the job is moved in; an
// acceptance that it does not tell is.
func TestArrivalAppendsWhatTheRowDoesNotTell(t *testing.T) {
	made := time.UnixMilli(1_700_000_000_000).UTC()
	for _, test := range []struct {
		name     string
		attempt  uint32
		accepted time.Time
		want     int
	}{
		{"as the row has it", 0, made, 2},
		{"with attempts it brought", 4, made, 3},
		{"at another time", 0, made.Add(time.Millisecond), 3},
	} {
		id := centrifuge.ID{1}
		outcome := centrifuge.Transition{
			JobID: id, Seq: 9, State: centrifuge.StateAwaitingRetry, Attempt: test.attempt + 1, Time: made.Add(time.Second), RetryAt: made.Add(time.Hour),
		}
		history := []centrifuge.Transition{
			{JobID: id, State: centrifuge.StateAwaitingScheduling, Attempt: test.attempt, Time: test.accepted}, outcome.Beginning(), outcome,
		}
		job := centrifuge.Job{ID: id, CreatedAt: made, ExpireAt: made.Add(2 * time.Hour)}
		c := newCommitter(nil, time.Millisecond, time.Now, nil)
		c.startAfter(100)
		if err := c.arrive(&arrival{jobs: []jobdb.Trace{{Job: job, Transitions: history}}, done: make(chan error, 1)}); err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		got := c.mu.open.batch.Transitions()
		if len(got) != test.want || c.unflushed.Load() != int64(test.want) {
			t.Errorf("%s: %d are appended, %d are to be flushed, want %d", test.name, len(got), c.unflushed.Load(), test.want)
			continue
		}
		if last := got[len(got)-1]; last.Seq != 100+uint64(test.want) || last.State != outcome.State || last.Attempt != outcome.Attempt {
			t.Errorf("%s: the last is %+v", test.name, last)
		}
		if e := c.mu.open.effects[0]; e.life.Attempt != outcome.Attempt || !e.retryAt.Equal(outcome.RetryAt) {
			t.Errorf("%s: the effect is %+v", test.name, e)
		}
	}
}
