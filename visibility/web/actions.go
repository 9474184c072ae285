package web

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"centrifuge"
	"centrifuge/access"
)

// action is a control: what it is called, what it says before it is done, and how
// it is done.
type action struct {
	Verb   string
	Title  string // of the dialog, before the scope's name
	Button string
	Danger bool
	Field  string // what has to be given: rate or weight
	// Effects says what it will do, to how many jobs.
	Effects func(c scope, l *live, own centrifuge.QueuePolicy) []string
	// Do does it, where own is what was said of the scope, and returns on how many jobs.
	Do func(ctx context.Context, s *Site, c scope, own centrifuge.QueuePolicy, value float64) (int, Reach, error)
	// Counts is set if it is done to jobs, whose progress can be followed.
	Counts bool
}

// actionOf is the control of a name.
func actionOf(verb string) (action, error) {
	for _, a := range actions() {
		if a.Verb == verb {
			return a, nil
		}
	}
	return action{}, notFound("there is no control " + verb)
}

func actions() []action {
	policy := func(change func(*centrifuge.QueuePolicy, float64)) func(context.Context, *Site, scope, centrifuge.QueuePolicy, float64) (int, Reach, error) {
		return func(ctx context.Context, s *Site, c scope, own centrifuge.QueuePolicy, value float64) (int, Reach, error) {
			change(&own, value)
			reach, err := s.o.Backends.Queues.SetPolicy(ctx, c.key(), own)
			return 0, reach, err
		}
	}
	return []action{
		{
			Verb: "pause", Title: "Pause", Button: "Pause", Effects: pauseEffects,
			Do: policy(func(p *centrifuge.QueuePolicy, _ float64) { p.Paused = true }),
		},
		{
			Verb: "resume", Title: "Resume", Button: "Resume", Effects: resumeEffects,
			Do: policy(func(p *centrifuge.QueuePolicy, _ float64) { p.Paused = false }),
		},
		{
			Verb: "rate", Title: "Limit the rate of", Button: "Set the rate", Field: "rate", Effects: rateEffects,
			Do: policy(func(p *centrifuge.QueuePolicy, v float64) { p.Rate = v }),
		},
		{
			Verb: "weight", Title: "Set the weight of", Button: "Set the weight", Field: "weight", Effects: weightEffects,
			Do: policy(func(p *centrifuge.QueuePolicy, v float64) { p.Weight = v }),
		},
		{
			Verb: "retry", Title: "Retry now:", Button: "Retry now", Counts: true, Effects: retryEffects,
			Do: func(ctx context.Context, s *Site, c scope, _ centrifuge.QueuePolicy, _ float64) (int, Reach, error) {
				return s.o.Backends.Queues.Retry(ctx, c.selector())
			},
		},
		{
			Verb: "expire", Title: "Expire now:", Button: "Send them to the archive", Danger: true, Counts: true, Effects: expireEffects,
			Do: func(ctx context.Context, s *Site, c scope, _ centrifuge.QueuePolicy, _ float64) (int, Reach, error) {
				return s.o.Backends.Queues.Expire(ctx, c.selector())
			},
		},
	}
}

// queues says how many queues are meant, where that is more than the one.
func queues(c scope, l *live) string {
	if c.Is() == "queue" {
		return "The queue"
	}
	return "All " + plural(l.Queues, "queue") + " of the " + c.Is()
}

func underWay(l *live) string {
	if l.InFlight == 0 {
		return "No request is under way."
	}
	return plural(l.InFlight, "request") + " under way go on to the end."
}

func pauseEffects(c scope, l *live, _ centrifuge.QueuePolicy) []string {
	return []string{
		"Nothing more is sent: " + plural(l.Ready+l.Waiting, "job") + " will wait, and so will those that come.",
		underWay(l),
		"Jobs are still accepted, and still expire when their time runs out.",
	}
}

func resumeEffects(_ scope, l *live, _ centrifuge.QueuePolicy) []string {
	return []string{
		plural(l.Ready, "job") + " may be sent at once, " + plural(l.Waiting, "job") + " when their next attempt is due.",
		"Limits, weights and the outage controller hold as before.",
	}
}

