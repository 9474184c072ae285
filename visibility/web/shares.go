package web

import (
	"centrifuge"
	"centrifuge/visibility"
)

// ratio is a share of 0 to 1, if there is one.
type ratio struct {
	Share float64
	OK    bool
}

// Class marks what deserves a look.
func (r ratio) Class() string {
	switch {
	case !r.OK || r.Share >= 0.95:
		return ""
	case r.Share >= 0.7:
		return "warn"
	default:
		return "bad"
	}
}

func ratioOf(share float64, ok bool) ratio { return ratio{share, ok} }

// whole is a sum with its parts.
type whole struct {
	Parts []share
	Total int64
}

func wholeOf(parts []share) whole {
	w := whole{Parts: parts}
	for _, p := range parts {
		w.Total += p.Count
	}
	return w
}

// Of is the share that a part has.
func (w whole) Of(part int64) float64 {
	if w.Total == 0 {
		return 0
	}
	return float64(part) / float64(w.Total)
}

// ends are what jobs came to.
func ends(c visibility.Counts) []share {
	return []share{
		{"f-succeeded", "First attempt", c.FirstAttempt},
		{"f-retried", "After retries", c.Succeeded - c.FirstAttempt},
		{"f-discarded", "Discarded", c.Discarded},
		{"f-archived", "Archived", c.Archived},
	}
}

// codeOf shows a code with the class of what it meant.
func codeOf(c visibility.Code, outcome centrifuge.Outcome) code {
	text := c.String()
	if c == (visibility.Code{}) {
		text = "none"
	}
	switch outcome {
	case centrifuge.OutcomeSucceeded:
		return code{text, "ok"}
	case centrifuge.OutcomeRetry:
		return code{text, "warn"}
	default:
		return code{text, "bad"}
	}
}

// classify is what an attempt with the code meant, as far as the code alone tells.
func classify(c visibility.Code) centrifuge.Outcome {
	if c.Error != centrifuge.ErrorNone {
		return centrifuge.ClassifyError(c.Error)
	}
	return centrifuge.ClassifyStatus(c.Status)
}
