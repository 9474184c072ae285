package alert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"centrifuge"
	"centrifuge/visibility"
)

// Options are what a [Watch] is made of. All but Leads, Now and Logger are required;
// Notify only if the rules name somebody, Pause only if they pause queues.
type Options struct {
	Rules   Rules
	History History

	// Facts tells how the Director stands, or the Directors.
	Facts func(context.Context) (Facts, error)

	// Leads, if given, reports whether this watch is to look, where one of several does.
	// When it is not, it has no alerts. When it comes to lead it goes on where the one
	// before it has left off, if they share the journal.
	Leads func() bool

	// Streaks returns the runs of refusals that are at least so long.
	Streaks func(least int64) []visibility.Streak

	// Journal keeps which alerts fire, for whoever looks next.
	Journal Journal

	// Notify takes a message over, to be delivered until it is.
	Notify func(context.Context, Notice) error

	// Pause pauses a queue.
	Pause func(ctx context.Context, queue centrifuge.QueueKey, why string) error

	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: none
}

// Watch looks once a minute. Alerts is safe for concurrent use.
type Watch struct {
	o Options

	// paused holds how long the streak of a queue was when it was paused; Run's
	// goroutine alone uses it.
	paused map[centrifuge.QueueKey]int64

	// Run's goroutine alone uses these too: what everybody who is to be told was told
	// of and the journal has, and what is still to be told.
	recalled bool
	kept     map[identity]Alert // that fire
	keptOn   visibility.Day     // of the last note
	untold   []change

	// refused are the queues whose credentials were refused before this process
	// began, whose streaks it does not know, and since when it looks.
	refused map[identity]time.Time

	mu struct {
		sync.Mutex
		alerts map[identity]*state
		ended  []Alert
	}
}

// state is a rule that held lately.
type state struct {
	alert Alert
	began time.Time // when the rule began to hold
	held  time.Time // when it was last seen to
	fires bool
}

// keepEnded is how long alerts that ended are shown, and maxEnded how many.
const (
	keepEnded = 24 * time.Hour
	maxEnded  = 500
)

// New makes a watch.
func New(o Options) *Watch {
	o.Rules.Every = cmp.Or(o.Rules.Every, time.Minute)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Watch{o: o, paused: make(map[centrifuge.QueueKey]int64), kept: make(map[identity]Alert), refused: make(map[identity]time.Time)}
	w.mu.alerts = make(map[identity]*state)
	return w
}

// Run looks until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(w.o.Rules.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if w.o.Leads != nil && !w.o.Leads() {
			w.forget()
			continue
		}
		if err := w.Look(ctx); err != nil && ctx.Err() == nil {
			w.o.Logger.Warn("alerts could not be looked for", "error", err)
		}
	}
}

// forget leaves the alerts to whoever looks now.
func (w *Watch) forget() {
	clear(w.paused)
	clear(w.kept)
	clear(w.refused)
	w.recalled, w.untold = false, nil
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.mu.alerts)
	w.mu.ended = nil
}

// Look applies the rules once. What could not be told or kept the last time is, before
// what is new.
func (w *Watch) Look(ctx context.Context) error {
	now := w.o.Now()
	paused := w.pause(ctx)
	if err := w.recall(ctx, now); err != nil {
		return errors.Join(paused, err)
	}
	found, err := w.check(ctx, now)
	if err == nil {
		w.change(w.weigh(now, found))
	}
	return errors.Join(paused, err, w.tell(ctx, now))
}

// pause pauses the queues whose credentials are refused, if the rules say so. One
// that somebody resumes is paused again after as many refusals more.
func (w *Watch) pause(ctx context.Context) error {
	after := w.o.Rules.AuthStreak.Pause
	if after <= 0 {
		return nil
	}
	var failed error
	running := make(map[centrifuge.QueueKey]bool)
	for _, s := range w.o.Streaks(after) {
		running[s.Queue] = true
		if s.Count < w.paused[s.Queue]+after {
			continue
		}
		if err := w.o.Pause(ctx, s.Queue, fmt.Sprintf("%d attempts in a row were answered %d", s.Count, s.Code)); err != nil {
			failed = errors.Join(failed, fmt.Errorf("pause %s: %w", name(s.Queue), err))
			continue
		}
		w.paused[s.Queue] = s.Count
	}
	for queue := range w.paused {
		if !running[queue] {
			delete(w.paused, queue)
		}
	}
	return failed
}

// fires reports whether there is such an alert.
func (w *Watch) fires(id identity) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.mu.alerts[id]
	return s != nil && s.fires
}

// weigh turns findings into alerts, and returns those that began or ended. A rule
// must hold for its time before its alert begins, and must not for a time before it
// ends, so that what comes and goes is one alert.
func (w *Watch) weigh(now time.Time, found []finding) (changed []Alert) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range found {
		f := &found[i]
		s := w.mu.alerts[f.id]
		if s == nil {
			s = &state{began: now, alert: Alert{Rule: f.id.rule, Source: f.id.scope.Source, Destination: f.id.scope.Destination}}
			w.mu.alerts[f.id] = s
		}
		s.held, s.alert.Severity, s.alert.Text = now, f.severity, f.text
		if !s.fires && now.Sub(s.began) >= f.after {
			s.fires, s.alert.Since = true, now
			changed = append(changed, s.alert)
		}
	}
	for id, s := range w.mu.alerts {
		switch {
		case s.held.Equal(now):
		case !s.fires:
			delete(w.mu.alerts, id)
		case now.Sub(s.held) >= w.o.Rules.EndAfter:
			delete(w.mu.alerts, id)
			s.alert.Ended = now
			changed = append(changed, s.alert)
			w.mu.ended = append(w.mu.ended, s.alert)
		}
	}
	w.forgetLocked(now)
	return changed
}

// forgetLocked forgets what ended long ago.
func (w *Watch) forgetLocked(now time.Time) {
	w.mu.ended = slices.DeleteFunc(w.mu.ended, func(a Alert) bool { return now.Sub(a.Ended) > keepEnded })
	w.mu.ended = w.mu.ended[max(0, len(w.mu.ended)-maxEnded):]
}

// Alerts returns those that fire, the newest first, and then those that ended in the
// last day.
func (w *Watch) Alerts(context.Context) ([]Alert, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var fire []Alert
	for _, s := range w.mu.alerts {
		if s.fires {
			fire = append(fire, s.alert)
		}
	}
	slices.SortFunc(fire, func(a, b Alert) int {
		return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Destination, b.Destination), cmp.Compare(a.Source, b.Source))
	})
	for _, a := range slices.Backward(w.mu.ended) {
		fire = append(fire, a)
	}
	return fire, nil
}
