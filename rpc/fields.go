package rpc

import (
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"centrifuge"
	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
)

// fields reads the fields of a message and keeps the first fault it finds, so
// that a conversion reads as a list of fields with one check at its end.
type fields struct {
	index int // of the job in its Submit, -1 if the message is no job
	err   error
}

// fail notes that a field, named as in the schema, cannot be accepted.
func (f *fields) fail(field, format string, args ...any) {
	if f.err == nil {
		f.err = &director.InvalidError{Index: f.index, Field: field, Reason: fmt.Sprintf(format, args...)}
	}
}

// id reads an id; empty is the zero ID.
func (f *fields) id(field, text string) centrifuge.ID {
	if text == "" {
		return centrifuge.ID{}
	}
	id, err := centrifuge.ParseID(text)
	switch {
	case err != nil:
		f.fail(field, "is %q; want 27 characters of base62 (a KSUID)", clip(text))
	case id.IsZero():
		f.fail(field, "is the zero id, which names no job")
	}
	return id
}

// duration reads a length of time; absent is 0, which a given one cannot be.
func (f *fields) duration(field string, d *durationpb.Duration) time.Duration {
	switch {
	case d == nil:
		return 0
	case !d.IsValid():
		f.fail(field, "is not a duration: %v", d.CheckValid())
	case d.AsDuration() < time.Millisecond:
		f.fail(field, "is %s; give at least 1ms, or leave it out for the default", d.AsDuration())
	}
	return d.AsDuration()
}

// time reads a time, in milliseconds and UTC; absent is the zero time.
func (f *fields) time(field string, ts *timestamppb.Timestamp) time.Time {
	if ts == nil {
		return time.Time{}
	}
	t := ts.AsTime().Truncate(time.Millisecond)
	switch {
	case !ts.IsValid():
		f.fail(field, "is not a time: %v", ts.CheckValid())
	case t.IsZero():
		f.fail(field, "is the beginning of the year 1; leave it out for the default")
	}
	return t
}

// retry reads a retry policy; absent is the zero policy. The name of its own
// field is put before theirs.
func (f *fields) retry(field string, p *pb.RetryPolicy) centrifuge.RetryPolicy {
	return centrifuge.RetryPolicy{
		MinBackoff:  f.duration(field+".min_backoff", p.GetMinBackoff()),
		MaxBackoff:  f.duration(field+".max_backoff", p.GetMaxBackoff()),
		MaxAttempts: p.GetMaxAttempts(),
	}
}

// number reads a finite number that is not negative.
func (f *fields) number(field string, n float64) float64 {
	if !(n >= 0) || math.IsInf(n, 1) {
		f.fail(field, "is %v; want 0 or a positive number", n)
	}
	return n
}

// count reads a count, which is not negative.
func (f *fields) count(field string, n int32) int {
	if n < 0 {
		f.fail(field, "is %d; want 0 or more", n)
	}
	return int(n)
}

// pageSize reads how many items a page may have; 0 is the default, and what is
// above the most is the most.
func (f *fields) pageSize(n int32, byDefault int) int {
	if size := f.count("page_size", n); size > 0 {
		return min(size, maxPage)
	}
	return byDefault
}

// maxPage is how many items a page has at most.
const maxPage = 1000

// clip keeps a wrong value short enough to be told back.
func clip(text string) string {
	if len(text) > 64 {
		return text[:64] + "…"
	}
	return text
}
