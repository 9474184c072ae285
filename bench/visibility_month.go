package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"centrifuge"
	"centrifuge/visibility"
	"centrifuge/visibility/sqlite"
)

const (
	monthQueues = 10_000 // of 1,000 sources and 1,000 destinations
	monthDays   = 30     // and today up to now
	deliveries  = 10     // of a queue, in each minute that is recorded
)

// month is a data folder with the record of a month in which no queue ever rests.
//
// Of the last hour it holds each minute of each queue. Before, it holds one minute of
// each hour, since a query over days reads hours and days: these are there for all of
// the month, of 240 deliveries in each queue's day. The days before today are all
// alike.
type month struct {
	data        string
	minuteBytes float64 // by which the record grows in a minute
	dayBytes    float64 // in a day, beside its minutes
}

// diskGB is what a month takes of which every minute is recorded.
func (m *month) diskGB() float64 { return monthDays * (24*60*m.minuteBytes + m.dayBytes) / 1e9 }

// filledMonth fills the record through a recorder, as a Director does, only that its
// clock runs ahead. The measurements of one run share it.
func (b *bench) filledMonth(ctx context.Context) (*month, error) {
	if b.month != nil {
		return b.month, nil
	}
	data, _, err := b.newData() // it goes with all others
	if err != nil {
		return nil, err
	}
	f := &filling{month: month{data: data}, folder: filepath.Join(data, "history"), random: rand.New(rand.NewPCG(3, 4))} //nolint:gosec // the same in each run
	f.imagine()
	began := time.Now()
	if err := f.fill(ctx, began.UTC()); err != nil {
		return nil, fmt.Errorf("fill the record: %w", err)
	}
	if err := b.acceptOne(ctx, data); err != nil {
		return nil, err
	}
	b.log.Info("filled the record", "took", time.Since(began))
	b.month = &f.month
	return b.month, nil
}

// acceptOne has a Director accept a job: one that never did greets newcomers on its
// front page.
func (b *bench) acceptOne(ctx context.Context, data string) error {
	director, err := b.startServe(ctx, data)
	if err != nil {
		return err
	}
	g := generator{url: director.url, endpoint: "http://127.0.0.1:1/", size: 16, batch: 1, parallel: 1, queues: 1}
	return errors.Join(g.submit(ctx, 1), director.stop())
}

// filling is a month that is being filled.
type filling struct {
	month

	folder   string
	random   *rand.Rand
	recorder *visibility.Recorder
	clock    time.Time
	jobs     [monthQueues]centrifuge.Job
	events   []centrifuge.Event
	outcomes [4096]centrifuge.Transition
}

func (f *filling) fill(ctx context.Context, now time.Time) error {
	today := now.Truncate(24 * time.Hour)
	first := today.AddDate(0, 0, -monthDays)
	err := f.with(ctx, func() error { return f.hours(ctx, first, first.AddDate(0, 0, 1)) })
	if err != nil {
		return err
	}
	day, err := os.ReadFile(f.file(first))
	if err != nil {
		return err
	}
	for d := 1; d < monthDays; d++ {
		if err := os.WriteFile(f.file(first.AddDate(0, 0, d)), day, 0o600); err != nil {
			return err
		}
	}
	dense := now.Add(-time.Hour).Truncate(time.Minute)
	if err := f.with(ctx, func() error { return f.hours(ctx, today, dense) }); err != nil {
		return err
	}
	before, err := sizeOf(f.folder)
	if err != nil {
		return err
	}
	minutes := 0
	err = f.with(ctx, func() error {
		for at := dense; at.Before(time.Now()); at = at.Add(time.Minute) { // it takes a while
			if err := f.record(ctx, at, time.Minute); err != nil {
				return err
			}
			minutes++
		}
		return nil
	})
	if err != nil {
		return err
	}
	after, err := sizeOf(f.folder)
	f.minuteBytes = (after - before) / float64(minutes)
	f.dayBytes = float64(len(day)) - 24*f.minuteBytes
	return err
}

// with calls do with a recorder, and stores everything.
func (f *filling) with(ctx context.Context, do func() error) error {
	backend, err := sqlite.Open(f.folder)
	if err != nil {
		return err
	}
	store, err := visibility.OpenStore(ctx, visibility.StoreOptions{Backend: backend})
	if err != nil {
		return errors.Join(err, backend.Close())
	}
	f.recorder, err = visibility.NewRecorder(ctx, visibility.RecorderOptions{
		Store: store, Alive: filepath.Join(f.data, "alive"), Now: func() time.Time { return f.clock },
	})
	if err == nil {
		err = do()
	}
	return errors.Join(err, store.Close(), os.Remove(filepath.Join(f.data, "alive")))
}

func (f *filling) file(day time.Time) string {
	return filepath.Join(f.folder, visibility.DayOf(day).String()+".db")
}

// hours records one minute of each hour.
func (f *filling) hours(ctx context.Context, from, to time.Time) error {
	for at := from; at.Before(to); at = at.Add(time.Hour) {
		if err := f.record(ctx, at, time.Hour); err != nil {
			return err
		}
	}
	return nil
}

// imagine makes the queues, and outcomes to draw from: 93 of 100 are deliveries, and
// durations begin at 80 ms with a long tail.
func (f *filling) imagine() {
	payload := make([]byte, 512)
	for i := range f.jobs {
		f.jobs[i] = centrifuge.Job{
			Source: fmt.Sprintf("customer-%04d", i/10), Destination: fmt.Sprintf("api-%03d.example.com", i%1000), Payload: payload,
		}
	}
	for i := range f.outcomes {
		o := centrifuge.Transition{Seq: 2, State: centrifuge.StateSucceeded, StatusCode: 200, Attempt: 1}
		o.Duration = time.Duration(float64(80*time.Millisecond) * (1 + f.random.ExpFloat64()*f.random.ExpFloat64()))
		switch n := f.random.IntN(1000); {
		case n < 15:
			o.State, o.StatusCode = centrifuge.StateAwaitingRetry, [...]int{429, 500, 502, 503}[n%4]
		case n < 70:
			o.State, o.StatusCode = centrifuge.StateDiscarded, [...]int{400, 401, 403, 404}[n%4]
		case n < 90:
			o.Attempt = 2
		}
		f.outcomes[i] = o
	}
}

// record records deliveries of each queue in the minute that begins at the time,
// and stores and seals what is over when so much time has passed.
func (f *filling) record(ctx context.Context, at time.Time, passes time.Duration) error {
	f.clock = at
	for i := range f.jobs {
		job := &f.jobs[i]
		job.CreatedAt = at
		f.events = f.events[:0]
		for range deliveries {
			step := f.outcomes[f.random.IntN(len(f.outcomes))]
			step.Time = at.Add(step.Duration + 5*time.Millisecond)
			f.events = append(f.events,
				centrifuge.Event{Job: job, Step: centrifuge.Transition{State: centrifuge.StateAwaitingScheduling, Time: at}},
				centrifuge.Event{Job: job, From: centrifuge.StateExecuting, Step: step})
		}
		f.recorder.Record(f.events)
	}
	if err := f.recorder.Flush(ctx); err != nil {
		return err
	}
	f.clock = at.Add(passes + 10*time.Second)
	return f.recorder.Tidy(ctx)
}

// sizeOf is how many bytes the files of a folder take.
func sizeOf(folder string) (float64, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return 0, err
	}
	sum := int64(0)
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return 0, err
		}
		sum += info.Size()
	}
	return float64(sum), nil
}
