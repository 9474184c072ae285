package visibility

import (
	"errors"
	"testing"
	"time"

	"centrifuge"
)

// Whatever lies on the disk, reading it ends: with what was written, or with an
// error that says it is damaged, and without making more of it than it is.
func FuzzRead(f *testing.F) {
	var c cell
	c.n[nAccepted], c.n[nDeliveredBytes] = 3, 1<<40
	c.code(codeKey(centrifuge.OutcomeSucceeded, 200), 7)
	c.deliveredBy(3, 2)
	c.latency.add(12, 5)
	c.latency.add(700, 1)
	f.Add(c.appendSketches(c.appendCounts([]byte{0})))
	f.Add(appendSample(nil, &Sample{Source: "s", Method: "POST", RequestHeaders: []centrifuge.Header{{Name: "a", Value: "b"}}}))
	names := newNames(10)
	ids := names.give(centrifuge.QueueKey{Source: "s", Destination: "d"})
	f.Add(names.appendName(nil, kindQueue, ids[kindQueue]))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := reader{b: data}
		var c cell
		for r.more() {
			r.uvarint()
			c.readCounts(&r)
			c.readSketches(&r)
		}
		damaged(t, r.err)
		c.counts()
		r = reader{b: data}
		var none *cell
		none.readCounts(&r)
		none.readSketches(&r)
		damaged(t, r.err)
		_, err := readSample(data)
		damaged(t, err)
		damaged(t, newNames(10).readNames(1, data))
	})
}

func damaged(t *testing.T, err error) {
	if err != nil && !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
}

// Codes keep their numbers, and every error there is has one.
func TestCodes(t *testing.T) {
	for _, e := range centrifuge.ErrorCodes {
		if got := codeOfNumber(Code{Error: e}.number()); got.Error != e {
			t.Errorf("%s is stored as %s", e, got)
		}
	}
	for _, status := range []int{1, 99, 200, 503, 999} {
		code := Code{Status: status}
		if got := codeOfNumber(code.number()); got != code || ParseCode(code.String()) != code {
			t.Errorf("%s is stored as %s", code, got)
		}
	}
	for _, odd := range []Code{{Status: -4}, {Status: 70000}, {Error: "ENEW"}} {
		if got := codeOfNumber(odd.number()); got.Error != ErrorOther {
			t.Errorf("%s is stored as %s", odd, got)
		}
	}
	if storedErrors[1] != "ENOTFOUND" || storedErrors[len(storedErrors)-1] != "ATTEMPTS" {
		t.Error("the numbers of errors have changed")
	}
}

func TestDays(t *testing.T) {
	for _, at := range []time.Time{time.Unix(0, 0), time.Unix(-1, 0), time.Unix(1e9, 5), time.Unix(-86400, 0)} {
		d := DayOf(at)
		if back, err := ParseDay(d.String()); err != nil || back != d {
			t.Errorf("%v is the day %v, read back as %v, %v", at, d, back, err)
		}
		if m := minuteOf(at); m.time().After(at) || at.Sub(m.time()) >= time.Minute || m.ofDay() < 0 || d.first()+minute(m.ofDay()) != m {
			t.Errorf("%v is in the minute %v, %d of its day", at, m.time(), m.ofDay())
		}
	}
}
