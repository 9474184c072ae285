package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/director"
)

// troubles is the run: first with faults, then in peace until every job is at its
// end.
func (f *fleet) troubles() error {
	for _, m := range f.members {
		if err := f.start(m); err != nil {
			return err
		}
	}
	var people sync.WaitGroup
	for n := range uint64(3) {
		people.Go(func() { f.submit(n) })
	}
	for n := range uint64(2) {
		people.Go(func() { f.prepare(n) })
	}
	people.Go(f.operate)
	people.Go(f.setClocks)
	for end := time.Now().Add(40 * time.Minute); time.Now().Before(end); {
		time.Sleep(between(f.dice, 0, 5*time.Minute))
		m := oneOf(f.dice, f.members[:]...)
		switch f.dice.IntN(3) {
		case 0: // a lease is lost, the current JobDB's or that of one on its way out
			f.mu.Lock()
			if held := f.heldLocked(); len(held) > 0 {
				held[f.dice.IntN(len(held))].lease.Lose()
				f.mu.losses++
			}
			f.mu.Unlock()
		default:
			m.current.Load().end(happens(f.dice, 0.7))
			time.Sleep(between(f.dice, 0, oneOf(f.dice, 0, 2*time.Minute)))
			if err := f.start(m); err != nil {
				return err
			}
		}
	}
	f.calm.Store(true)
	people.Wait()
	time.Sleep(3 * time.Hour) // what is prepared still is overdue then, whatever the clocks say
	for waited := 0; !f.rests(); waited++ {
		if waited > 24*60 {
			f.breaks("it does not come to rest: %s", f.remains())
			break
		}
		time.Sleep(time.Minute)
	}
	f.audit()
	for _, m := range f.members {
		m.current.Load().end(false)
	}
	return nil
}

func (f *fleet) heldLocked() (held []*fleetRecord) {
	for _, r := range f.mu.records {
		if r.lease.Held() {
			held = append(held, r)
		}
	}
	return held
}

// rests reports whether all JobDBs but the current ones are drained, and nothing is
// pending.
func (f *fleet) rests() bool { return f.remains() == "" }

