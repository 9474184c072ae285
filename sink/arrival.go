package sink

import (
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Arrival sums up the time from a job's submission to the arrival of its
// request. All durations are in nanoseconds in JSON, with an error below 0.1 %.
type Arrival struct {
	Count int64         `json:"count"`
	Mean  time.Duration `json:"mean_ns"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P99   time.Duration `json:"p99_ns"`
	Max   time.Duration `json:"max_ns"`
}

// arrival is the histogram behind an Arrival.
type arrival struct {
	mu struct {
		sync.Mutex
		h *hdrhistogram.Histogram
	}
}

func newArrival() *arrival {
	a := &arrival{}
	a.mu.h = hdrhistogram.New(1, int64(maxWait), 3)
	return a
}

// observe records the time from sent, the text of [HeaderSent], to at. A text
// that is not a time is passed over; times out of the histogram's range, as of
// a sender whose clock runs ahead, count as its nearest bound.
func (a *arrival) observe(at time.Time, sent string) {
	nanos, err := strconv.ParseInt(sent, 10, 64)
	if err != nil {
		return
	}
	took := min(max(at.Sub(time.Unix(0, nanos)), 0), maxWait)
	a.mu.Lock()
	defer a.mu.Unlock()
	// The histogram refuses only what is out of its range.
	_ = a.mu.h.RecordValue(int64(took))
}

func (a *arrival) summary() *Arrival {
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.mu.h
	return &Arrival{
		Count: h.TotalCount(),
		Mean:  time.Duration(h.Mean()),
		P50:   time.Duration(h.ValueAtQuantile(50)),
		P90:   time.Duration(h.ValueAtQuantile(90)),
		P99:   time.Duration(h.ValueAtQuantile(99)),
		Max:   time.Duration(h.Max()),
	}
}
