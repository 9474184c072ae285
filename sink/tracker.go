package sink

import (
	"hash/maphash"
	"iter"
	"sync"

	"github.com/segmentio/ksuid"
)

// Job is what a sink knows of one job id.
type Job struct {
	ID        string `json:"id"`
	Attempts  uint32 `json:"attempts"`  // requests that carried the id
	Successes uint32 `json:"successes"` // of these, answered 2xx, with a whole response
}

const trackerShards = 64

// tracker counts attempts and successes by job id. It is made for millions of
// ids: a KSUID is kept as its 20 bytes, in maps without pointers.
type tracker struct {
	shards [trackerShards]trackerShard
	seed   maphash.Seed
}

type trackerShard struct {
	mu struct {
		sync.Mutex
		ksuids     map[ksuid.KSUID]tally
		others     map[string]tally
		delivered  uint64
		duplicates uint64
	}
	_ [64]byte // keeps the locks of two shards off one cache line
}

type tally struct{ attempts, successes uint32 }

func newTracker() *tracker {
	t := &tracker{seed: maphash.MakeSeed()}
	for i := range t.shards {
		mu := &t.shards[i].mu
		mu.ksuids = make(map[ksuid.KSUID]tally)
		mu.others = make(map[string]tally)
	}
	return t
}

// key is an id as it is kept: as a KSUID, or as text if it is none.
type key struct {
	ksuid ksuid.KSUID
	other string
}

// locate finds the shard an id belongs to, and its key there.
func (t *tracker) locate(id string) (*trackerShard, key) {
	if k, err := ksuid.Parse(id); err == nil {
		return &t.shards[k[len(k)-1]%trackerShards], key{ksuid: k}
	}
	return &t.shards[maphash.String(t.seed, id)%trackerShards], key{other: id}
}

// get and set require the shard's lock.
func (s *trackerShard) get(k key) tally {
	if k.other != "" {
		return s.mu.others[k.other]
	}
	return s.mu.ksuids[k.ksuid]
}

func (s *trackerShard) set(k key, n tally) {
	if k.other != "" {
		s.mu.others[k.other] = n
		return
	}
	s.mu.ksuids[k.ksuid] = n
}

// attempted counts an attempt and reports whether it is the id's first.
func (t *tracker) attempted(id string) bool {
	s, k := t.locate(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.get(k)
	n.attempts++
	s.set(k, n)
	return n.attempts == 1
}

// succeeded counts a success.
func (t *tracker) succeeded(id string) {
	s, k := t.locate(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.get(k)
	if n.successes == 0 {
		s.mu.delivered++
	} else {
		s.mu.duplicates++
	}
	n.successes++
	s.set(k, n)
}

// job is one id's counts, zero if the id was never seen.
func (t *tracker) job(id string) Job {
	s, k := t.locate(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.get(k)
	return Job{ID: id, Attempts: n.attempts, Successes: n.successes}
}

// totals sums the shards; requests under way may be in some sums and not yet in
// others.
func (t *tracker) totals() (ids, delivered, duplicates uint64) {
	for i := range t.shards {
		mu := &t.shards[i].mu
		mu.Lock()
		ids += uint64(len(mu.ksuids) + len(mu.others))
		delivered += mu.delivered
		duplicates += mu.duplicates
		mu.Unlock()
	}
	return ids, delivered, duplicates
}

// all yields every id. It copies a shard at a time, so that a slow consumer
// holds no request up.
func (t *tracker) all() iter.Seq[Job] {
	return func(yield func(Job) bool) {
		type known struct {
			id ksuid.KSUID
			tally
		}
		var ksuids []known
		var others []Job
		for i := range t.shards {
			ksuids, others = ksuids[:0], others[:0]
			mu := &t.shards[i].mu
			mu.Lock()
			for id, n := range mu.ksuids {
				ksuids = append(ksuids, known{id, n})
			}
			for id, n := range mu.others {
				others = append(others, Job{id, n.attempts, n.successes})
			}
			mu.Unlock()
			for _, k := range ksuids {
				if !yield(Job{k.id.String(), k.attempts, k.successes}) {
					return
				}
			}
			for _, job := range others {
				if !yield(job) {
					return
				}
			}
		}
	}
}
