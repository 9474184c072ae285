package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Source is who sends notices. Alerts about it are shown and not sent: a target that
// refuses them would be told of that for ever.
const Source = "centrifuge-alerts"

// change is an alert that began or ended, and who has still to be told of it.
type change struct {
	alert Alert
	to    []Target
}

// maxUntold bounds how many changes wait to be told or kept; the oldest go.
const maxUntold = 10_000

// change takes up what is to be told.
func (w *Watch) change(changed []Alert) {
	for i := range changed {
		c := change{alert: changed[i]}
		if c.alert.Source != Source {
			c.to = append(c.to, w.o.Rules.Notify...)
		}
		w.untold = append(w.untold, c)
	}
	w.untold = w.untold[max(0, len(w.untold)-maxUntold):]
}

// tell hands a message for each target to Centrifuge, and then keeps what all targets
// were told of. What fails is tried again at the next look, in the order in which it
// happened. So a process that dies in between tells something twice, not never.
func (w *Watch) tell(ctx context.Context, now time.Time) error {
	var (
		failed error
		later  []change
		told   []Alert
		away   = make(map[Target]bool) // to which nothing goes in this look any more
	)
	for _, c := range w.untold {
		var left []Target
		for _, t := range c.to {
			if !away[t] {
				if err := w.notify(ctx, &c.alert, t); err != nil {
					failed = errors.Join(failed, err)
					away[t] = true
				}
			}
			if away[t] {
				left = append(left, t)
			}
		}
		if len(left) > 0 {
			later = append(later, change{c.alert, left})
			continue
		}
		told = append(told, c.alert)
	}
	w.untold = later
	if err := w.keep(ctx, now, told); err != nil {
		w.untold = nil
		for i := range told {
			w.untold = append(w.untold, change{alert: told[i]}) // to nobody, but to the journal
		}
		w.untold = append(w.untold, later...)
		failed = errors.Join(failed, err)
	}
	return failed
}

func (w *Watch) notify(ctx context.Context, a *Alert, t Target) error {
	body, err := message(a, t.Format)
	if err == nil {
		err = w.o.Notify(ctx, Notice{Endpoint: t.URL, ContentType: "application/json", Body: body})
	}
	if err != nil {
		return fmt.Errorf("notify of %s: %w", a.Rule, err)
	}
	return nil
}

// message is an alert as a target is told of it.
func message(a *Alert, format string) ([]byte, error) {
	if format == "slack" {
		mark := map[Severity]string{Warning: ":warning:", Critical: ":rotating_light:"}[a.Severity]
		if !a.Ended.IsZero() {
			mark = ":white_check_mark: over:"
		}
		return json.Marshal(struct {
			Text string `json:"text"`
		}{mark + " " + a.Text})
	}
	out := struct {
		Rule        string     `json:"rule"`
		Severity    Severity   `json:"severity"`
		State       string     `json:"state"`
		Source      string     `json:"source,omitempty"`
		Destination string     `json:"destination,omitempty"`
		Text        string     `json:"text"`
		Since       time.Time  `json:"since"`
		Ended       *time.Time `json:"ended,omitempty"`
	}{a.Rule, a.Severity, "firing", a.Source, a.Destination, a.Text, a.Since.UTC(), nil}
	if !a.Ended.IsZero() {
		ended := a.Ended.UTC()
		out.State, out.Ended = "ended", &ended
	}
	return json.Marshal(out)
}
