package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "centrifuge/gen/centrifuge/v1"
)

func ndjson(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"source":"s%d","endpoint":"http://x/"}`+"\n", i)
	}
	return b.String()
}

func readAll(t *testing.T, input string, maxJobs, maxBytes int) []*batch {
	t.Helper()
	var all []*batch
	for source := newBatches(strings.NewReader(input), maxJobs, maxBytes); ; {
		b, err := source.next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
}

func TestBatches(t *testing.T) {
	one := proto.Size(&pb.JobSpec{Source: "s0", Endpoint: "http://x/"})
	for _, tc := range []struct {
		name              string
		input             string
		maxJobs, maxBytes int
		want              [][]int // lines
	}{
		{"nothing", "", 10, 1 << 20, nil},
		{"empty lines only", "\n \n", 10, 1 << 20, nil},
		{"by count", ndjson(5), 2, 1 << 20, [][]int{{1, 2}, {3, 4}, {5}}},
		{"by bytes", ndjson(5), 10, 2 * one, [][]int{{1, 2}, {3, 4}, {5}}},
		{"one larger than a batch", ndjson(2), 10, 1, [][]int{{1}, {2}}},
		{"empty lines count", "\n" + ndjson(1) + "\n\n" + ndjson(1), 10, 1 << 20, [][]int{{2, 5}}},
		{"no newline at the end", strings.TrimSuffix(ndjson(2), "\n"), 10, 1 << 20, [][]int{{1, 2}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got [][]int
			for i, b := range readAll(t, tc.input, tc.maxJobs, tc.maxBytes) {
				got = append(got, b.lines)
				if b.number != i+1 || len(b.jobs) != len(b.lines) {
					t.Errorf("batch %d has number %d, %d jobs, %d lines", i, b.number, len(b.jobs), len(b.lines))
				}
			}
			if !slices.EqualFunc(got, tc.want, slices.Equal) {
				t.Errorf("lines %v, want %v", got, tc.want)
			}
		})
	}
}

func TestBatchErrorsNameTheLine(t *testing.T) {
	for name, input := range map[string]string{
		"not JSON":      ndjson(2) + "{\n",
		"unknown field": ndjson(2) + `{"sauce":"a"}`,
		"too long":      ndjson(2) + `{"source":"` + strings.Repeat("a", maxLine) + `"}`,
	} {
		source := newBatches(strings.NewReader(input), 10, 1<<20)
		if _, err := source.next(); err == nil || !strings.HasPrefix(err.Error(), "line 3: ") {
			t.Errorf("%s: error %v does not name line 3", name, err)
		}
	}
}

func TestTransactionIDs(t *testing.T) {
	ids := func(input, prefix string) (ids []string) {
		for _, b := range readAll(t, input, 2, 1<<20) {
			id, err := b.transactionID(prefix)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		return ids
	}
	first := ids(ndjson(4), "p")
	if again := ids(ndjson(4), "p"); !slices.Equal(first, again) {
		t.Errorf("the same file has %v and then %v", first, again)
	}
	if other := ids(ndjson(4), "q"); other[0] == first[0] {
		t.Error("another prefix has the same id")
	}
	if longer := ids(ndjson(6), "p"); !slices.Equal(longer[:2], first) {
		t.Errorf("what was appended changed %v to %v", first, longer)
	}
	changed := ids(strings.Replace(ndjson(4), "s3", "s9", 1), "p")
	if changed[0] != first[0] || changed[1] == first[1] {
		t.Errorf("a change in the second batch changed %v to %v", first, changed)
	}
	same := ids(strings.Repeat(ndjson(2), 2), "p")
	if same[0] == same[1] {
		t.Error("two batches of equal jobs have the same id: one of them would be taken for the other")
	}
}

func TestParseJob(t *testing.T) {
	job, err := parseJob([]byte(`{"source":"a","payloadJson": {"b" : [1, 2.50]} ,"ttl":"60s"}`))
	if err != nil {
		t.Fatal(err)
	}
	if string(job.GetPayload()) != `{"b" : [1, 2.50]}` || job.GetSource() != "a" || job.GetTtl().GetSeconds() != 60 {
		t.Errorf("got %v", job)
	}
	job, err = parseJob([]byte(`{"payload":"aGk="}`))
	if err != nil || string(job.GetPayload()) != "hi" {
		t.Errorf("got %v, %v", job, err)
	}
	if _, err := parseJob([]byte(`{"payload":"aGk=","payloadJson":1}`)); err == nil {
		t.Error("payload and payloadJson were taken together")
	}
}

func FuzzParseJob(f *testing.F) {
	for _, seed := range []string{`{}`, `{"payloadJson":{"a":1}}`, `{"payload":"aGk=","payloadJson":1}`, `{"headers":[{"name":"a"}]}`, `{"payloadJson":null}`, `["payloadJson"]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		job, err := parseJob(line)
		if err != nil {
			return
		}
		b := &batch{jobs: []*pb.JobSpec{job}}
		one, err := b.transactionID("p")
		if err != nil {
			return // text that is not UTF-8 cannot be sent either
		}
		if two, err := b.transactionID("p"); err != nil || one != two {
			t.Errorf("transaction id %q and then %q, %v", one, two, err)
		}
	})
}
