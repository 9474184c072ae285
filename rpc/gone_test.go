package rpc

import (
	"errors"
	"testing"

	"connectrpc.com/connect"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/jobdb"
)

// Why a job is not known any more is told to those who may see every job. To others
// a job that is gone, one that never was and one of somebody else's are the same.
func TestGone(t *testing.T) {
	gone := &director.GoneError{Reason: "jobdb-000001 was dropped"}
	theirs, vanished, never := centrifuge.ID{1}, centrifuge.ID{2}, centrifuge.ID{3}
	backend := &fake{get: func(id centrifuge.ID) (jobdb.Trace, error) {
		switch id {
		case theirs:
			return jobdb.Trace{Job: centrifuge.Job{ID: id, Source: "theirs"}}, nil
		case vanished:
			return jobdb.Trace{}, gone
		}
		return jobdb.Trace{}, director.ErrNotFound
	}}
	s := &jobService{backend: backend}
	ask := func(p access.Principal, id centrifuge.ID) *connect.Error {
		t.Helper()
		_, err := s.Get(access.With(t.Context(), p), connect.NewRequest(&pb.GetRequest{Id: id.String()}))
		if err == nil {
			t.Fatalf("%s was told of %s", p.Name, id)
		}
		answer, known := answerTo(err)
		if answer.Code() != connect.CodeNotFound || !known || !errors.Is(err, director.ErrNotFound) {
			t.Errorf("%s was answered %v", p.Name, answer)
		}
		return answer
	}
	if answer := ask(access.Principal{Role: access.Viewer}, vanished); answer.Message() != gone.Reason {
		t.Errorf("the answer is %q", answer.Message())
	}
	bound := access.Principal{Role: access.Viewer, Sources: []string{"ours"}}
	for _, id := range []centrifuge.ID{theirs, vanished, never} {
		if answer := ask(bound, id); answer.Message() != director.ErrNotFound.Error() {
			t.Errorf("the answer about %s is %q", id, answer.Message())
		}
	}
}
