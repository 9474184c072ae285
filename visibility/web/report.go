package web

import (
	"context"
	"net/http"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/visibility"
)

// reportData is the study of the answers that deliveries got in a time.
type reportData struct {
	Picker  picker
	Over    visibility.Range
	Counts  visibility.Counts
	Answers []answers
	Retries []gain
	Gaps    []visibility.Gap
}

// answers are those of one kind, by code, most frequent first.
type answers struct {
	Key, Title, Hint string
	Class            string
	Codes            []visibility.CodeCount
	Total            int64
	Attempts         int64 // of all kinds
}

// Of is a count's share of all attempts.
func (a answers) Of(n int64) float64 { return float64(n) / float64(max(1, a.Attempts)) }

// gain is what an attempt delivered.
type gain struct {
	attemptRow
	Gained float64 // share of ended jobs that this attempt delivered
}

func (s *Site) report(w http.ResponseWriter, r *http.Request) error {
	pick := pickerFrom(r, "24h")
	over := pick.Chosen.Range(s.o.Now())
	d, err := gathered(r.Context(), s.shared, "report "+reach(r.Context(), over), func(ctx context.Context) (reportData, error) {
		return s.gatherReport(ctx, over)
	})
	if err != nil {
		return whatFailed("read the history", err)
	}
	d.Picker = pick
	return s.show(w, r, page{View: "report", Title: "Report", Section: "report", Poll: 15, Data: &d})
}

func (s *Site) gatherReport(ctx context.Context, over visibility.Range) (reportData, error) {
	d := reportData{Over: over}
	filter := visibility.Filter{Among: access.From(ctx).Sources}
	sum, err := s.history().Summary(ctx, filter, over)
	if err != nil {
		return d, err
	}
	d.Counts = sum.Counts
	codes, err := s.history().Breakdown(ctx, filter, over)
	if err != nil {
		return d, err
	}
	d.Answers = answersOf(codes, d.Counts.Attempts())
	attempts, err := s.history().ByAttempt(ctx, filter, over)
	if err != nil {
		return d, err
	}
	for _, row := range attemptRows(attempts, d.Counts.Ended()) {
		d.Retries = append(d.Retries, gain{row, float64(row.Succeeded) / float64(max(1, row.Ended))})
	}
	d.Gaps, err = s.history().Gaps(ctx, over)
	return d, err
}

// answersOf sorts the codes of failed attempts by what they mean.
func answersOf(codes []visibility.CodeCount, attempts int64) []answers {
	all := []answers{
		{Key: "terminal", Title: "Terminal answers", Hint: "the job is discarded", Class: "f-discarded"},
		{Key: "ephemeral", Title: "Ephemeral answers", Hint: "the job is retried", Class: "f-retried"},
		{Key: "network", Title: "Errors without an answer", Hint: "of the network, by name", Class: "f-archived"},
	}
	for _, c := range codes {
		kind := &all[1]
		switch {
		case c.Outcome == centrifuge.OutcomeSucceeded:
			continue
		case c.Code.Error != centrifuge.ErrorNone:
			kind = &all[2]
		case c.Outcome == centrifuge.OutcomeDiscarded:
			kind = &all[0]
		}
		kind.Codes = append(kind.Codes, c)
		kind.Total += c.Count
	}
	for i := range all {
		all[i].Attempts = attempts
	}
	return all
}

// Lines are what jobs came to, as the report lists it.
func (d *reportData) Lines() []reportLine {
	c := &d.Counts
	return []reportLine{
		{"ended", "Ended", c.Ended(), "", false},
		{"delivered", "Delivered", c.Succeeded, "f-succeeded", false},
		{"first", "at the first attempt", c.FirstAttempt, "f-succeeded", true},
		{"retried", "after retries", c.Succeeded - c.FirstAttempt, "f-retried", true},
		{"undelivered", "Not delivered", c.Discarded + c.Archived, "f-archived", false},
		{"discarded", "refused for good", c.Discarded, "f-discarded", true},
		{"archived", "archived", c.Archived, "f-archived", true},
	}
}

type reportLine struct {
	Key, Title string
	Jobs       int64
	Class      string
	Part       bool // of the line above it
}

// Of is a number of jobs as a share of those that ended.
func (d *reportData) Of(jobs int64) float64 { return float64(jobs) / float64(max(1, d.Counts.Ended())) }
