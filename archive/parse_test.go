package archive_test

import (
	"strings"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/archive"
)

func TestParseFilter(t *testing.T) {
	id := jobID(t, noon, 1)
	for terms, want := range map[string]archive.Filter{
		"":                                {},
		"source=a":                        {Source: "a"},
		"source=a=b":                      {Source: "a=b"},
		"destination=b":                   {Destination: "b"},
		"endpoint=https://x/*":            {Endpoint: "https://x/*"},
		"status=503":                      {StatusCode: 503},
		"status=1":                        {StatusCode: 1},
		"status=999":                      {StatusCode: 999},
		"error=ETIMEDOUT":                 {ErrorCode: centrifuge.ErrorTimedOut},
		"error=expired":                   {ErrorCode: centrifuge.ErrorExpired},
		"since=2h":                        {From: noon.Add(-2 * time.Hour)},
		"since=1h30m until=90s":           {From: noon.Add(-90 * time.Minute), To: noon.Add(-90 * time.Second)},
		"since=7d":                        {From: noon.Add(-7 * 24 * time.Hour)},
		"until=0s":                        {To: noon},
		"until=2026-11-22T20:00:00+01:00": {To: noon.Add(7 * time.Hour)},
		"since=2026-11-22T12:00:00.25Z":   {From: noon.Add(250 * time.Millisecond)},
		"job=" + id.String():              {JobID: id},
		"source=a destination=b status=503 error=ETIMEDOUT since=2h until=2026-11-22T20:00:00Z endpoint=https://x/*": {
			Source: "a", Destination: "b", StatusCode: 503, ErrorCode: centrifuge.ErrorTimedOut,
			From: noon.Add(-2 * time.Hour), To: noon.Add(8 * time.Hour), Endpoint: "https://x/*",
		},
	} {
		got, err := archive.ParseFilter(strings.Fields(terms), noon)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v\nwant %+v", terms, got, err, want)
		}
	}
}

func TestParseFilterErrors(t *testing.T) {
	for terms, want := range map[string]string{
		"source":                          "want key=value",
		"=":                               "the value is empty",
		"=a":                              "unknown key",
		"source=":                         "the value is empty",
		"source=a source=b":               "source is given twice",
		"sauce=a":                         "unknown key; want source, destination",
		"status=5xx":                      "from 1 to 999",
		"status=0":                        "from 1 to 999",
		"status=1000":                     "from 1 to 999",
		"status=-1":                       "from 1 to 999",
		"error=E":                         "want one of [ENOTFOUND",
		"since=yesterday":                 "want an age such as 90s, 2h or 7d, or a time",
		"since=-2h":                       "want an age",
		"since=-2d":                       "want an age",
		"since=99999d":                    "want an age",
		"until=0000-01-01T00:00:00Z":      "want an age",
		"since=1h until=2h":               "is not before until",
		"since=1h until=1h":               "is not before until",
		"job=x":                           "27 characters",
		"job=" + centrifuge.ID{}.String(): "zero id",
	} {
		_, err := archive.ParseFilter(strings.Fields(terms), noon)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", terms, err, want)
		}
		if last := terms[strings.LastIndex(terms, " ")+1:]; err != nil && !strings.Contains(want, "until") && !strings.Contains(err.Error(), last) {
			t.Errorf("%s: %v does not name the term", terms, err)
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	f.Add("source=a destination=b status=503 error=ETIMEDOUT")
	f.Add("since=2h until=2026-11-22T20:00:00Z endpoint=https://x/*")
	f.Add("until=0001-01-01T0:00:00Z")
	f.Add("since=7d job=2xuhYqTmg6F5c1Ju3GNzmnEXgTS")
	f.Fuzz(func(t *testing.T, text string) {
		terms := strings.Split(text, " ")
		got, err := archive.ParseFilter(terms, noon)
		if err != nil {
			if got != (archive.Filter{}) || strings.ContainsRune(err.Error(), '\n') {
				t.Errorf("%q: %+v with the error %q", text, got, err)
			}
			return
		}
		if !got.From.IsZero() && !got.To.IsZero() && !got.From.Before(got.To) {
			t.Errorf("%q: from %s to %s", text, got.From, got.To)
		}
		if got == (archive.Filter{}) {
			t.Errorf("%q: chooses everything", text)
		}
		if got.StatusCode < 0 || got.StatusCode > 999 {
			t.Errorf("%q: status %d", text, got.StatusCode)
		}
		if again, err := archive.ParseFilter(terms, noon); err != nil || again != got {
			t.Errorf("%q: %+v, then %+v, %v", text, got, again, err)
		}
	})
}
