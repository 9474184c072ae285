package alert

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"go.yaml.in/yaml/v3"
)

// Rules are when alerts begin and end, and who is told. A rule of which a
// threshold is 0 is off.
type Rules struct {
	// Every is the time between two looks, at least 1 s.
	Every time.Duration `yaml:"every"`

	// EndAfter is how long a rule must not hold any more before its alert ends.
	EndAfter time.Duration `yaml:"end_after"`

	SuccessRate struct {
		Below    float64       `yaml:"below"`     // share of ended jobs that were delivered, 0 to 1
		EndAbove float64       `yaml:"end_above"` // it holds until the share is above this
		Window   time.Duration `yaml:"window"`    // over this time
		MinJobs  int64         `yaml:"min_jobs"`  // of destinations with at least so many ended jobs
	} `yaml:"success_rate"`

	OldestWaiting struct {
		Above time.Duration `yaml:"above"` // age of the oldest pending job
	} `yaml:"oldest_waiting"`

	Drain struct {
		Longer  time.Duration `yaml:"longer"`   // than this a queue takes to drain at its present rate
		MinJobs int64         `yaml:"min_jobs"` // of queues with at least so many waiting jobs
	} `yaml:"drain"`

	BreakerOpen struct {
		For time.Duration `yaml:"for"` // open for so long
	} `yaml:"breaker_open"`

	AuthStreak struct {
		Count int64 `yaml:"count"` // 401 or 403 in a row, of one queue
		Pause int64 `yaml:"pause"` // so many in a row pause the queue; 0 never does
	} `yaml:"auth_streak"`

	Ledger struct {
		For time.Duration `yaml:"for"` // out of balance for so long
	} `yaml:"ledger"`

	Notify []Target `yaml:"notify"`
}

// Target is who is told of alerts.
type Target struct {
	URL    string `yaml:"url"`
	Format string `yaml:"format"` // webhook (the default): the alert as JSON; slack: a message
}

// Defaults are the rules that hold where the file says nothing.
func Defaults() Rules {
	var r Rules
	r.Every, r.EndAfter = time.Minute, 5*time.Minute
	r.SuccessRate.Below, r.SuccessRate.EndAbove = 0.90, 0.93
	r.SuccessRate.Window, r.SuccessRate.MinJobs = 15*time.Minute, 100
	r.OldestWaiting.Above = 3 * time.Hour
	r.Drain.Longer, r.Drain.MinJobs = 2*time.Hour, 1000
	r.BreakerOpen.For = 10 * time.Minute
	r.AuthStreak.Count = 25
	r.Ledger.For = 3 * time.Minute
	return r
}

// ParseRules reads a file of rules over the defaults. Names that no rule has are
// errors.
func ParseRules(text []byte) (Rules, error) {
	r := Defaults()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&r); err != nil && !errors.Is(err, io.EOF) {
		return r, fmt.Errorf("read the rules of alerts: %w", err)
	}
	return r, r.check()
}

func (r *Rules) check() error {
	switch s := &r.SuccessRate; {
	case r.Every < time.Second:
		return errors.New("rules of alerts: every is below a second")
	case r.EndAfter < 0 || s.Window < 0 || r.OldestWaiting.Above < 0 || r.Drain.Longer < 0 || r.BreakerOpen.For < 0 || r.Ledger.For < 0,
		s.MinJobs < 0 || r.Drain.MinJobs < 0 || r.AuthStreak.Count < 0 || r.AuthStreak.Pause < 0:
		return errors.New("rules of alerts: a number is negative")
	case !(s.Below >= 0 && s.Below <= 1) || !(s.EndAbove >= s.Below && s.EndAbove <= 1):
		return fmt.Errorf("rules of alerts: success_rate: want 0 <= below <= end_above <= 1, not %v and %v", s.Below, s.EndAbove)
	case s.Below > 0 && s.Window < time.Minute:
		return errors.New("rules of alerts: success_rate: the window is below a minute")
	}
	for _, t := range r.Notify {
		u, err := url.Parse(t.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("rules of alerts: notify: %q is no http or https URL", t.URL)
		}
		if t.Format != "" && t.Format != "webhook" && t.Format != "slack" {
			return fmt.Errorf("rules of alerts: notify: format %q: want webhook or slack", t.Format)
		}
	}
	return nil
}
