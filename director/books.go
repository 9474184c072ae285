package director

import (
	"sync"
	"time"

	"centrifuge"
	"centrifuge/schedule"
)

// books keep the ledger of every queue, from committed transitions alone: they
// hold what the JobDB holds, except while a commit is under way.
type books struct {
	mu struct {
		sync.Mutex
		total  Ledger
		queues map[centrifuge.QueueKey]*Ledger
		born   map[int64]int64 // pending jobs by the second of their making
		due    map[int64]int64 // and by the minute in which they expire
	}
}

func newBooks() *books {
	b := &books{}
	b.mu.queues = make(map[centrifuge.QueueKey]*Ledger)
	b.mu.born = make(map[int64]int64)
	b.mu.due = make(map[int64]int64)
	return b
}

// enter books a job that recovery found.
func (b *books) enter(key centrifuge.QueueKey, createdAt, expireAt time.Time, s centrifuge.State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.moveLocked(b.ledgerLocked(key), createdAt, expireAt, 0, s)
}

// apply books the effects of a commit.
func (b *books) apply(effects []effect) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var last *centrifuge.Job // which several effects in a row are of
	var queue *Ledger
	for i := range effects {
		e := &effects[i]
		if e.job != last {
			last, queue = e.job, b.ledgerLocked(e.job.Queue())
		}
		b.moveLocked(queue, e.job.CreatedAt, e.job.ExpireAt, e.from, e.life.State)
	}
}

func (b *books) moveLocked(queue *Ledger, createdAt, expireAt time.Time, from, to centrifuge.State) {
	for _, l := range [...]*Ledger{&b.mu.total, queue} {
		if from == 0 {
			l.Accepted++
		} else {
			*l.count(from)--
		}
		*l.count(to)++
	}
	born, due := createdAt.Unix(), expireAt.Unix()/60
	if from == 0 {
		b.mu.born[born]++
		b.mu.due[due]++
	}
	if to.Terminal() {
		if b.mu.born[born]--; b.mu.born[born] == 0 {
			delete(b.mu.born, born)
		}
		if b.mu.due[due]--; b.mu.due[due] == 0 {
			delete(b.mu.due, due)
		}
	}
}

func (b *books) ledgerLocked(key centrifuge.QueueKey) *Ledger {
	l := b.mu.queues[key]
	if l == nil {
		l = &Ledger{}
		b.mu.queues[key] = l
	}
	return l
}

func (b *books) total() Ledger {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.total
}

// oldest is the second in which the oldest pending job was made.
func (b *books) oldest() (unix int64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for second := range b.mu.born {
		if !ok || second < unix {
			unix, ok = second, true
		}
	}
	return unix, ok
}

// expiring is how many pending jobs expire before a minute, as counted from the
// epoch, is over.
func (b *books) expiring(minute int64) (n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for m, jobs := range b.mu.due {
		if m <= minute {
			n += jobs
		}
	}
	return n
}

// addTo adds the ledgers of the selected queues to those in sums.
func (b *books) addTo(sums map[centrifuge.QueueKey]*Ledger, sel schedule.Selector) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, l := range b.mu.queues {
		if !sel.Matches(key) {
			continue
		}
		sum := sums[key]
		if sum == nil {
			sum = &Ledger{}
			sums[key] = sum
		}
		sum.Add(l)
	}
}
