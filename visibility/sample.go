package visibility

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"centrifuge"
	"centrifuge/delivery"
)

const (
	samplesKept    = 5      // of a queue and code, in a day
	samplesShown   = 50     // of a queue, at most
	samplesWaiting = 1000   // to be stored; what comes beyond is not sampled
	samplersKept   = 50_000 // queues and codes of which the time of the last sample is known
	slotBits       = 3      // of a sample's key, below its code
	_              = uint(1<<slotBits - samplesKept)
)

// sampler keeps the latest few attempts of each queue and code, no more than one
// in a while.
type sampler struct {
	every time.Duration
	mu    struct {
		sync.Mutex
		last    map[sampled]taken
		waiting []slotted
	}
}

type sampled struct {
	queue centrifuge.QueueKey
	code  uint16
}

type taken struct {
	at   time.Time
	next uint8 // which of the kept ones is overwritten next
}

type slotted struct {
	Sample
	slot uint8
}

func (s *sampler) init(every time.Duration) {
	s.every = every
	s.mu.last = make(map[sampled]taken)
}

// want reports whether an attempt is to be sampled, and where it goes.
func (s *sampler) want(queue centrifuge.QueueKey, code uint16, now time.Time) (slot uint8, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := sampled{queue, code}
	last, known := s.mu.last[of]
	if since := now.Sub(last.at); known && since >= 0 && since < s.every || len(s.mu.waiting) >= samplesWaiting {
		return 0, false
	}
	if len(s.mu.last) >= samplersKept && !known {
		clear(s.mu.last)
	}
	s.mu.last[of] = taken{now, (last.next + 1) % samplesKept}
	return last.next, true
}

// Sample is told of every attempt and keeps a few of them. The header is that of the
// response, nil if there was none; neither it nor the job is kept.
func (r *Recorder) Sample(job *centrifuge.Job, attempt uint32, result delivery.Result, header http.Header) {
	now := r.o.Now()
	code := CodeOf(result.StatusCode, result.ErrorCode)
	slot, ok := r.sampler.want(job.Queue(), code.number(), now)
	if !ok {
		return
	}
	sample := slotted{slot: slot, Sample: Sample{
		JobID: job.ID, Source: job.Source, Destination: job.Destination,
		Time: now.UTC().Truncate(time.Millisecond), Attempt: attempt, Code: code, Duration: result.Duration,
		Method: cmp.Or(job.Method, http.MethodPost), Endpoint: redactEndpoint(job.Endpoint),
		RequestHeaders: redactHeaders(job.Headers), ResponseHeaders: redactHeaders(sortedHeaders(header)), Body: cut(result.Error),
	}}
	r.sampler.mu.Lock()
	defer r.sampler.mu.Unlock()
	r.sampler.mu.waiting = append(r.sampler.mu.waiting, sample)
}