func rateEffects(c scope, l *live, own centrifuge.QueuePolicy) []string {
	now := "There is no limit now."
	if own.Rate > 0 {
		now = "It is " + digits(own.Rate) + " a second now."
	}
	each := ""
	if c.Is() == "source" {
		each = ", each for itself"
	}
	return []string{
		queues(c, l) + each + " will send at most this many jobs a second. " + now,
		plural(l.Pending, "pending job") + " and all that come go by it.",
	}
}

func weightEffects(c scope, l *live, own centrifuge.QueuePolicy) []string {
	now := "1"
	if own.Weight > 0 {
		now = digits(own.Weight)
	}
	return []string{
		"Where several want to send at once, each gets turns in proportion to its weight. It is " + now + " now.",
		"The order of " + plural(l.Pending, "pending job") + " within " + strings.ToLower(queues(c, l)) + " stays as it is.",
	}
}

func retryEffects(_ scope, l *live, _ centrifuge.QueuePolicy) []string {
	effects := []string{plural(l.Waiting, "job") + " that wait for their next attempt become due now."}
	if l.Held() {
		effects = append(effects, "The breaker is open: one request probes at once, and the others follow if it succeeds.")
	}
	if l.AllPaused() {
		effects = append(effects, "It is paused: nothing is sent before it is resumed.")
	}
	return append(effects, "Each of them uses up one of its attempts.")
}

func expireEffects(_ scope, l *live, _ centrifuge.QueuePolicy) []string {
	return []string{
		plural(l.Ready+l.Waiting, "job") + " that wait go to the archive now and are not sent.",
		underWay(l),
		"Nothing is lost: what is in the archive can be replayed.",
	}
}

// planData is a dialog that asks.
type planData struct {
	Action  action
	Scope   scope
	Effects []string
	Value   string // that holds now
}

// plan says what a control will do, and asks.
func (s *Site) plan(w http.ResponseWriter, r *http.Request) error {
	a, c, err := s.control(r)
	if err != nil {
		return err
	}
	var d queueData
	if err := s.liveOf(r, c, &d); err != nil {
		return err
	}
	p := planData{Action: a, Scope: c, Effects: a.Effects(c, &d.Live, d.Own)}
	switch {
	case a.Field == "rate" && d.Own.Rate > 0:
		p.Value = strconv.FormatFloat(d.Own.Rate, 'g', -1, 64)
	case a.Field == "weight" && d.Own.Weight > 0:
		p.Value = strconv.FormatFloat(d.Own.Weight, 'g', -1, 64)
	}
	return s.show(w, r, page{View: "plan", Title: a.Title + " " + c.Text(), Missing: d.Missing, Data: &p})
}

// do does what a control says.
func (s *Site) do(w http.ResponseWriter, r *http.Request) error {
	a, c, err := s.control(r)
	if err != nil {
		return err
	}
	value := 0.0
	if a.Field != "" {
		text := strings.TrimSpace(r.PostFormValue("value"))
		if text != "" {
			if value, err = strconv.ParseFloat(text, 64); err != nil || !(value >= 0) {
				return invalid("a %s is a number that is not negative", a.Field)
			}
		}
	}
	var before queueData
	if err := s.liveOf(r, c, &before); err != nil {
		return err
	}
	n, reach, err := a.Do(r.Context(), s, c, before.Own, value)
	s.shared.forget()
	if err != nil {
		return whatFailed(a.Verb+" "+c.Text(), err)
	}
	return s.showProgress(w, r, progressOf(a, c, n, reach, before.Live.Ledger.Archived))
}

// control reads which control of which scope is meant, and refuses one that the
// principal may not use.
func (s *Site) control(r *http.Request) (action, scope, error) {
	a, err := actionOf(r.PathValue("verb"))
	if err != nil {
		return a, scope{}, err
	}
	c, err := scopeOf(r)
	if err != nil {
		return a, c, err
	}
	if p := access.From(r.Context()); !c.mayOperate(p) {
		return a, c, p.Denied(access.Operate, c.Source)
	}
	return a, c, nil
}