func (f *fleet) remains() string {
	var left, current []string
	for _, m := range f.members {
		status := m.current.Load().director.Status()
		current = append(current, status.JobDB)
		if !status.Ready || status.Pending > 0 {
			left = append(left, fmt.Sprintf("%+v", status))
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.mu.records {
		if !r.dropped && !slices.Contains(current, r.name) {
			left = append(left, fmt.Sprintf("%s (held %t, to %q)", r.name, r.lease.Held(), r.target))
		}
	}
	return strings.Join(left, ", ")
}

// audit checks that every job has one home, and there one end and its whole story.
func (f *fleet) audit() {
	var ledgers []director.JobDBLedger
	for _, m := range f.members {
		more, err := m.current.Load().director.Ledgers()
		if err != nil {
			f.breaks("the ledgers at rest: %v", err)
			return
		}
		ledgers = append(ledgers, more...)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	bad := func(format string, args ...any) { f.mu.broken = append(f.mu.broken, fmt.Sprintf(format, args...)) }
	homes := make(map[centrifuge.ID]*memoryJob)
	tags := make(map[string]centrifuge.ID)
	var sum director.Ledger
	for _, r := range f.mu.records {
		l := r.ledger()
		sum.Accepted += l.Accepted
		sum.Moved += l.Moved
		for _, booked := range ledgers {
			if booked.Name == r.name && booked.Ledger != l {
				bad("the ledger of %s is %+v and a recount %+v", r.name, booked.Ledger, l)
			}
		}
		for id, j := range r.store.mu.jobs {
			last := j.last()
			if last.State == centrifuge.StateMoved {
				if to := f.findLocked(last.Error); to == nil || to.store.mu.jobs[id] == nil {
					bad("job %s was moved from %s to %q, where it is not", id, r.name, last.Error)
				}
				continue
			}
			if homes[id] != nil {
				bad("job %s lives in two JobDBs", id)
			}
			homes[id] = j
			tag := string(j.job.Payload)
			if other, ok := tags[tag]; ok && other != id {
				bad("one job of one transaction was enqueued as %s and as %s: %s", other, id, tag)
			}
			tags[tag] = id
			f.checkLocked(id, j, bad)
		}
	}
	if sum.Accepted-sum.Moved != int64(len(homes)) {
		bad("%d accepted and %d moved, and there are %d jobs", sum.Accepted, sum.Moved, len(homes))
	}
	for transaction, ids := range f.mu.orders {
		for i, id := range ids {
			if homes[id] == nil || string(homes[id].job.Payload) != fmt.Sprint(transaction, "/", i) {
				bad("job %s was acknowledged and is nowhere: %s/%d", id, transaction, i)
			}
		}
	}
	f.auditPhased(homes, bad)
	f.auditArchive(homes, bad)
}

// auditArchive finds each archived job in the archive once, and no other.
func (f *fleet) auditArchive(homes map[centrifuge.ID]*memoryJob, bad func(string, ...any)) {
	page, err := archive.New(f.bucket).List(context.Background(), archive.Filter{}, "", 1_000_000)
	if err != nil || len(page.Damaged) > 0 {
		bad("list the archive: %v, damaged %v", err, page.Damaged)
	}
	found := make(map[centrifuge.ID]int)
	for i := range page.Entries {
		found[page.Entries[i].JobID]++
	}
	for id, j := range homes {
		want := 0
		if j.last().State == centrifuge.StateArchived {
			want = 1
		}
		if found[id] != want {
			bad("job %s, %s, is in the archive %d times", id, j.last().State, found[id])
		}
		delete(found, id)
	}
	for id := range found {
		bad("the archive holds job %s, which has no home", id)
	}
}

// checkReason checks that the job had to go to the archive.
func checkReason(id centrifuge.ID, j *memoryJob, bad func(string, ...any)) {
	last := j.last()
	switch most := j.job.Settings.Retry.MaxAttempts; {
	case last.State != centrifuge.StateArchived:
	case last.ErrorCode == centrifuge.ErrorFlushed && (j.job.Source != "s1" || j.job.Destination != flushedHost),
		last.ErrorCode == centrifuge.ErrorAttempts && (most == 0 || last.Attempt < most),
		last.ErrorCode == centrifuge.ErrorExpired && most > 0 && last.Attempt >= most && !j.interrupted():
		bad("job %s is archived as %s after %d attempts of %d", id, last.ErrorCode, last.Attempt, most)
	}
}

// interrupted reports whether the result of one of its attempts is unknown, so that it
// may have another.
func (j *memoryJob) interrupted() bool {
	return slices.ContainsFunc(j.transitions, func(t centrifuge.Transition) bool { return t.ErrorCode == centrifuge.ErrorInterrupted })
}

// checkLocked checks the story of a job in its home.
func (f *fleet) checkLocked(id centrifuge.ID, j *memoryJob, bad func(string, ...any)) {
	if !j.last().State.Terminal() {
		bad("job %s is %s at rest", id, j.last().State)
	}
	var life centrifuge.Life
	history := j.transitions
	if len(history) == 0 || history[0].State != centrifuge.StateAwaitingScheduling {
		life.State = centrifuge.StateAwaitingScheduling
	}
	seq := uint64(0)
	for i := range history {
		var err error
		if life, err = life.Append(&history[i]); err != nil {
			bad("the story of a job: %v", err)
		}
		if history[i].Seq < seq {
			bad("job %s: transition %d after %d", id, history[i].Seq, seq)
		}
		seq = history[i].Seq
	}
	checkReason(id, j, bad)
	if n := f.mu.answered[id]; n > 1+f.mu.excused[id] {
		bad("job %s was answered 2xx %d times, and %d attempts were in doubt", id, n, f.mu.excused[id])
	}
	if j.last().State == centrifuge.StateSucceeded && f.mu.answered[id] == 0 {
		bad("job %s is called succeeded, and nobody took it", id)
	}
}

func (f *fleet) findLocked(name string) *fleetRecord {
	for _, r := range f.mu.records {
		if r.name == name {
			return r
		}
	}
	return nil
}

// ledger counts what is in the JobDB.
func (r *fleetRecord) ledger() (l director.Ledger) {
	for _, j := range r.store.mu.jobs {
		l.Accepted++
		switch j.last().State {
		case centrifuge.StateAwaitingScheduling:
			l.AwaitingScheduling++
		case centrifuge.StateExecuting:
			l.Executing++
		case centrifuge.StateSucceeded:
			l.Succeeded++
		case centrifuge.StateDiscarded:
			l.Discarded++
		case centrifuge.StateAwaitingRetry:
			l.AwaitingRetry++
		case centrifuge.StateArchiving:
			l.Archiving++
		case centrifuge.StateArchived:
			l.Archived++
		case centrifuge.StateMoved:
			l.Moved++
		}
	}
	return l
}
