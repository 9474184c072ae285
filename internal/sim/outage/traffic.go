package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"time"

	"centrifuge"
)

// broken is the destination that has the outage.
const broken = "broken.example"

// stream makes the jobs of some queues, at random moments of a steady rate.
type stream struct {
	random *rand.Rand
	gap    float64 // nanoseconds between two, on average
	keys   []centrifuge.QueueKey
	upTo   []float64 // upTo[i] is the share of traffic of the queues 0 to i
	next   time.Duration
}

// newStream spreads a rate over n queues by a power law: that of rank r gets a share
// proportional to 1/r (Zipf), so that the first few carry much and most are nearly
// idle.
func newStream(seed *rand.Rand, rate float64, n int, destination func(i int) string) *stream {
	s := &stream{random: rand.New(rand.NewPCG(seed.Uint64(), 1)), gap: float64(time.Second) / rate}
	sum := 0.0
	for i := range n {
		sum += 1 / float64(i+1)
		s.upTo = append(s.upTo, sum)
		s.keys = append(s.keys, centrifuge.QueueKey{Source: fmt.Sprint("source-", i), Destination: destination(i)})
	}
	for i := range s.upTo {
		s.upTo[i] /= sum
	}
	s.advance()
	return s
}

func (s *stream) advance() { s.next += time.Duration(s.random.ExpFloat64() * s.gap) }

// take returns the queue of the job that comes now, and draws when the next does.
func (s *stream) take() centrifuge.QueueKey {
	s.advance()
	return s.keys[sort.SearchFloat64s(s.upTo, s.random.Float64())]
}

// streams are the traffic of one Director: to the broken endpoint, and to all others.
func (s *scenario) streams(seed *rand.Rand) (toBroken, toOthers *stream) {
	share := s.Rate / (s.Rate + s.Others)
	queues := max(int(share*float64(s.Queues)), 1)
	n := float64(s.Directors)
	toBroken = newStream(seed, s.Rate/n, queues, func(int) string { return broken })
	// Endpoints share by a power law too: that of rank r is drawn about as often as
	// its square root is small.
	draw := rand.New(rand.NewPCG(seed.Uint64(), 2))
	toOthers = newStream(seed, s.Others/n, s.Queues-queues, func(int) string {
		u := draw.Float64()
		return fmt.Sprintf("endpoint-%d.example", int(math.Floor(float64(s.Endpoints)*u*u)))
	})
	return toBroken, toOthers
}
