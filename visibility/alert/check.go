package alert

import (
	"context"
	"fmt"
	"time"

	"centrifuge/visibility"
)

// finding is a rule that holds of something at the moment.
type finding struct {
	id       identity
	severity Severity
	text     string
	after    time.Duration // it must have held for so long before it is an alert
}

// identity tells one alert from another.
type identity struct {
	rule  string
	scope Scope
}

// The rules by their names in the file.
const (
	ruleSuccess = "success_rate"
	ruleOldest  = "oldest_waiting"
	ruleDrain   = "drain"
	ruleBreaker = "breaker_open"
	ruleAuth    = "auth_streak"
	ruleLedger  = "ledger"
)

// most is how many destinations and queues are looked at, those with the most
// failures and the most traffic first.
const most = 1000

// check applies the rules.
func (w *Watch) check(ctx context.Context, now time.Time) ([]finding, error) {
	facts, err := w.o.Facts(ctx)
	if err != nil {
		return nil, fmt.Errorf("see how the Director stands: %w", err)
	}
	found := w.standing(now, &facts)
	success, err := w.success(ctx, now)
	if err != nil {
		return nil, err
	}
	drain, err := w.drain(ctx, now, &facts)
	if err != nil {
		return nil, err
	}
	auth, err := w.auth(ctx, now)
	if err != nil {
		return nil, err
	}
	return append(append(append(found, success...), drain...), auth...), nil
}

// standing applies the rules that need no history.
func (w *Watch) standing(now time.Time, facts *Facts) []finding {
	var found []finding
	r := &w.o.Rules
	if age := now.Sub(facts.Oldest); r.OldestWaiting.Above > 0 && !facts.Oldest.IsZero() && age > r.OldestWaiting.Above {
		found = append(found, finding{
			identity{ruleOldest, Scope{}}, Warning, fmt.Sprintf("the oldest job has been waiting for %s", short(age)), 0,
		})
	}
	if r.BreakerOpen.For > 0 {
		for _, b := range facts.Breakers {
			found = append(found, finding{
				identity{ruleBreaker, b.Scope},
				Warning,
				fmt.Sprintf("%s fails, and its breaker has been open for more than %s", name(b.Scope), short(r.BreakerOpen.For)), r.BreakerOpen.For,
			})
		}
	}
	if r.Ledger.For > 0 && facts.Off != 0 {
		found = append(found, finding{
			identity{ruleLedger, Scope{}}, Critical, fmt.Sprintf("the ledger is out of balance by %d jobs", facts.Off), r.Ledger.For,
		})
	}
	return found
}

func (w *Watch) success(ctx context.Context, now time.Time) ([]finding, error) {
	r := &w.o.Rules.SuccessRate
	if r.Below <= 0 {
		return nil, nil
	}
	rows, err := w.o.History.Top(ctx, visibility.ByDestination, visibility.Filter{}, visibility.Last(now, r.Window), visibility.OrderFailures, most)
	if err != nil {
		return nil, fmt.Errorf("see how deliveries went: %w", err)
	}
	var found []finding
	for i := range rows {
		row := &rows[i]
		id := identity{ruleSuccess, Scope{Destination: row.Destination}}
		bound := r.Below
		if w.fires(id) {
			bound = r.EndAbove
		}
		if share, ok := row.SuccessShare(); ok && row.Ended() >= r.MinJobs && share < bound {
			found = append(found, finding{id, Warning, fmt.Sprintf(
				"%.1f %% of the jobs for %s that ended in the last %s were delivered", 100*share, row.Destination, short(r.Window)), 0})
		}
	}
	return found, nil
}

// drainWindow is the time over which the rate of a queue is taken.
const drainWindow = 15 * time.Minute

func (w *Watch) drain(ctx context.Context, now time.Time, facts *Facts) ([]finding, error) {
	r := &w.o.Rules.Drain
	deep := make(map[Scope]int64)
	for _, q := range facts.Queues {
		if r.Longer > 0 && q.Jobs >= max(r.MinJobs, 1) && !q.Paused {
			deep[q.Queue] = q.Jobs
		}
	}
	if len(deep) == 0 {
		return nil, nil
	}
	rows, err := w.o.History.Top(ctx, visibility.ByQueue, visibility.Filter{}, visibility.Last(now, drainWindow), visibility.OrderVolume, most)
	if err != nil {
		return nil, fmt.Errorf("see how fast queues drain: %w", err)
	}
	ended := make(map[Scope]int64, len(rows))
	for i := range rows {
		ended[Scope{Source: rows[i].Source, Destination: rows[i].Destination}] = rows[i].Ended()
	}
	var found []finding
	for queue, jobs := range deep {
		text := fmt.Sprintf("%d jobs of %s wait and none has ended in the last %s", jobs, name(queue), short(drainWindow))
		if n := ended[queue]; n > 0 {
			// In floating point: the time may be longer than a Duration holds.
			takes := float64(jobs) / float64(n) * float64(drainWindow)
			if takes <= float64(r.Longer) {
				continue
			}
			text = fmt.Sprintf("%d jobs of %s wait, which at the present rate takes %s: some may expire before",
				jobs, name(queue), short(time.Duration(min(takes, float64(1000*time.Hour)))))
		}
		found = append(found, finding{identity{ruleDrain, queue}, Warning, text, drainWindow})
	}
	return found, nil
}

func (w *Watch) auth(ctx context.Context, now time.Time) ([]finding, error) {
	r := &w.o.Rules.AuthStreak
	if r.Count <= 0 {
		return nil, nil
	}
	var found []finding
	for _, s := range w.o.Streaks(r.Count) {
		text := fmt.Sprintf("%d attempts of %s in a row were answered %d: its credentials are refused", s.Count, name(s.Queue), s.Code)
		if _, paused := w.paused[s.Queue]; paused {
			text += "; the queue was paused for that"
		}
		id := identity{ruleAuth, s.Queue}
		delete(w.refused, id)
		found = append(found, finding{id, Critical, text, 0})
	}
	for id, since := range w.refused {
		of := visibility.Filter{Source: id.scope.Source, Destination: id.scope.Destination}
		rows, err := w.o.History.Top(ctx, visibility.ByQueue, of, visibility.Range{From: since, To: now.Add(time.Minute)}, visibility.OrderVolume, 1)
		if err != nil {
			return nil, fmt.Errorf("see whether the credentials of %s are accepted: %w", name(id.scope), err)
		}
		if len(rows) > 0 && rows[0].Succeeded > 0 {
			delete(w.refused, id)
			continue
		}
		found = append(found, finding{id, Critical, w.kept[id].Text, 0})
	}
	return found, nil
}

// name is how a scope is called in a sentence.
func name(s Scope) string {
	switch {
	case s.Source == "":
		return s.Destination
	case s.Destination == "":
		return s.Source
	default:
		return s.Source + " to " + s.Destination
	}
}

// short is a duration without what is too small to matter.
func short(d time.Duration) string {
	switch {
	case d >= time.Hour:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%d h %d min", int(d/time.Hour), int(d%time.Hour/time.Minute))
	case d >= time.Minute:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute)/time.Minute))
	default:
		return d.Round(time.Second).String()
	}
}
