package web

import (
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/schedule"
	"centrifuge/visibility"
)

// jobData is the page of one job.
type jobData struct {
	Job      centrifuge.Job // secrets redacted
	Scope    scope
	State    centrifuge.State
	Class    string
	Attempts uint32
	Steps    []step
	Due      time.Time // of the next attempt, if one is
	Took     time.Duration
	Payload  string // its beginning, if it is text
	Cut      bool   // it goes on
	Binary   bool
	Curl     string
	Timeout  time.Duration
	Retry    centrifuge.RetryPolicy
}

// step is one thing that happened to a job. An attempt is one step: its beginning
// and its outcome together.
type step struct {
	Class    string // ok, warn, bad, now
	Title    string
	Code     *code
	Begun    time.Time
	Time     time.Time
	Duration time.Duration
	Body     string
	RetryAt  time.Time
	Wait     time.Duration // from this to the next attempt
}

const shownPayload = 4 << 10

func (s *Site) job(w http.ResponseWriter, r *http.Request) error {
	id, err := centrifuge.ParseID(r.PathValue("id"))
	if err != nil {
		return notFound("that is not a job's id, which has 27 letters and digits")
	}
	trace, err := s.o.Backends.Jobs.Get(r.Context(), id)
	if err != nil {
		return whatFailed("get the job", err)
	}
	if p := access.From(r.Context()); !p.MayView(trace.Job.Source) {
		return notFound("there is no job " + id.String() + " here") // whether there is one elsewhere is not said
	}
	d := jobData{Job: trace.Job, Scope: scope(trace.Job.Queue()), Retry: trace.Job.Settings.Retry.WithDefaults(centrifuge.RetryPolicy{})}
	d.Timeout = trace.Job.Settings.Timeout
	if d.Timeout == 0 {
		d.Timeout = centrifuge.DefaultTimeout
	}
	d.Steps = stepsOf(trace.Transitions)
	if n := len(trace.Transitions); n > 0 {
		last := &trace.Transitions[n-1]
		d.State, d.Attempts, d.Class = last.State, last.Attempt, stateTag(last.State)
		if last.State == centrifuge.StateAwaitingRetry {
			d.Due = last.RetryAt
		}
		if last.State.Terminal() {
			d.Took = last.Time.Sub(trace.Job.CreatedAt)
		}
	}
	d.Job.Endpoint, d.Job.Headers = visibility.RedactEndpoint(d.Job.Endpoint), visibility.RedactHeaders(d.Job.Headers)
	d.Payload, d.Cut, d.Binary = preview(trace.Job.Payload)
	d.Curl = curl(&d.Job, d.Binary)
	poll := 0
	if !d.State.Terminal() {
		poll = 2
	}
	return s.show(w, r, page{View: "job", Title: "Job " + id.String(), Section: "jobs", Poll: poll, Data: &d})
}

// stepsOf tells a job's transitions as what happened.
func stepsOf(transitions []centrifuge.Transition) []step {
	var steps []step
	var begun time.Time
	for i := range transitions {
		t := &transitions[i]
		if t.State == centrifuge.StateExecuting {
			begun = t.Time
			if i == len(transitions)-1 {
				steps = append(steps, step{Class: "now", Title: "Attempt " + count(t.Attempt) + " under way", Time: t.Time})
			}
			continue
		}
		next := step{Time: t.Time, Begun: begun, Duration: t.Duration}
		switch t.State {
		case centrifuge.StateAwaitingScheduling:
			next.Title = "Accepted"
		case centrifuge.StateSucceeded:
			next.Class, next.Title = "ok", "Attempt "+count(t.Attempt)+" delivered it"
		case centrifuge.StateDiscarded:
			next.Class, next.Title = "bad", "Attempt "+count(t.Attempt)+" was refused for good"
		case centrifuge.StateAwaitingRetry:
			next.Class, next.Title, next.RetryAt = "warn", "Attempt "+count(t.Attempt)+" failed for now", t.RetryAt
			next.Wait = t.RetryAt.Sub(t.Time)
		case centrifuge.StateArchiving:
			next.Class, next.Title = "warn", "On its way to the archive"
		case centrifuge.StateArchived:
			next.Class, next.Title = "warn", "Archived"
		case centrifuge.StateMoved:
			next.Title = "Moved to another JobDB, where it goes on"
		default:
			next.Title = t.State.String()
		}
		if t.StatusCode != 0 || t.ErrorCode != centrifuge.ErrorNone {
			text, class := string(t.ErrorCode), next.Class
			if text == "" {
				text = count(t.StatusCode)
			}
			next.Code = &code{text, class}
		}
		if t.State != centrifuge.StateArchiving && t.State != centrifuge.StateArchived {
			next.Body = strings.ToValidUTF8(t.Error, "�")
		}
		steps = append(steps, next)
		begun = time.Time{}
	}
	return steps
}

// preview is the beginning of a payload, if it is text.
func preview(payload []byte) (text string, cut, binary bool) {
	if len(payload) > shownPayload {
		payload, cut = payload[:shownPayload], true
		for len(payload) > 0 && !utf8.RuneStart(payload[len(payload)-1]) {
			payload = payload[:len(payload)-1]
		}
		if n := len(payload); n > 0 && payload[n-1] >= utf8.RuneSelf {
			payload = payload[:n-1]
		}
	}
	if !utf8.Valid(payload) || strings.ContainsRune(string(payload), 0) {
		return "", cut, true
	}
	return string(payload), cut, false
}

// search leads to a job, a source or a destination.
func (s *Site) search(w http.ResponseWriter, r *http.Request) error {
	text := strings.TrimSpace(r.URL.Query().Get("q"))
	to := link("/destinations", "q", text)
	if _, err := centrifuge.ParseID(text); err == nil {
		to = "/jobs/" + text
	} else if text != "" {
		for _, c := range []scope{{Destination: text}, {Source: text}} {
			known, err := s.known(r, c)
			if err != nil {
				return err
			}
			if known {
				to = c.Link()
			}
		}
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// known reports whether there is a queue of the scope that the viewer may see.
func (s *Site) known(r *http.Request, c scope) (bool, error) {
	now, err := s.survey(r.Context(), c.selector())
	if err != nil {
		return false, err
	}
	p := access.From(r.Context())
	return slices.ContainsFunc(now.Queues, func(q schedule.QueueInfo) bool { return visible(p, q.Queue) }), nil
}
