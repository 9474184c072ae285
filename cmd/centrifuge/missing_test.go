package main

import (
	"bytes"
	"testing"

	pb "centrifuge/gen/centrifuge/v1"
)

func TestWhatIsMissingOnTheCommandLine(t *testing.T) {
	missing := []*pb.Missing{
		{Director: "b", Reason: "no answer within 3s"},
		{Director: "c", Jobdb: "jobdb-000003", Reason: "nobody has it"},
		{Jobdb: "jobdb-000004", Reason: "on its way"},
		{Reason: "the catalog does not answer"},
	}
	var out bytes.Buffer
	if err := tellMissing(&out, missing); err != nil {
		t.Fatal(err)
	}
	want := "INCOMPLETE, without b (no answer within 3s); c, jobdb-000003 (nobody has it); jobdb-000004 (on its way); the catalog does not answer\n"
	if out.String() != want {
		t.Errorf("told %q, want %q", out.String(), want)
	}
	for _, test := range []struct {
		answer reached
		at     string
		err    string
	}{
		{&pb.RetryResponse{Directors: 1}, "", ""},
		{&pb.SetPolicyResponse{Directors: 3}, ", at all 3 Directors", ""},
		{&pb.ExpireResponse{Directors: 1, Missing: missing[:1]}, ", at 1 of 2 Directors", "1 of 2 Directors were reached, and not b (no answer within 3s)"},
	} {
		got := ""
		if err := missed(test.answer); err != nil {
			got = err.Error()
		}
		if at(test.answer) != test.at || got != test.err {
			t.Errorf("%v: %q and %q, want %q and %q", test.answer, at(test.answer), got, test.at, test.err)
		}
	}
}