func sortedHeaders(header http.Header) []centrifuge.Header {
	out := make([]centrifuge.Header, 0, len(header))
	for name, values := range header {
		for _, value := range values {
			out = append(out, centrifuge.Header{Name: name, Value: value})
		}
	}
	slices.SortStableFunc(out, func(a, b centrifuge.Header) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// store hands the waiting samples to the store; samples are no accounts, and those
// that it refuses are dropped.
func (s *sampler) store(ctx context.Context, to *Store) error {
	s.mu.Lock()
	samples := s.mu.waiting
	s.mu.waiting = nil
	s.mu.Unlock()
	return to.addSamples(ctx, samples)
}

func (s *Store) addSamples(ctx context.Context, samples []slotted) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(samples) > 0 {
		d, n := DayOf(samples[0].Time), 1
		for n < len(samples) && DayOf(samples[n].Time) == d {
			n++
		}
		var w Write
		fresh := s.names.use(d)
		for i := range samples[:n] {
			sample := &samples[i]
			id := fresh.give(centrifuge.QueueKey{Source: sample.Source, Destination: sample.Destination})[kindQueue]
			w.put(key(spaceSamples, id, int(sample.Code.number())<<slotBits|int(sample.slot)), appendSample(nil, &sample.Sample))
		}
		fresh.put(&w)
		if err := s.o.Backend.Write(ctx, d, &w); err != nil {
			return fmt.Errorf("store samples: %w", err)
		}
		fresh.done()
		samples = samples[n:]
	}
	return nil
}

// Samples returns the latest attempts of a queue that were kept, the newest first:
// those that ended with the code, or with any if it is nil.
func (s *Store) Samples(ctx context.Context, queue centrifuge.QueueKey, code *Code) ([]Sample, error) {
	var out []Sample
	err := s.read(ctx, func(books []*book) error {
		for _, b := range books {
			found, err := b.samples(ctx, queue, code)
			if err != nil {
				return fmt.Errorf("read samples of %s to %s: %w", queue.Source, queue.Destination, err)
			}
			out = append(out, found...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b Sample) int { return b.Time.Compare(a.Time) })
	kept, seen := out[:0], make(map[Code]int)
	for _, sample := range out {
		if seen[sample.Code]++; seen[sample.Code] <= samplesKept && len(kept) < samplesShown {
			kept = append(kept, sample)
		}
	}
	return kept, nil
}

// samples returns those of the latest days, at least as many as are shown if there
// are so many.
func (b *book) samples(ctx context.Context, queue centrifuge.QueueKey, code *Code) (out []Sample, err error) {
	id, ok := b.names.id(kindQueue, queue)
	if !ok {
		return nil, nil
	}
	from, to := key(spaceSamples, id, 0), key(spaceSamples, id, 1<<16-1)
	if code != nil {
		from = key(spaceSamples, id, int(code.number())<<slotBits)
		to = from + 1<<slotBits - 1
	}
	days, err := b.from.Days(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range slices.Backward(days) {
		err := b.from.Scan(ctx, d, from, to, func(_ uint64, data []byte) error {
			sample, err := readSample(data)
			if id == 0 || sample.Source == queue.Source && sample.Destination == queue.Destination {
				out = append(out, sample)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(out) >= samplesShown || code != nil && len(out) >= samplesKept {
			break
		}
	}
	return out, nil
}

func appendSample(b []byte, s *Sample) []byte {
	b = append(b, s.JobID[:]...)
	b = appendText(appendText(b, s.Source), s.Destination)
	for _, n := range [...]int64{s.Time.UnixMilli(), int64(s.Attempt), int64(s.Code.number()), int64(s.Duration)} {
		b = binary.AppendUvarint(b, uint64(max(n, 0)))
	}
	b = appendText(appendText(appendText(b, s.Method), s.Endpoint), s.Body)
	for _, headers := range [...][]centrifuge.Header{s.RequestHeaders, s.ResponseHeaders} {
		b = binary.AppendUvarint(b, uint64(len(headers)))
		for _, h := range headers {
			b = appendText(appendText(b, h.Name), h.Value)
		}
	}
	return b
}

func readSample(data []byte) (s Sample, err error) {
	r := reader{b: data}
	if len(data) < len(s.JobID) {
		r.fail("a sample is cut short")
		return s, r.err
	}
	r.b = r.b[copy(s.JobID[:], data):]
	s.Source, s.Destination = r.text(), r.text()
	s.Time = time.UnixMilli(r.count()).UTC()
	s.Attempt, s.Code, s.Duration = uint32(r.uvarint()), codeOfNumber(uint16(r.uvarint())), time.Duration(r.count())
	s.Method, s.Endpoint, s.Body = r.text(), r.text(), r.text()
	for _, headers := range [...]*[]centrifuge.Header{&s.RequestHeaders, &s.ResponseHeaders} {
		for range r.uvarint() {
			if r.err != nil {
				return s, r.err
			}
			*headers = append(*headers, centrifuge.Header{Name: r.text(), Value: r.text()})
		}
	}
	return s, r.err
}
