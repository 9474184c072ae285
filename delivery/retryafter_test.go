package delivery

import (
	"net/http"
	"testing"
	"time"
)

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2018, 8, 7, 12, 0, 0, 0, time.UTC)
	later := now.Add(90 * time.Second)
	for value, want := range map[string]time.Duration{
		"":                            0,
		"0":                           0,
		"120":                         2 * time.Minute,
		"  7 ":                        7 * time.Second,
		"86400":                       24 * time.Hour,
		"86401":                       24 * time.Hour,
		"99999999999999999999":        24 * time.Hour,
		"-5":                          0,
		"+5":                          0,
		"1.5":                         0,
		"5s":                          0,
		"soon":                        0,
		later.Format(http.TimeFormat): 90 * time.Second,
		later.Format("Monday, 02-Jan-06 15:04:05 GMT"): 90 * time.Second,
		later.Format(time.ANSIC):                       90 * time.Second,
		"Tue, 07 Aug 2018 11:00:00 GMT":                0,
		"Thu, 07 Aug 2098 11:00:00 GMT":                24 * time.Hour,
		"Fri, 31 Dec 9999 23:59:59 GMT":                24 * time.Hour,
		"Mon, 01 Jan 0001 00:00:00 GMT":                0,
	} {
		if got := parseRetryAfter(value, now); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	f.Add("120", int64(0))
	f.Add("Tue, 07 Aug 2018 11:00:00 GMT", int64(1533643200))
	f.Add("99999999999999999999", int64(-1))
	f.Fuzz(func(t *testing.T, value string, now int64) {
		if got := parseRetryAfter(value, time.Unix(now, 0)); got < 0 || got > maxRetryAfter {
			t.Errorf("%q at %d: %v", value, now, got)
		}
	})
}
