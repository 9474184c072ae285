package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// instant is a time in JSON: RFC 3339 in UTC with milliseconds.
type instant time.Time

const instantForm = "2006-01-02T15:04:05.000Z"

func (i instant) IsZero() bool { return time.Time(i).IsZero() }

func (i instant) MarshalJSON() ([]byte, error) {
	t := time.Time(i).UTC()
	if t.Year() < 0 || t.Year() > 9999 {
		return nil, fmt.Errorf("year %d is beyond RFC 3339", t.Year())
	}
	return t.AppendFormat(nil, `"`+instantForm+`"`), nil
}

func (i *instant) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return err
	}
	t = t.UTC().Truncate(time.Millisecond)
	if t.Year() < 0 || t.Year() > 9999 {
		return fmt.Errorf("time %q is beyond RFC 3339 in UTC", s)
	}
	*i = instant(t)
	return nil
}

// millis is a duration in JSON: a decimal number of milliseconds, exact to the
// nanosecond.
type millis time.Duration

func (m millis) MarshalJSON() ([]byte, error) {
	whole, rest := int64(m)/1e6, int64(m)%1e6
	if rest == 0 {
		return strconv.AppendInt(nil, whole, 10), nil
	}
	sign := ""
	if m < 0 {
		sign, whole, rest = "-", -whole, -rest
	}
	return bytes.TrimRight(fmt.Appendf(nil, "%s%d.%06d", sign, whole, rest), "0"), nil
}

func (m *millis) UnmarshalJSON(b []byte) error {
	d, err := time.ParseDuration(string(b) + "ms")
	if err != nil {
		return fmt.Errorf("%s is not a number of milliseconds", b)
	}
	*m = millis(d)
	return nil
}
